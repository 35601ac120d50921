"""Faults on purpose: hospitals that vanish in a round of the local engine, to see how a study bears it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from flwr.app import Message

from ground.errors import UsageError
from tasks.messages import unpack_instruction


@dataclass(frozen=True)
class Drop:
    """One hospital, gone for one round.

    Attributes:
        hospital: its name.
        round: in which it vanishes; it is back for the next.
        late: after it sent its contribution, so that it does not help to unmask; else before.

    """

    hospital: str
    round: int
    late: bool = False

    def hits(self, hospital: str, message: Message) -> bool:
        """Whether this message finds the hospital gone."""
        if hospital != self.hospital:
            return False
        asked = unpack_instruction(message.content)
        return asked.sum_number == self.round and asked.phase == ("unmask" if self.late else "train")


def parse_drops(
    texts: Sequence[str], hospitals: Sequence[str], rounds: int, *, secure: bool
) -> tuple[Drop, ...]:
    """From HOSPITAL@ROUND or HOSPITAL@ROUND:late; raises UsageError on anything else."""
    drops = []
    for text in texts:
        match = re.fullmatch(r"(.+)@(\d+)(:late)?", text)
        if match is None:
            raise UsageError(
                f"--drop {text}: write HOSPITAL@ROUND, or HOSPITAL@ROUND:late to vanish after sending"
            )
        drop = Drop(match[1], int(match[2]), late=match[3] is not None)
        if drop.hospital not in hospitals:
            raise UsageError(f"--drop {text}: no such hospital: there are {', '.join(sorted(hospitals))}")
        if not 1 <= drop.round <= rounds:
            raise UsageError(f"--drop {text}: the study has rounds 1 to {rounds}")
        if drop.late and not secure:
            raise UsageError(
                f"--drop {text}: only a study with secure aggregation asks anything after sending"
            )
        drops.append(drop)
    return tuple(drops)
