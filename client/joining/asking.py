"""What a member asks at the front door, signed with its node's key."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from cryptography.hazmat.primitives.asymmetric import ec

from client.joining.door import Door
from client.joining.joining import private_key
from client.joining.membership import Member, authority_file, member_of
from client.node.places import Places
from ground.errors import UsageError
from ground.membership.messages import Clock, MemberRequest
from ground.membership.proofs import prove


class Asking:
    """One conversation with the front door."""

    def __init__(self, door: Door, member: Member, key: ec.EllipticCurvePrivateKey) -> None:
        self.door, self.member, self.key = door, member, key

    def request(self, what: Literal["renew", "peers"], clock: Clock) -> MemberRequest:
        """That question, as of this moment."""
        serial, moment = self.member.serial, clock.moment
        signature = prove(self.key, what, serial, moment)
        return MemberRequest(serial=serial, moment=moment, signature=signature)


@contextmanager
def asking(home: Path) -> Iterator[Asking]:
    """Inside, the coordinator of this home may be asked; raises UsageError where it has none."""
    member = member_of(home)
    if member is None:
        raise UsageError(f"{home}: is in no federation: `laennec hospital join INVITATION`")
    authority = authority_file(home).read_text(encoding="ascii")
    with Door(member.door, authority) as door:
        yield Asking(door, member, private_key(Places(home / "node").key))
