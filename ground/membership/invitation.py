"""An invitation: one line of text that a person carries from the coordinator to the hospital.

It holds the coordinator's authority itself, not a fingerprint to be compared after a first connection to
somebody unknown: from the first byte on, the hospital speaks with this coordinator or with nobody.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import ssl
import zlib
from datetime import UTC, datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ground.errors import UsageError

BEGINNING = "laennec-invitation:"
LONGEST = 16 * 1024  # characters of the text, and bytes once unpacked
Address = Annotated[str, Field(pattern=r"^([A-Za-z0-9.-]+|\[[0-9a-fA-F:]+\]):[0-9]{1,5}$")]
# Nothing that a terminal would take for a command.
Name = Annotated[str, Field(max_length=64, pattern=r"^[^\s\x00-\x1f]([^\x00-\x1f]*[^\s\x00-\x1f])?$")]
WRONG = (
    "this is not a whole invitation: copy all of the line that `laennec coordinator invite` printed, or give "
    "the file that it wrote"
)


class Invitation(BaseModel):
    """What the line holds.

    Attributes:
        federation: the coordinator's name, to be shown.
        hospital: whom it is for.
        door: host:port of the coordinator's front door (HTTPS).
        authority: the certificate, as PEM, that vouches for the coordinator.
        number: of the invitation in the coordinator's registry.
        token: the secret that works once, in URL-safe base64.
        until: when it ends, in seconds since 1970, by the coordinator's clock.

    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    federation: Name
    hospital: Name
    door: Address
    authority: Annotated[str, Field(max_length=8192)]
    number: Annotated[int, Field(ge=1)]
    token: Annotated[str, Field(min_length=43, max_length=128, pattern=r"^[A-Za-z0-9_-]+$", repr=False)]
    until: float

    def to_text(self) -> str:
        """The one line."""
        packed = zlib.compress(self.model_dump_json().encode(), 9)
        return BEGINNING + base64.urlsafe_b64encode(packed).decode().rstrip("=")

    @staticmethod
    def from_text(text: str) -> Invitation:
        """From the line, however a mail program broke it; raises UsageError where it is not whole."""
        bare = "".join(text.split())
        if not bare.startswith(BEGINNING) or len(bare) > LONGEST:
            raise UsageError(WRONG)
        body = bare.removeprefix(BEGINNING)
        try:
            packed = base64.b64decode(body + "=" * (-len(body) % 4), altchars=b"-_", validate=True)
            opened = zlib.decompressobj()
            values = opened.decompress(packed, LONGEST)
            if opened.unconsumed_tail or not opened.eof:
                raise UsageError(WRONG)
            read = Invitation.model_validate_json(values)
            ssl.PEM_cert_to_DER_cert(read.authority)
        except (binascii.Error, zlib.error, ValidationError, ValueError):
            raise UsageError(WRONG) from None
        return read

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the authority's certificate, in hexadecimal: to be compared by telephone."""
        return fingerprint_of(self.authority)

    @property
    def ends(self) -> str:
        """When it ends, to the minute, in UTC."""
        return datetime.fromtimestamp(self.until, UTC).strftime("%Y-%m-%d %H:%M UTC")


def fingerprint_of(pem: str) -> str:
    """SHA-256 of a certificate's DER bytes, in hexadecimal; raises ValueError where it is none."""
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).hexdigest()


def spaced(fingerprint: str) -> str:
    """A fingerprint or identity in groups of eight, as one reads it aloud."""
    return " ".join(fingerprint[i : i + 8] for i in range(0, len(fingerprint), 8))
