"""A study's course as a pure step over explicit state.

    enrol ──> train 1 ──> train 2 ──> … ──> train R ──> report ──> done

With secure aggregation (`server.secure`) a roster is agreed first, and every sum is unmasked:

    enrol ──> roster ──> count ──> unmask ──> train 1 ──> unmask ──> … ──> report ──> unmask ──> done

and where lies could single hospitals out (`privacy.secagg.stories`) they confirm each request first.

`step(progress, replies)` gives the next progress and the instruction for all hospitals. Nothing here knows
Flower, time, files or randomness, so a study that was interrupted between any two steps goes on from saved
progress to the same end, bit for bit.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from ground.arrays import Array, all_finite
from ground.errors import FederationError
from server import secure
from server.learning import counted, counts, due, enrolled, learned, record
from server.progress import Progress
from tasks.contract import Task
from tasks.learners import learner_for
from tasks.learners.contract import Total, add_up
from tasks.messages import Instruction, Reply
from tasks.study import Study

# Without a [privacy] table a study states no minimum: a sum over fewer than this says too much about each.
MINIMUM_HOSPITALS = 3
# Hospitals, in the roster's order -> the sum of their contributions.
SumOver = Callable[[Sequence[str]], Total]


def instruction(progress: Progress, task: Task, hospitals: int) -> Instruction | None:
    """What every hospital is to be sent now; None when the study is done."""
    if progress.phase == "done":
        return None
    learner = learner_for(task, progress.study)
    return Instruction(
        phase=progress.phase,
        study=progress.study.to_toml(),
        digest=progress.study.digest,
        round=progress.round,
        hospitals=hospitals,
        published=learner.publish(progress.state) if progress.phase in ("train", "report") else {},
        secure=secure.said(progress),
    )


def absorb(progress: Progress, reply: Reply) -> tuple[Progress, Reply]:
    """Take a reply's masked words into the sum as they come, so that nobody keeps them; others as they are.

    A sum in floating point waits for all, since its last bits depend on the order. Raises FederationError
    where the reply to a secure study answers something else; words that do not belong are refused by name.
    """
    if progress.study.secure:
        _check(progress, {reply.hospital: replace(reply, vector=None)})
    if not secure.summing(progress) or reply.vector is None:
        return progress, reply
    return secure.add(progress, reply), replace(reply, vector=None)


def step(
    progress: Progress, replies: Mapping[str, Reply], task: Task, summed: SumOver | None = None
) -> tuple[Progress, Instruction | None]:
    """The next progress and the next instruction, from the replies that were received, by hospital.

    `summed` gives the sum of a round's contributions where the replies do not hold them. Raises
    FederationError or UsageError, naming hospitals, where the replies do not allow to go on.
    """
    if not replies:
        raise FederationError(f"{progress.phase}, round {progress.round}: no hospital replied")
    if progress.study.secure:
        for reply in replies.values():
            progress, _ = absorb(progress, reply)
        following = secure.advance(progress, replies, task)
        return following, instruction(following, task, len(following.roster))
    _check(progress, replies)
    if progress.phase == "enrol":
        following = _enrolled(progress, replies, task)
    elif progress.phase == "train":
        following = _trained(progress, replies, task, summed)
    else:
        following = _reported(progress, replies)
    return following, instruction(following, task, len(following.roster))


def fewest(study: Study, roster: int) -> int:
    """How many hospitals must contribute to a round for it to count."""
    if study.privacy is not None and study.privacy.noise == "distributed":
        return roster  # a share of the noise would be missing, and with it a share of the protection
    return least(study, roster)


def least(study: Study, hospitals: int) -> int:
    """With how many of so many hospitals a study makes sense, by its own rule."""
    if study.privacy is None:
        return min(MINIMUM_HOSPITALS, hospitals)
    return study.privacy.minimum_hospitals


def _enrolled(progress: Progress, replies: Mapping[str, Reply], task: Task) -> Progress:
    following = enrolled(progress, replies)
    if counts(progress.study):
        _blame(replies)
        following = counted(following, _sum(replies, sorted(replies)), task)
    return replace(following, phase="train", round=1)


def _trained(
    progress: Progress, replies: Mapping[str, Reply], task: Task, summed: SumOver | None
) -> Progress:
    names = [name for name in progress.names if name in replies]
    least = fewest(progress.study, len(progress.roster))
    if len(names) < least:
        lost = [name for name in progress.names if name not in replies]
        raise FederationError(
            f"round {progress.round}: {', '.join(lost)} did not contribute, and the study needs "
            f"{least} of {len(progress.roster)} hospitals: run it again, it goes on from here"
        )
    try:
        total = _sum(replies, names) if summed is None else summed(names)
        following = learned(progress, total, names, task)
    except FederationError:
        _blame(replies)
        raise
    last = progress.round == progress.study.rounds
    return replace(
        following,
        phase="report" if last else "train",
        round=progress.round if last else progress.round + 1,
        history=(*progress.history, record(progress.round - 1, replies, names)),
    )


def _reported(progress: Progress, replies: Mapping[str, Reply]) -> Progress:
    shown = replace(record(progress.round, replies, sorted(replies)), contributors=())
    return replace(progress, phase="done", history=(*progress.history, shown))


def _sum(replies: Mapping[str, Reply], names: list[str]) -> Total:
    vectors: list[Array] = [vector for name in names if (vector := replies[name].vector) is not None]  # type: ignore[misc]
    if len(vectors) != len(names):
        raise FederationError("a hospital replied without a contribution: both sides need the same version")
    total = add_up(vectors)
    if not all_finite(total.vector):
        guilty = [name for name, vector in zip(names, vectors, strict=True) if not all_finite(vector)]
        raise FederationError(
            f"{', '.join(guilty)} sent numbers that are not finite: the contribution was refused"
        )
    return total


def _blame(replies: Mapping[str, Reply]) -> None:
    """Raises FederationError naming those who sent NaN or ∞: looked for only where the sum shows it."""
    guilty = [
        name for name, reply in replies.items() if reply.vector is not None and not all_finite(reply.vector)
    ]
    if guilty:
        raise FederationError(
            f"{', '.join(guilty)} sent numbers that are not finite: the contribution was refused"
        )


def check(progress: Progress, reply: Reply, task: Task) -> None:
    """Raises FederationError, naming the hospital, where its reply to a plain study cannot be used.

    What can be said of one reply by itself; that sizes agree where only a task's own learner knows them is
    seen once all are here.
    """
    _check(progress, {reply.hospital: reply})
    vector = reply.vector
    if vector is None:
        if progress.phase == "train" or (progress.phase == "enrol" and counts(progress.study)):
            raise FederationError(f"round {progress.round}: {reply.hospital} replied without a contribution")
        return
    expected = due(progress, task)
    if vector.ndim != 1 or expected not in (None, vector.size):
        raise FederationError(
            f"round {progress.round}: hospital {reply.hospital} sent {vector.size} values where "
            f"{expected} were expected: its reply was refused"
        )
    _blame({reply.hospital: reply})


def _check(progress: Progress, replies: Mapping[str, Reply]) -> None:
    """Every reply belongs to this study, phase and round, and has the size and kind of the others."""
    sizes = Counter((v.shape, v.dtype.kind) for reply in replies.values() if (v := reply.vector) is not None)
    usual = max(sizes, key=lambda size: sizes[size], default=None)
    asked = (progress.study.digest, progress.phase, progress.round)
    for name, reply in replies.items():
        problem = None
        if (reply.digest, reply.phase, reply.round) != asked:
            problem = "answered another study or round"
        elif progress.roster and name not in progress.names:
            problem = "is not on the roster"
        elif reply.vector is not None and (reply.vector.shape, reply.vector.dtype.kind) != usual:
            problem = "sent a contribution of another size than most"
        elif reply.vector is not None and reply.vector.dtype.kind != "f":
            problem = "sent words where numbers are due"
        if problem:
            raise FederationError(f"round {progress.round}: hospital {name} {problem}: its reply was refused")
