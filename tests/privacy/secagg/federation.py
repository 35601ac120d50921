"""Hospitals and a coordinator that the test plays: set-up, rounds, and whoever fails to answer."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field, replace
from functools import cache
from typing import TypeVar

import numpy as np

from ground.arrays import Words
from privacy.secagg import (
    CoordinatorSide,
    Floor,
    HospitalSide,
    Identity,
    Opening,
    Preparation,
    Roster,
    Unmasking,
    UnmaskRequest,
)
from privacy.secagg.stories import quorum
from privacy.secagg.wire import Confirmation, Wire

STUDY = hashlib.sha256(b"a study").hexdigest()
OTHER_STUDY = hashlib.sha256(b"another study").hexdigest()
COUNT = 6  # words of a hospital
Message = TypeVar("Message", bound=Wire)


def altered(message: Message, **changes: object) -> Message:
    """The message with other fields, as a liar would send it: checked like any other."""
    fields = {name: getattr(message, name) for name in type(message).model_fields}
    return type(message).model_validate({**fields, **changes})


@cache
def identity(name: str) -> Identity:
    return Identity.from_bytes(hashlib.sha256(name.encode()).digest())


def called(count: int) -> tuple[str, ...]:
    return tuple(f"hospital-{number:02}" for number in range(count))


def values(name: str) -> Words:
    """A hospital's own words: what nobody else may see."""
    seed = int.from_bytes(hashlib.sha256(name.encode()).digest()[:4])
    return np.random.default_rng(seed).integers(0, 1 << 64, COUNT, dtype=np.uint64)


def known(names: Iterable[str]) -> dict[str, bytes]:
    """By which identities hospitals know each other."""
    return {name: identity(name).public for name in names}


@dataclass
class Federation:
    """States of everybody; the coordinator of the test may do as it likes with them."""

    sides: dict[str, HospitalSide]
    coordinator: CoordinatorSide
    sent: dict[str, Words] = field(default_factory=dict)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.sides)

    @property
    def roster(self) -> Roster:
        return self.coordinator.roster

    def prepare(self, number: int, *names: str) -> dict[str, Preparation]:
        """These, or all, prepare a round and tell the coordinator."""
        made: dict[str, Preparation] = {}
        for name in names or self.names:
            self.sides[name], made[name] = self.sides[name].prepare(number, identity(name))
        self.coordinator = self.coordinator.prepare(made.values())
        return made

    def open(self, number: int) -> Opening:
        self.coordinator = self.coordinator.open_round(number)
        assert self.coordinator.opening is not None
        return self.coordinator.opening

    def mask(self, name: str, opening: Opening, words: Words | None = None) -> Words:
        """One hospital opens the round; its masked words, which the coordinator does not have yet."""
        words = (values(name) if words is None else words).copy()
        self.sides[name] = self.sides[name].mask(opening.for_hospital(name), words)
        self.sent[name] = words
        return words

    def collect(self, names: Iterable[str]) -> None:
        """The words of these reach the coordinator."""
        for name in names:
            self.coordinator = self.coordinator.add(name, self.sent[name])

    def confirm(self, name: str, request: UnmaskRequest) -> Confirmation:
        self.sides[name], confirmation = self.sides[name].confirm(request, identity(name))
        return confirmation

    def close(self, *, unsigned: Collection[str] = ()) -> UnmaskRequest:
        """The request, signed by all in the sum but the `unsigned` where the roster asks for that."""
        request = self.coordinator.close()
        if not self.roster.confirm:
            return request
        signing = [name for name in request.active if name not in unsigned]
        self.coordinator = self.coordinator.confirmed(self.confirm(name, request) for name in signing)
        return self.coordinator.close()

    def unmask(self, name: str, request: UnmaskRequest) -> Unmasking:
        self.sides[name], answer = self.sides[name].unmask(request)
        return answer

    def begin_round(self, number: int, opening: Opening | None = None) -> Opening:
        """Everybody prepares, opens and masks; nothing is collected."""
        if opening is None:
            self.prepare(number)
            opening = self.open(number)
        for name in opening.participants:
            self.mask(name, opening)
        return opening

    def run(
        self,
        number: int,
        *,
        silent: Collection[str] = (),
        late: Collection[str] = (),
        unsigned: Collection[str] = (),
        mute: Collection[str] = (),
        between: Callable[[], object] = lambda: None,
    ) -> Words:
        """A prepared round's sum.

        `silent` never mask, `late` mask in vain, `unsigned` sign no request, `mute` send no shares.
        """
        opening = self.open(number)
        between()
        for name in opening.participants:
            if name not in silent:
                self.mask(name, opening)
        between()
        self.collect(name for name in opening.participants if name not in silent and name not in late)
        request = self.close(unsigned=unsigned)
        between()
        answers = [self.unmask(name, request) for name in request.active if name not in mute]
        between()
        return self.coordinator.finish(answers).words


def federation(
    count: int,
    *,
    colluders: int = 1,
    fewest: int = 0,
    threshold: int | None = None,
    confirm: bool = False,
    study: str = STUDY,
) -> Federation:
    """Hospitals that have all joined the roster; with a threshold given, without asking them.

    In the second case they confirm requests only where `confirm` says so.
    """
    made = _federation(count, colluders, fewest, threshold, confirm, study)
    return replace(made, sides=dict(made.sides), sent={})


@cache
def _federation(
    count: int, colluders: int, fewest: int, threshold: int | None, confirm: bool, study: str
) -> Federation:
    names = called(count)
    sides = {name: HospitalSide.begin(study, name, colluders) for name in names}
    announcements = [side.announce(identity(name)) for name, side in sides.items()]
    coordinator = CoordinatorSide.begin(study, announcements, 0 if threshold else fewest, colluders)
    if threshold is not None:
        needed = quorum(count, colluders) if confirm else 0
        terms = {"threshold": threshold, "fewest": fewest or threshold, "quorum": needed}
        coordinator = CoordinatorSide(altered(coordinator.roster, **terms))
    endorsements = []
    for name in names:
        if threshold is None:
            floor = Floor(colluders=colluders)
            sides[name], endorsement = sides[name].join(
                coordinator.roster, identity(name), known(names), floor
            )
        else:
            endorsement = identity(name).endorse(coordinator.roster, name)
            sides[name] = sides[name].model_copy(update={"roster": coordinator.roster})
        endorsements.append(endorsement)
    return Federation(sides, coordinator.endorsed(endorsements))


def total(names: Iterable[str]) -> Words:
    """The true sum of these hospitals' words."""
    return np.sum([values(name) for name in names], axis=0, dtype=np.uint64)
