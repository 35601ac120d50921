"""A hospital's lasting identity (Ed25519, RFC 8032), and the statements that it signs.

Every statement begins with its purpose, so that a signature given for one can never pass for another.
"""

from __future__ import annotations

import json

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from ground.errors import PrivacyError
from privacy.secagg.wire import (
    Announcement,
    Confirmation,
    Endorsement,
    Preparation,
    Roster,
    UnmaskRequest,
)


class Identity:
    """A hospital's private signing key. It never leaves the hospital."""

    def __init__(self, private: Ed25519PrivateKey) -> None:
        self._private = private

    @staticmethod
    def generate() -> Identity:
        """A new one, from the operating system's randomness."""
        return Identity(Ed25519PrivateKey.generate())

    @staticmethod
    def from_bytes(private: bytes) -> Identity:
        """From its 32 private bytes."""
        return Identity(Ed25519PrivateKey.from_private_bytes(private))

    def to_bytes(self) -> bytes:
        """Its 32 private bytes: to be kept where only the hospital reads."""
        return self._private.private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption())

    @property
    def public(self) -> bytes:
        """The public half, 32 bytes: what other hospitals know this one by."""
        return self._private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)

    def announce(self, study: str, hospital: str, sealing: bytes, colluders: int = 1) -> Announcement:
        """This hospital's sealing key for the study and how many colluders it fears, signed."""
        said = _announced(study, hospital, sealing, colluders)
        return Announcement(
            hospital=hospital,
            identity=self.public,
            sealing=sealing,
            colluders=colluders,
            signature=self._private.sign(said),
        )

    def endorse(self, roster: Roster, hospital: str) -> Endorsement:
        """The roster's digest, signed."""
        return Endorsement(hospital=hospital, signature=self._private.sign(_endorsed(roster)))

    def sign_key(self, roster: Roster, hospital: str, number: int, public: bytes, commitment: bytes) -> bytes:
        """The signature under this hospital's keys for one round."""
        return self._private.sign(_prepared(roster, hospital, number, public, commitment))

    def confirm(self, request: UnmaskRequest, hospital: str) -> Confirmation:
        """The request's digest, signed."""
        return Confirmation(hospital=hospital, signature=self._private.sign(_confirmed(request)))


def check_announcement(study: str, announcement: Announcement) -> None:
    """Raises PrivacyError unless the identity that it names signed it for this study."""
    said = _announced(study, announcement.hospital, announcement.sealing, announcement.colluders)
    _verify(announcement.identity, announcement.signature, said, announcement.hospital, "its keys")


def check_endorsement(roster: Roster, endorsement: Endorsement) -> None:
    """Raises PrivacyError unless a hospital of the roster signed this very roster."""
    signer = roster.by_name.get(endorsement.hospital)
    if signer is None:
        raise PrivacyError(f"{endorsement.hospital} endorsed the roster and is not on it: refused")
    what = "the roster that this hospital was shown"
    _verify(signer.identity, endorsement.signature, _endorsed(roster), endorsement.hospital, what)


def check_preparation(roster: Roster, preparation: Preparation) -> None:
    """Raises PrivacyError unless a hospital of the roster signed this key for this roster and round."""
    signer = roster.by_name.get(preparation.hospital)
    if signer is None:
        raise PrivacyError(f"{preparation.hospital} takes part in a round and is not on the roster: refused")
    said = _prepared(
        roster, preparation.hospital, preparation.round, preparation.public, preparation.commitment
    )
    what = f"its key for round {preparation.round}"
    _verify(signer.identity, preparation.signature, said, preparation.hospital, what)


def check_confirmation(roster: Roster, request: UnmaskRequest, confirmation: Confirmation) -> None:
    """Raises PrivacyError unless a hospital of the roster signed this very request."""
    signer = roster.by_name.get(confirmation.hospital)
    if signer is None:
        raise PrivacyError(f"{confirmation.hospital} confirmed a request and is not on the roster: refused")
    what = f"the unmask request of round {request.round} that this hospital was shown"
    _verify(signer.identity, confirmation.signature, _confirmed(request), confirmation.hospital, what)


def _verify(identity: bytes, signature: bytes, said: bytes, hospital: str, what: str) -> None:
    try:
        Ed25519PublicKey.from_public_bytes(identity).verify(signature, said)
    except InvalidSignature:
        raise PrivacyError(
            f"{hospital} did not sign {what}: somebody changed it on the way; refused"
        ) from None


def _announced(study: str, hospital: str, sealing: bytes, colluders: int) -> bytes:
    return statement("announcement", study, hospital, sealing.hex(), colluders)


def _endorsed(roster: Roster) -> bytes:
    return statement("roster", roster.study, roster.digest)


def _prepared(roster: Roster, hospital: str, number: int, public: bytes, commitment: bytes) -> bytes:
    keys = (public.hex(), commitment.hex())
    return statement("round key", roster.study, roster.digest, hospital, number, *keys)


def _confirmed(request: UnmaskRequest) -> bytes:
    return statement("unmask request", request.roster, request.round, request.digest)


def statement(purpose: str, *parts: str | int) -> bytes:
    """One unambiguous byte string for a purpose and its particulars."""
    return json.dumps(["laennec secure aggregation 1", purpose, *parts]).encode()
