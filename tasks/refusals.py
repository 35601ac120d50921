"""A hospital's refusal, signed and dated: nobody can say later that it had agreed, or that it never answered.

Whoever has the hospital's public identity can check it, the coordinator too.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from ground.errors import PrivacyError
from ground.signing import is_signed, sign
from tasks.messages import Reply


def signed(reply: Reply, private: bytes, moment: float) -> Reply:
    """The refusal with the signature of the key with these 32 private bytes; `moment` in seconds since 1970.

    Raises ValueError where the reply is no refusal.
    """
    date = datetime.fromtimestamp(moment, UTC).isoformat(timespec="seconds")
    return replace(reply, signature=f"{date} {sign(private, 'refusal', date, *_said(reply))}")


def check(reply: Reply, public: bytes) -> datetime:
    """When the hospital with that public identity (32 bytes) signed this refusal.

    Raises PrivacyError where it did not: another hospital's, another study's, changed, or not signed.
    """
    date, _, signature = reply.signature.partition(" ")
    try:
        if reply.error is not None and is_signed(public, signature, "refusal", date, *_said(reply)):
            return datetime.fromisoformat(date)
    except ValueError:
        pass
    raise PrivacyError(f"{reply.hospital} did not sign this refusal: somebody changed it, or made it up")


def _said(reply: Reply) -> tuple[str | int, ...]:
    if reply.error is None:
        raise ValueError("only a refusal is signed")
    return reply.hospital, reply.digest, reply.phase, reply.round, *reply.error
