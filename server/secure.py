"""A study's course under secure aggregation: the coordinator never holds a hospital's own numbers.

Sums are numbered: 0 is the count of patients, 1 to R the rounds, R + 1 the report's metrics. A sum for which
too few hospitals answer is abandoned: nothing of it was revealed, the model stays as it was, and the study
goes on with the next round.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TypeVar

import numpy as np

from ground.errors import FederationError
from privacy.plan import PrivacyPlan
from privacy.randomness import Floats
from privacy.secagg import (
    Announcement,
    CoordinatorSide,
    Encoding,
    Endorsement,
    Preparation,
    Unmasking,
)
from privacy.secagg.wire import Confirmation, Joined, Wire
from server.learning import counted, enrolled, learned, record
from server.progress import Progress, Record
from tasks.contract import Task
from tasks.learners.contract import Total
from tasks.messages import EVERYBODY, Reply

Message = TypeVar("Message", bound=Wire)
Spoken = TypeVar("Spoken", Announcement, Endorsement, Preparation, Confirmation, Unmasking)
SUMS = ("count", "train", "report")
# So many abandoned rounds in a row end a run: whoever is missing is to be looked after before it goes on.
PATIENCE = 3


def summing(progress: Progress) -> bool:
    """Whether masked words are being collected."""
    return progress.study.secure and progress.phase in SUMS


def bearable(progress: Progress) -> bool:
    """Whether a hospital that fails now can be left out: once everybody signed the roster."""
    return progress.secure is not None and bool(progress.secure.endorsements)


def said(progress: Progress) -> dict[str, str]:
    """What the instruction of this progress says, by hospital; nothing without secure aggregation."""
    if progress.secure is None:
        return {}
    side = progress.secure
    if progress.phase == "roster":
        return {EVERYBODY: side.roster.to_text()}
    if progress.phase in ("confirm", "unmask"):
        return {EVERYBODY: side.close().to_text()}
    if side.opening is None:
        return {}
    return {name: side.opening.for_hospital(name).to_text() for name in side.roster.names}


def add(progress: Progress, reply: Reply) -> Progress:
    """One hospital's masked words go into the sum."""
    vector = reply.vector
    if vector is None or vector.dtype.kind != "u":
        raise FederationError(f"{reply.hospital} sent no masked words: refused")
    return replace(progress, secure=_side(progress).add(reply.hospital, np.asarray(vector)))


def advance(progress: Progress, replies: Mapping[str, Reply], task: Task) -> Progress:
    """The next progress, once the words of all replies are in the sum."""
    if progress.phase == "enrol":
        return _enrolled(progress, replies)
    if progress.phase == "roster":
        return _prepared(progress, replies)
    if progress.phase == "confirm":
        return _confirmed(progress, replies)
    if progress.phase == "unmask":
        return _unmasked(progress, replies, task)
    return _summed(progress, replies)


def _enrolled(progress: Progress, replies: Mapping[str, Reply]) -> Progress:
    following = enrolled(progress, replies)
    announced = [_said_by(name, replies[name], Announcement) for name in following.names]
    privacy = progress.study.privacy
    least = 0 if privacy is None else privacy.minimum_hospitals
    side = CoordinatorSide.begin(progress.study.digest, announced, least)
    return replace(following, secure=side, phase="roster", round=0)


def _prepared(progress: Progress, replies: Mapping[str, Reply]) -> Progress:
    """Everybody signs the roster before the first sum; later only those prepare who are back."""
    side = _side(progress)
    joined = {name: _read(name, reply, Joined) for name, reply in replies.items()}
    for name, each in joined.items():
        _own(each.endorsement, name)
        _own(each.preparation, name)
    if not side.endorsements:
        missing = [name for name in progress.names if name not in joined]
        if missing:
            raise FederationError(
                f"{', '.join(missing)} did not sign the roster: run the study again, it goes on from here"
            )
        side = side.endorsed(each.endorsement for each in joined.values())
    # Whoever did not answer may have newer keys than those known here: they would not do.
    side = replace(side, prepared={}).prepare(each.preparation for each in joined.values())
    return _open(replace(progress, secure=side), progress.round)


def _summed(progress: Progress, replies: Mapping[str, Reply]) -> Progress:
    """All words that came are in; ask for what unmasks them, or abandon the sum."""
    side = _side(progress).prepare(
        _said_by(name, reply, Preparation) for name, reply in replies.items() if reply.secure
    )
    number = _number(progress)
    names = list(side.active)
    shown = record(progress.round if progress.phase == "report" else number - 1, replies, names)
    summed = {replies[name].summed for name in names}
    if len(summed) > 1:
        raise FederationError(f"round {number}: hospitals sum different metrics: they need the same version")
    progress = replace(progress, secure=side, pending=shown, summed=next(iter(summed), ()))
    try:
        side.close()
    except FederationError as error:
        return _abandon(progress, number, str(error))
    return replace(progress, phase="confirm" if side.roster.confirm else "unmask", round=number)


