"""Drives the pure step over a Flower Grid: save, send, wait within bounds, receive, save.

Progress is saved before its instruction is sent and after its replies came in, so a coordinator that is
killed at any moment goes on from the round that it was in. Hospitals answer one round once, whoever asks
twice.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path

from flwr.serverapp import Grid

from ground.errors import ApprovalError, LaennecError, StateError, UsageError
from server import checkpoint, secure, spool
from server.asking import Asking
from server.events import Advanced, Preparing, tell
from server.gathering import Gathering
from server.learning import due
from server.nodes import Nodes, heed_halt
from server.progress import Progress, begin
from server.round import fewest, instruction, least
from server.terms import Speeds, Terms
from tasks.contract import Task
from tasks.messages import Instruction, Reply
from tasks.registry import find
from tasks.study import Study

__all__ = ["Terms", "drive"]
# Bytes of a reply: of one value or masked word, of all else (metrics), and where only the task knows.
WIDEST, BESIDE, MOST_UNKNOWN = 16, 2**20, 2**30
AWAY = "its node is not connected"
STRANGER = "it is not on the roster: the study had begun when it connected"


def drive(grid: Grid, study: Study, terms: Terms, home: Path | None) -> Progress:
    """Run the study to its end and give its last progress; goes on from what `home` holds of it."""
    task = find(study.task, study.task_version, study.options)
    progress = (checkpoint.load(home) if home else None) or begin(study, task, _prepares)
    if progress.study.digest != study.digest:
        raise StateError(f"{home}: holds another study ({progress.study.name}): choose another --out")
    nodes, speeds = Nodes(grid), Speeds(terms)
    nodes.wait(terms, progress.names, fewest(study, len(progress.names)))
    # Those who enrolled share the noise, however many are connected when the study goes on.
    request = instruction(progress, task, len(progress.roster) or len(nodes.to_ask(())))
    if request is None:  # stopped between its last round and its report: whoever listens needs the end again
        tell(Advanced(progress, 0.0, 0.0))
    while request is not None:
        started, asked = time.perf_counter(), request
        if home:
            checkpoint.save(progress, home)
        told, roster = len(secure.refusals(progress)), progress.names
        gathering = Gathering(progress, task, home)
        _limit(grid, progress, task)
        nodes.look()
        to_ask = [node for node in nodes.to_ask(roster) if nodes.name(node) not in gathering.replies]
        asking = Asking(grid, nodes, request, terms, speeds, gathering.take, roster)
        failures = asking.run(to_ask)
        _refuse_wrong_use(gathering, failures, terms)
        progress, request = gathering.advance()
        failures |= gathering.refused
        left_out = [(name, _missed(asked, error)) for name, error in sorted(failures.items())]
        left_out += [(each.hospital, each.why) for each in secure.refusals(progress)[told:]]
        heard = {name for name, _ in left_out}
        left_out += [(name, AWAY) for name in roster if name not in gathering.replies and name not in heard]
        left_out += [(name, STRANGER) for name in sorted(asking.strangers)]
        seconds, busy = time.perf_counter() - started, _busiest(gathering.replies.values())
        tell(Advanced(progress, seconds, busy, tuple(left_out), asked.sum_number))
    if home:
        checkpoint.save(progress, home)
        spool.forget(home)
    return progress


def _limit(grid: Grid, progress: Progress, task: Task) -> None:
    """Nobody's reply is fetched that is much larger than it should be, where the Grid is over a network."""
    limit, expected = getattr(grid, "limit", None), due(progress, task)
    if limit is not None:
        limit(MOST_UNKNOWN if expected is None else WIDEST * expected + BESIDE)


def _prepares(done: int, total: int) -> None:
    heed_halt()
    tell(Preparing(done, total))


def _refuse_wrong_use(gathering: Gathering, failures: Mapping[str, LaennecError], terms: Terms) -> None:
    """Wrong use ends the study at once, named; so does any failure, where nobody can be done without."""
    progress, replies = gathering.progress, gathering.replies
    for name, error in sorted(failures.items()):
        if isinstance(error, UsageError) or not _bearable(progress, error, len(replies), terms):
            raise type(error)(f"hospital {name}: {error}")
    if not replies and failures:
        name, error = min(failures.items())
        raise type(error)(f"hospital {name}: {error}")


def _bearable(progress: Progress, error: LaennecError, replied: int, terms: Terms) -> bool:
    """Whether the study can go on, as far as this step is concerned, without the hospital that failed so."""
    study = progress.study
    enough = replied >= least(study, len(progress.roster) or terms.hospitals)
    if progress.phase == "enrol":
        # Every hospital that enrols counts on the noise of all who were asked, where no roster is signed.
        shared = study.privacy is not None and study.privacy.noise == "distributed" and not study.secure
        return isinstance(error, ApprovalError) and terms.approval_seconds > 0 and enough and not shared
    if study.secure:
        return secure.bearable(progress)
    return progress.phase == "train" or enough


def _missed(request: Instruction, error: LaennecError) -> str:
    """Why a hospital is missing; one that vanishes after it has sent is still in the sum."""
    after = {
        "confirm": "it has sent, and did not help to confirm: ",
        "unmask": "it has sent, and did not help to unmask: ",
    }
    return f"{after.get(request.phase, '')}{error}"


def _busiest(replies: Iterable[Reply]) -> float:
    """Seconds that the busiest worker computed: what no engine could have saved with these workers."""
    seconds: Mapping[str, float] = defaultdict(float)
    for reply in replies:
        seconds[reply.worker] += reply.seconds  # type: ignore[index]
    return max(seconds.values(), default=0.0)
