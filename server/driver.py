"""Drives the pure step over a Flower Grid: save, send, wait within bounds, receive, save.

Progress is saved before its instruction is sent and after its replies came in, so a coordinator that is
killed at any moment goes on from the round that it was in. Hospitals answer one round once, whoever asks
twice.
"""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from flwr.app import Message
from flwr.serverapp import Grid

from ground.errors import ApprovalError, FederationError, LaennecError, LaterError, StateError, UsageError
from server import checkpoint, secure
from server.events import Advanced, Preparing, Waiting, halt, tell
from server.progress import Progress, begin
from server.round import absorb, instruction, step
from tasks.messages import MESSAGE_TYPE, Instruction, Reply, packer, unpack_reply
from tasks.registry import find
from tasks.study import Study

ATTEMPTS = 3
# Flower's code for a node that is gone; its own enumeration is not public.
UNAVAILABLE, GONE = 5, "its node is gone"
FIRST_PAUSE, LONGEST_PAUSE = 0.001, 0.5
# What asking again at once cannot change.
FINAL = (UsageError, ApprovalError)
# A hospital that says "later" is asked again when it says, and after so many seconds at the least.
SOONEST = 1.0


@dataclass(frozen=True)
class Terms:
    """How long a coordinator waits.

    Attributes:
        hospitals: how many nodes to wait for before enrolling.
        reply_seconds: the longest that one hospital may take for one round.
        join_seconds: the longest that all may take to connect.
        later_seconds: the longest that one round waits for hospitals that answer at another hour.

    """

    hospitals: int
    reply_seconds: float = 3600.0
    join_seconds: float = 300.0
    later_seconds: float = 86400.0


@dataclass
class _Answers:
    """One round's answers by hospital: the good ones, and why the others are missing."""

    replies: dict[str, Reply] = field(default_factory=dict)
    failures: dict[str, LaennecError] = field(default_factory=dict)


@dataclass(frozen=True)
class _Names:
    """Which hospital each node is: known from its first reply on, before that only who is on the roster."""

    roster: tuple[str, ...]
    heard: dict[int, str]

    def of(self, node: int) -> str:
        """The hospital's name; the node's number while nothing was heard of it."""
        return self.heard.get(node, f"node {node}")

    def outstanding(self, nodes: list[int]) -> tuple[str, ...]:
        """The hospitals at these nodes; by elimination from the roster where a node was not heard of yet."""
        names = {self.heard[node] for node in nodes if node in self.heard}
        if len(names) < len(nodes):
            names |= set(self.roster) - set(self.heard.values())
        return tuple(sorted(names)) or tuple(map(self.of, nodes))


def drive(grid: Grid, study: Study, terms: Terms, home: Path | None) -> Progress:
    """Run the study to its end and give its last progress; goes on from what `home` holds of it."""
    task = find(study.task, study.task_version)
    progress = (checkpoint.load(home) if home else None) or begin(study, task, _prepares)
    if progress.study.digest != study.digest:
        raise StateError(f"{home}: holds another study ({progress.study.name}): choose another --out")
    nodes = _nodes(grid, terms)
    # Those who enrolled share the noise, however many are connected when the study goes on.
    request = instruction(progress, task, len(progress.roster) or len(nodes))
    if request is None:  # stopped between its last round and its report: whoever listens needs the end again
        tell(Advanced(progress, 0.0, 0.0))
    heard: dict[int, str] = {}
    while request is not None:
        started, asked = time.perf_counter(), request
        if home:
            checkpoint.save(progress, home)
        told = len(secure.refusals(progress))
        progress, answers = _ask(grid, nodes, request, terms, _Names(progress.names, heard), progress)
        _refuse_wrong_use(progress, answers)
        progress, request = step(progress, answers.replies, task)
        left_out = tuple((n, _missed(asked, error)) for n, error in sorted(answers.failures.items()))
        left_out += tuple((each.hospital, each.why) for each in secure.refusals(progress)[told:])
        seconds, busy = time.perf_counter() - started, _busiest(answers.replies.values())
        tell(Advanced(progress, seconds, busy, left_out, asked.sum_number))
    if home:
        checkpoint.save(progress, home)
    return progress


def _prepares(done: int, total: int) -> None:
    if halt.is_set():
        raise FederationError("the coordinator was stopped: run the study again")
    tell(Preparing(done, total))


def _nodes(grid: Grid, terms: Terms) -> list[int]:
    """The nodes, once enough of them have connected; raises FederationError when time is up."""
    started, pause = time.monotonic(), FIRST_PAUSE
    while len(nodes := sorted(grid.get_node_ids())) < terms.hospitals:
        waited = time.monotonic() - started
        if waited > terms.join_seconds:
            raise FederationError(
                f"{len(nodes)} of {terms.hospitals} hospitals connected within {terms.join_seconds:.0f} s: "
                "start the others, then run the study again"
            )
        time.sleep(pause)
        pause = min(LONGEST_PAUSE, pause * 2)
    return nodes