def _confirmed(progress: Progress, replies: Mapping[str, Reply]) -> Progress:
    """Everybody who signed the request is to see that a majority did; too few, and it is abandoned."""
    side, number = _side(progress), progress.round
    side = side.confirmed(
        _said_by(name, reply, Confirmation) for name, reply in replies.items() if reply.secure
    )
    signed, needed = {each.hospital for each in side.confirmations}, side.roster.quorum
    if len(signed) < needed:
        missing = ", ".join(name for name in side.active if name not in signed)
        why = f"round {number}: {missing} confirmed nothing, and {needed} hospitals must"
        return _abandon(progress, number, f"{why}: the round is abandoned, nothing was revealed")
    return replace(progress, secure=side, phase="unmask")


def _unmasked(progress: Progress, replies: Mapping[str, Reply], task: Task) -> Progress:
    """The sum in the clear goes into the state; with too few shares it is abandoned."""
    side, number, plan = _side(progress), progress.round, _plan(progress)
    try:
        # Whoever sat the sum out has nothing to say.
        words = side.finish(
            _said_by(name, reply, Unmasking) for name, reply in replies.items() if reply.secure
        )
    except FederationError as error:
        silent = ", ".join(name for name in side.active if name not in replies)
        blamed = f"round {number}: {silent} did not help to unmask: " if silent else ""
        return _abandon(progress, number, f"{blamed}{error}")
    chosen = Encoding.for_plan(plan, len(side.roster.names), side.roster.fewest, counting=number == 0)
    metrics = 2 * len(progress.summed)
    summed = _means(progress.summed, chosen.for_metrics().decode(words[words.size - metrics :]))
    total = Total(chosen.decode(words[: words.size - metrics]), len(side.active))
    # The shares were sized for the fewest hospitals; whoever came beyond them brought more noise.
    more = (len(side.active) / side.roster.fewest) ** 0.5 if plan.noise == "distributed" else 1.0
    shown = replace(progress.pending or Record(number, {}, ()), summed=summed)
    if number == 0:
        following = counted(progress, total, more)
    elif number <= progress.study.rounds:
        following = learned(progress, total, list(side.active), task, more)
        following = replace(following, history=(*progress.history, shown))
    else:
        return _done(progress, shown)
    return _open(following, number + 1)


def _abandon(progress: Progress, number: int, why: str) -> Progress:
    """Go on without this sum; raises FederationError where that makes no sense."""
    if number == 0:
        raise FederationError(f"{why}; without the count of patients the study cannot begin")
    shown = replace(progress.pending or Record(number - 1, {}, ()), contributors=(), abandoned=why)
    if number > progress.study.rounds:
        return _done(progress, shown)
    before = progress.history[-(PATIENCE - 1) :]
    if len(before) == PATIENCE - 1 and all(each.abandoned for each in before):
        raise FederationError(f"{why}; so were the {PATIENCE - 1} before it: see to them, then run it again")
    return _open(replace(progress, history=(*progress.history, shown)), number + 1)


def _done(progress: Progress, shown: Record) -> Progress:
    last = replace(shown, contributors=())
    return replace(progress, phase="done", round=progress.study.rounds, history=(*progress.history, last))


def _open(progress: Progress, number: int) -> Progress:
    """Open a sum with those who prepared it; where somebody did not, everybody is asked to, once."""
    side = _side(progress)
    progress = replace(progress, pending=None, summed=())
    asked = progress.phase == "roster" and progress.round == number
    if not side.ready(number) and asked:
        side.open_round(number)  # raises, naming who is missing
    if not side.all_ready(number) and not asked:  # whoever missed a sum may be back for the next
        return replace(
            progress, secure=replace(side, opening=None, active=(), total=None), phase="roster", round=number
        )
    rounds = progress.study.rounds
    progress = replace(progress, secure=side.open_round(number))
    if number == 0:
        return replace(progress, phase="count", round=0)
    if number > rounds:
        return replace(progress, phase="report", round=rounds)
    return replace(progress, phase="train", round=number)


def _read(name: str, reply: Reply, kind: type[Message]) -> Message:
    """What a hospital says; raises FederationError naming it where that cannot be read."""
    try:
        return kind.from_text(reply.secure)
    except FederationError as error:
        raise FederationError(f"hospital {name}: {error}") from error


def _said_by(name: str, reply: Reply, kind: type[Spoken]) -> Spoken:
    """The same, of a message that speaks for the hospital that sent it."""
    return _own(_read(name, reply, kind), name)


def _own(message: Spoken, name: str) -> Spoken:
    """The message, where its sender speaks for itself; raises FederationError where it does not."""
    if message.hospital != name:
        raise FederationError(f"{name} speaks for {message.hospital}: its reply was refused")
    return message


def _number(progress: Progress) -> int:
    """Of the sum that is being collected (`Instruction.sum_number`)."""
    return progress.round + 1 if progress.phase == "report" else progress.round


def _side(progress: Progress) -> CoordinatorSide:
    if progress.secure is None:
        raise FederationError("secure aggregation begins with enrolment: this study's state has none")
    return progress.secure


def _plan(progress: Progress) -> PrivacyPlan:
    plan = progress.study.plan()
    if plan is None:
        raise FederationError("a study without privacy has no secure sum")
    return plan


def _means(names: tuple[str, ...], values: Floats) -> dict[str, float]:
    """Metric -> its mean over the hospitals where it is defined; absent where it is defined nowhere."""
    pairs = values.reshape(-1, 2)
    return {name: float(v / n) for name, (n, v) in zip(names, pairs, strict=True) if n > 0}
