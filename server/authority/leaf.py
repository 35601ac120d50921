"""The coordinator's own certificate: SuperLink and front door show it, and it is renewed long before its end.

The key stays the same, so that a renewal replaces one file, at once or not at all.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from ground.errors import StateError
from ground.files import write_atomically
from ground.membership.lifetimes import is_due
from server.authority.authority import Authority, private_pem
from server.authority.certificates import Certificates, facts_of


class Leaf:
    """The files of the coordinator's own certificate; `authority_file` is what vouches for it."""

    def __init__(self, folder: Path, authority_file: Path) -> None:
        self.files = Certificates(authority_file, folder / "coordinator.pem", folder / "coordinator.key")

    def renew(
        self,
        authority: Callable[[], Authority],
        names: Sequence[str],
        lasts: timedelta,
        *,
        now: float | None = None,
    ) -> bool:
        """Another certificate where there is none, it is due, or it is for other names; whether one was made.

        Servers that are running take it up by themselves (`server.authority.reloading`). Raises StateError
        where the key is damaged.
        """
        if not self._is_wanted(names, time.time() if now is None else now):
            return False
        made = authority().for_coordinator(names, self._key().public_key(), lasts)
        write_atomically(self.files.certificate, made, 0o644)
        return True

    def _is_wanted(self, names: Sequence[str], now: float) -> bool:
        try:
            pem = self.files.certificate.read_bytes()
            facts, read = facts_of(pem), x509.load_pem_x509_certificate(pem)
            named = read.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        except (OSError, ValueError, x509.ExtensionNotFound):
            return True
        said = {str(each.value) for each in named}
        return is_due(facts.since, facts.until, now) or said != set(names)

    def _key(self) -> ec.EllipticCurvePrivateKey:
        file = self.files.key
        if not file.is_file():
            write_atomically(file, private_pem(ec.generate_private_key(ec.SECP256R1())))
        try:
            key = load_pem_private_key(file.read_bytes(), None)
        except ValueError as error:
            raise StateError(f"{file}: is not a key: delete it, and a new one is made") from error
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise StateError(f"{file}: is not a key of ours: delete it, and a new one is made")
        return key