def _ask(
    grid: Grid, nodes: list[int], request: Instruction, terms: Terms, names: _Names, progress: Progress
) -> tuple[Progress, _Answers]:
    """Every node's reply, with further attempts for those that failed in a way that may pass.

    Masked words go into the progress as they come. A hospital that answers at another hour has not failed: it
    is asked again then, for as long as the terms allow.
    """
    replies: dict[str, Reply] = {}
    failed: dict[int, tuple[str, LaennecError]] = {}
    pending, tried, began = nodes, Counter[int](), time.monotonic()
    while pending:
        for node, reply in _exchange(grid, pending, request, terms, names):
            name = reply.hospital
            if name in replies:
                raise UsageError(f"two nodes call themselves {name}: give each hospital its own name")
            problem = reply.problem()
            try:
                if problem is None:
                    progress, replies[name] = absorb(progress, reply)
            except FederationError as error:  # of one hospital's reply: the others' are as good as before
                problem = error
            if problem is None:
                failed.pop(node, None)
            else:
                failed[node] = (name, problem)
        late = {node: each for node, (_, each) in failed.items() if isinstance(each, LaterError)}
        tried.update(node for node in failed if node not in late)
        pending = [
            node
            for node, (_, problem) in failed.items()
            if not isinstance(problem, FINAL) and (node in late or tried[node] < ATTEMPTS)
        ]
        if pending and late.keys() >= set(pending):
            soonest = max(SOONEST, min(each.seconds for each in late.values()))
            if time.monotonic() - began + soonest > terms.later_seconds:
                break
            _pass(soonest, tuple(sorted(failed[node][0] for node in late)))
    return progress, _Answers(replies, dict(failed.values()))


def _pass(seconds: float, hospitals: tuple[str, ...]) -> None:
    """Let the time pass until these hospitals answer again."""
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        if halt.is_set():
            raise FederationError("the coordinator was stopped: run the study again, it goes on from here")
        tell(Waiting(hospitals, seconds - left, seconds))
        time.sleep(min(left, 1.0))


def _exchange(
    grid: Grid, nodes: list[int], request: Instruction, terms: Terms, names: _Names
) -> Iterable[tuple[int, Reply]]:
    """Send to these nodes and yield their replies as they come, until all are in or time is up."""
    kind, group = MESSAGE_TYPE[request.phase], str(request.sum_number)
    pack = packer(request)
    outgoing = [grid.create_message(pack(names.heard.get(node)), kind, node, group) for node in nodes]
    waiting = dict(zip(grid.push_messages(outgoing), nodes, strict=True))
    started, told, pause = time.monotonic(), time.monotonic(), FIRST_PAUSE
    while waiting:
        if halt.is_set():
            raise FederationError("the coordinator was stopped: run the study again, it goes on from here")
        came = list(grid.pull_messages(list(waiting)))
        for message in came:
            node = waiting.pop(message.metadata.reply_to_message_id)
            yield node, _reply(message, node, request, names)
        now = time.monotonic()
        if waiting and now - started > terms.reply_seconds:
            for node in waiting.values():
                yield node, _lost(request, names.of(node), f"no reply within {terms.reply_seconds:.0f} s")
            return
        if waiting and now - told > 1.0:
            outstanding = names.outstanding(list(waiting.values()))
            tell(Waiting(outstanding, now - started, terms.reply_seconds))
            told = now
        pause = FIRST_PAUSE if came else min(LONGEST_PAUSE, pause * 1.5)
        if waiting:
            time.sleep(pause)


def _reply(message: Message, node: int, request: Instruction, names: _Names) -> Reply:
    if message.has_error():
        code = message.error.code
        return _lost(
            request, names.of(node), GONE if code == UNAVAILABLE else f"its node reports error {code}"
        )
    reply = unpack_reply(message.content)
    names.heard[node] = reply.hospital
    return reply


def _lost(request: Instruction, name: str, why: str) -> Reply:
    return Reply(name, request.phase, request.digest, request.round, error=("FederationError", why))


def _refuse_wrong_use(progress: Progress, answers: _Answers) -> None:
    """Wrong use ends the study at once, named; so does any failure, where nobody can be done without."""
    bearable = secure.bearable(progress) if progress.study.secure else progress.phase == "train"
    for name, error in sorted(answers.failures.items()):
        if isinstance(error, UsageError) or not bearable:
            raise type(error)(f"hospital {name}: {error}")
    if not answers.replies and answers.failures:
        name, error = min(answers.failures.items())
        raise type(error)(f"hospital {name}: {error}")


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
