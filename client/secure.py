"""This hospital's part in secure aggregation: between instructions and `privacy.secagg`'s state machine."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from client.hospital import Settings
from client.identity import identity_of
from ground.arrays import Array, Arrays, Words
from ground.errors import UsageError
from privacy.plan import PrivacyPlan
from privacy.secagg import (
    Encoding,
    Floor,
    HospitalSide,
    Opening,
    Roster,
    UnmaskRequest,
)
from privacy.secagg.encoding import METRIC, allowed, slack
from privacy.secagg.wire import Joined
from tasks.learners.contract import Contribution
from tasks.messages import Instruction, words_of_sum
from tasks.registry import find
from tasks.study import parse

log = logging.getLogger("laennec.client")


@dataclass(frozen=True)
class Masking:
    """A secure sum that this hospital may add to.

    Attributes:
        side: its state, in which the opening was checked.
        opening: who takes part.
        instruction: that opens it.
        last: whether no sum follows, so that nothing is to be prepared.

    """

    side: HospitalSide
    opening: Opening
    instruction: Instruction
    last: bool

    @property
    def number(self) -> int:
        """Of the sum."""
        return self.instruction.sum_number

    @property
    def takes_part(self) -> bool:
        """Whether the sum counts on this hospital; else it only prepares the next."""
        return self.side.hospital in self.opening.participants

    @property
    def roster(self) -> Roster:
        """Who agreed to sum together."""
        return self.side.joined


def begin(instruction: Instruction, settings: Settings) -> tuple[HospitalSide, str]:
    """Fresh keys for a study, and their announcement."""
    side = HospitalSide.begin(instruction.digest, settings.name, settings.colluders)
    return side, side.announce(identity_of(settings)).to_text()


def join(side: HospitalSide, instruction: Instruction, settings: Settings) -> tuple[HospitalSide, str]:
    """Accept the roster (again), and prepare the sum that is asked for."""
    identity = identity_of(settings)
    roster = Roster.from_text(instruction.said_to(settings.name))
    peers = {name: bytes.fromhex(key) for name, key in settings.peers}
    floor = Floor(hospitals=settings.least_hospitals, colluders=settings.colluders)
    joined, endorsement = side.join(roster, identity, peers, floor)
    prepared, preparation = joined.prepare(instruction.sum_number, identity)
    return prepared, Joined(endorsement=endorsement, preparation=preparation).to_text()


def open_sum(side: HospitalSide, instruction: Instruction, settings: Settings, rounds: int) -> Masking:
    """What was sent to open a sum, checked before a patient is read for it."""
    opening = Opening.from_text(instruction.said_to(settings.name))
    masking = Masking(side, opening, instruction, instruction.sum_number > rounds)
    if masking.takes_part:
        side.check(opening, masking.number)
    return masking


def encoding(masking: Masking, plan: PrivacyPlan, *, counting: bool) -> Encoding:
    """How the numbers of this sum become words; the coordinator finds the same."""
    study, published = parse(masking.instruction.study), masking.instruction.published
    task = find(study.task, study.task_version, study.options)
    return words_of_sum(study, plan, task, masking.roster, published, counting=counting)


def check_fit(contribution: Contribution, plan: PrivacyPlan, chosen: Encoding, fewest: int) -> None:
    """Raises UsageError where the lattice would cost too much δ."""
    if plan.noise == "local":
        return  # all of the noise was in before anything was rounded
    if slack(plan, chosen, contribution.noise, fewest, contribution.vector.size) > allowed(plan):
        raise UsageError(
            "a model of this size needs finer words than a secure sum has at this epsilon: "
            "lower epsilon, or ask for fewer rounds"
        )


def words_of(
    contribution: Contribution | None,
    metrics: Mapping[str, float],
    chosen: Encoding,
    *,
    overwrite: bool = False,
) -> Words:
    """A contribution and metrics as the words of one sum; two words a metric, defined and value, by name.

    Where nobody needs the contribution's vector any more, they `overwrite` it if it is long enough: a large
    model is then not held once more.
    """
    pairs = _pairs(metrics)
    vector = np.zeros(0) if contribution is None else _within(contribution.vector, chosen)
    count = vector.size + pairs.size
    words = chosen.room_in(vector, count) if overwrite else None
    if words is None:
        words = np.empty(count, dtype=chosen.dtype)
    if contribution is not None:
        chosen.encode(vector, into=words[: vector.size])
    chosen.for_metrics().encode(pairs, into=words[vector.size :])
    return words


def spare(contribution: Contribution | None, kept: Arrays) -> bool:
    """Whether nothing that this hospital keeps may lie in the contribution's memory."""
    return contribution is not None and not any(
        np.may_share_memory(contribution.vector, each) for each in kept.values()
    )


def _within(vector: Array, chosen: Encoding) -> Array:
    """What is private already may be cut to what words hold; anything else is refused where it does not fit.

    How many values were cut is said in this hospital's log alone.
    """
    if not chosen.released:
        return vector
    confined, outside = chosen.confine(vector)
    if outside:
        log.warning("%d of %d values were beyond ±%.3g and cut", outside, vector.size, chosen.box)
    return confined


def mask(masking: Masking, words: Words, settings: Settings) -> tuple[HospitalSide, str]:
    """Mask the words in place; then prepare the next sum, as those do who sit this one out."""
    side = masking.side.mask(masking.opening, words)
    if side.unopened:
        log.warning("round %d: the shares of %s do not open here", masking.number, ", ".join(side.unopened))
    return prepare_next(masking, settings, side)


def prepare_next(
    masking: Masking, settings: Settings, side: HospitalSide | None = None
) -> tuple[HospitalSide, str]:
    """The state with fresh secrets for the next sum, and what is to be said of them."""
    side = side or masking.side
    if masking.last:
        return side, ""
    following, preparation = side.prepare(masking.number + 1, identity_of(settings))
    return following, preparation.to_text()


def confirm(side: HospitalSide, instruction: Instruction, settings: Settings) -> tuple[HospitalSide, str]:
    """The unmask request that was shown, signed; nothing, without complaint, of a sum that was sat out."""
    request = UnmaskRequest.from_text(instruction.said_to(settings.name))
    if _sat_out(side, request):
        return side, ""
    following, confirmation = side.confirm(request, identity_of(settings))
    return following, confirmation.to_text()


def unmask(side: HospitalSide, instruction: Instruction, settings: Settings) -> tuple[HospitalSide, str]:
    """The shares that the sum needs; nothing, without complaint, of a sum that was sat out."""
    request = UnmaskRequest.from_text(instruction.said_to(settings.name))
    if _sat_out(side, request):
        return side, ""
    following, unmasking = side.unmask(request)
    return following, unmasking.to_text()


# The phases that no patient is read for.
ANSWERS = {"roster": join, "confirm": confirm, "unmask": unmask}


def _sat_out(side: HospitalSide, request: UnmaskRequest) -> bool:
    """Whether the request is about a sum that this hospital has no part in, and does not say otherwise."""
    opened = side.open is not None and side.open.round == request.round
    return not opened and side.hospital not in request.active


def _pairs(metrics: Mapping[str, float]) -> Array:
    """(1, value) or, where a metric is undefined or beyond what words hold, (0, 0); by name."""
    values = [metrics[name] for name in sorted(metrics)]
    return np.asarray(
        [pair for v in values for pair in ((1.0, v) if math.isfinite(v) and abs(v) <= METRIC else (0.0, 0.0))]
    )
