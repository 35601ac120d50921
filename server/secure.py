"""A study's course under secure aggregation: the coordinator never holds a hospital's own numbers.

Sums are numbered: 0 is the count of patients, 1 to R the rounds, R + 1 the report's metrics. A sum for which
too few hospitals answer is abandoned: nothing of it was revealed, the model stays as it was, and the study
goes on with the next round.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial
from typing import TypeVar, cast

from ground.arrays import Words
from ground.errors import FederationError, LaennecError, PrivacyError
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
from privacy.secagg.checks import check_prepared
from privacy.secagg.wire import Confirmation, Joined, Refusal, Wire
from server.learning import counted, due, enrolled, learned, record
from server.progress import Progress, Record
from tasks.contract import Task
from tasks.learners import learner_for
from tasks.learners.contract import Total
from tasks.messages import EVERYBODY, Reply, words_of_sum
from tasks.registry import find

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
    """One hospital's masked words go into the sum.

    Words that do not belong are refused, and that hospital counts as missing from this sum. Metrics are those
    that the first to send has: whoever has others is refused.
    """
    side, vector = _side(progress), reply.vector
    try:
        if vector is None or vector.dtype.kind != "u":
            raise FederationError(f"{reply.hospital} sent no masked words: refused")
        if side.active and reply.summed != progress.summed:
            raise FederationError(f"{reply.hospital} sums other metrics than {side.active[0]}: refused")
        words = cast("Words", vector)
        _check_shape(progress, reply, words)
        side = side.add(reply.hospital, words)
    except FederationError as error:
        return _refuse(progress, reply.hospital, error)
    return replace(progress, secure=side, summed=reply.summed)


def refusals(progress: Progress) -> tuple[Refusal, ...]:
    """Whose messages were refused so far, in their order; the study went on without them."""
    return () if progress.secure is None else progress.secure.refusals


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
    announced = [_said_by(Announcement, name, replies[name]) for name in following.names]
    privacy = progress.study.privacy
    least = 0 if privacy is None else privacy.minimum_hospitals
    side = CoordinatorSide.begin(progress.study.digest, announced, least)
    return replace(following, secure=side, phase="roster", round=0)


def _prepared(progress: Progress, replies: Mapping[str, Reply]) -> Progress:
    """Everybody signs the roster before the first sum; later only those prepare who are back."""
    # Whoever did not answer may have newer keys than those known here: they would not do.
    progress = replace(progress, secure=replace(_side(progress), prepared={}))
    if _side(progress).endorsements:
        progress, again = _heard(progress, replies, partial(_joined, progress))
        return _open(_with_prepared(progress, [each.preparation for each in again.values()]), progress.round)
    joined = {name: _joined(progress, name, reply) for name, reply in replies.items()}
    missing = [name for name in progress.names if name not in joined]
    if missing:
        raise FederationError(
            f"{', '.join(missing)} did not sign the roster: run the study again, it goes on from here"
        )
    side = _side(progress).endorsed(each.endorsement for each in joined.values())
    progress = _with_prepared(replace(progress, secure=side), [each.preparation for each in joined.values()])
    return _open(progress, progress.round)


def _with_prepared(progress: Progress, preparations: Iterable[Preparation]) -> Progress:
    return replace(progress, secure=_side(progress).prepare(preparations))


def _summed(progress: Progress, replies: Mapping[str, Reply]) -> Progress:
    """All words that came are in; ask for what unmasks them, or abandon the sum."""
    progress, prepared = _heard(progress, replies, partial(_preparation, progress))
    progress = _with_prepared(progress, prepared.values())
    side, number = _side(progress), _number(progress)
    after = progress.round if progress.phase == "report" else number - 1
    progress = replace(progress, pending=record(after, replies, list(side.active)))
    try:
        side.close()
    except FederationError as error:
        return _abandon(progress, number, str(error))
    return replace(progress, phase="confirm" if side.roster.confirm else "unmask", round=number)


def _confirmed(progress: Progress, replies: Mapping[str, Reply]) -> Progress:
    """Everybody who signed the request is to see that a majority did; too few, and it is abandoned."""
    progress, confirmed = _heard(progress, replies, partial(_said_by, Confirmation))
    side, number = _side(progress).confirmed(confirmed.values()), progress.round
    signed, needed = {each.hospital for each in side.confirmations}, side.roster.quorum
    if len(signed) < needed:
        missing = ", ".join(name for name in side.active if name not in signed)
        why = f"round {number}: {missing} confirmed nothing, and {needed} hospitals must"
        return _abandon(progress, number, f"{why}: the round is abandoned, nothing was revealed")
    return replace(progress, secure=side, phase="unmask")


def _unmasked(progress: Progress, replies: Mapping[str, Reply], task: Task) -> Progress:
    """The sum in the clear goes into the state; with too few shares it is abandoned."""
    progress, answers = _heard(progress, replies, partial(_said_by, Unmasking))
    side, number, plan = _side(progress), progress.round, _plan(progress)
    try:
        unmasked = side.finish(answers.values())
    except FederationError as error:
        silent = ", ".join(name for name in side.active if name not in replies)
        blamed = f"round {number}: {silent} did not help to unmask: " if silent else ""
        return _abandon(progress, number, f"{blamed}{error}")
    for name in unmasked.liars:
        progress = _refuse(progress, name, FederationError(f"{name} sent false shares: done without them"))
    words, chosen = unmasked.words, _encoding(progress, number)
    metrics = 2 * len(progress.summed)
    summed = _means(progress.summed, chosen.for_metrics().decode(words[words.size - metrics :]))
    total = Total(chosen.decode(words[: words.size - metrics]), len(side.active))
    # The shares were sized for the fewest hospitals; whoever came beyond them brought more noise.
    more = (len(side.active) / side.roster.fewest) ** 0.5 if plan.noise == "distributed" else 1.0
    shown = replace(progress.pending or Record(number, {}, ()), summed=summed)
    if number == 0:
        following = counted(progress, total, task, more)
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


def _encoding(progress: Progress, number: int) -> Encoding:
    """How the numbers of that sum became words; the hospitals find the same."""
    study, plan, side = progress.study, _plan(progress), _side(progress)
    task = find(study.task, study.task_version, study.options)
    published = learner_for(task, study).publish(progress.state)
    return words_of_sum(study, plan, task, side.roster, published, counting=number == 0)


def _check_shape(progress: Progress, reply: Reply, words: Words) -> None:
    """Raises FederationError unless there are as many words as the sum has, of their width.

    How many values a task's own learner gives is not known before the first reply.
    """
    number = _number(progress)
    task = find(progress.study.task, progress.study.task_version, progress.study.options)
    expected, dtype = due(progress, task), _encoding(progress, number).dtype
    if expected is not None:
        expected += 2 * len(reply.summed)
    if words.dtype != dtype or words.ndim != 1 or expected not in (None, words.size):
        raise FederationError(
            f"{reply.hospital} sent {words.size} words of {words.dtype} where "
            f"{'others' if expected is None else expected} of {dtype} were expected: refused"
        )


def _refuse(progress: Progress, name: str, error: LaennecError) -> Progress:
    """Go on without what that hospital sent, and say so."""
    return replace(progress, secure=_side(progress).refuse(_number(progress), name, str(error)))


def _heard(
    progress: Progress, replies: Mapping[str, Reply], read: Callable[[str, Reply], Message]
) -> tuple[Progress, dict[str, Message]]:
    """What those say who say anything; whoever cannot be read, or lies, is left out by name."""
    heard: dict[str, Message] = {}
    for name, reply in replies.items():
        try:
            if reply.secure:  # whoever sat the sum out has nothing to say of it
                heard[name] = read(name, reply)
        except (FederationError, PrivacyError) as error:
            progress = _refuse(progress, name, error)
    return progress, heard


def _joined(progress: Progress, name: str, reply: Reply) -> Joined:
    joined = _read(name, reply, Joined)
    _own(joined.endorsement, name)
    check_prepared(_side(progress).roster, _own(joined.preparation, name))
    return joined


def _preparation(progress: Progress, name: str, reply: Reply) -> Preparation:
    preparation = _said_by(Preparation, name, reply)
    check_prepared(_side(progress).roster, preparation)
    return preparation


def _read(name: str, reply: Reply, kind: type[Message]) -> Message:
    """What a hospital says; raises FederationError naming it where that cannot be read."""
    try:
        return kind.from_text(reply.secure)
    except FederationError as error:
        raise FederationError(f"hospital {name}: {error}") from error


def _said_by(kind: type[Spoken], name: str, reply: Reply) -> Spoken:
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
