"""One step's question to every hospital: sent, waited for within bounds, asked again, given up by name.

Each node has its own course: a hospital that fails is asked again while the others are still at work. What
may pass by itself is tried three times; a hospital that answers at another hour, or where a person has yet to
approve the study, has not failed and is asked again then, for as long as the terms allow.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from flwr.app import Message
from flwr.serverapp import Grid

from ground.errors import ApprovalError, DeclinedError, FederationError, LaennecError, LaterError, UsageError
from server.events import Answered, Arriving, Waiting, What, tell
from server.nodes import FIRST_PAUSE, LONGEST_PAUSE, TELL_EVERY, Nodes, heed_halt
from server.terms import Speeds, Terms
from tasks.messages import MESSAGE_TYPE, Instruction, Reply, packer, unpack_reply

ATTEMPTS = 3
# Seconds before the second attempt and before the third.
RETRY_AFTER = (0.0, 0.5)
# Flower's code for a node that is gone; its own enumeration is not public.
UNAVAILABLE, GONE = 5, "its node is gone"
# The code with which `server.link.grid` answers in the place of a reply that it did not take, saying why.
REFUSED = 1000
# The code with which `server.admission.grid` answers in the place of a hospital that was revoked.
NO_MEMBER = 1001
SAID = {UNAVAILABLE: GONE, NO_MEMBER: "it is a member of the federation no more"}
# What asking again cannot change.
FINAL = (UsageError, ApprovalError)
# A hospital that says "later" is asked again when it says, and after so many seconds at the least.
SOONEST = 1.0
# A person who has yet to decide: how long until the hospital is asked again, a share of the time waited.
ASK_PERSON_AFTER, ASK_PERSON_SHARE, ASK_PERSON_LATEST = 1.0, 0.1, 30.0


@dataclass(eq=False)
class _Question:
    """How it stands with one node."""

    node: int
    due: float
    attempts: int = 0
    sent: float = 0.0
    under_way: bool = False
    done: bool = False
    what: What = "reply"
    since: float = 0.0
    limit: float = 0.0
    problem: LaennecError | None = None


class Asking:
    """Asks these nodes one thing. `take` gets each good reply, and raises FederationError to refuse one."""

    def __init__(
        self,
        grid: Grid,
        nodes: Nodes,
        request: Instruction,
        terms: Terms,
        speeds: Speeds,
        take: Callable[[Reply], None],
        roster: tuple[str, ...] = (),
    ) -> None:
        self._grid, self._nodes, self._request, self._terms = grid, nodes, request, terms
        self._speeds, self._take, self._roster = speeds, take, roster
        self.strangers: set[str] = set()
        self._limit = speeds.limit(request.phase)
        self._pack = packer(request)
        self._questions: list[_Question] = []
        self._waiting: dict[str, _Question] = {}
        self._answered: dict[str, int] = {}
        self._began, self._told = time.monotonic(), time.monotonic()

    def run(self, nodes: Sequence[int]) -> dict[str, LaennecError]:
        """Ask until each of these nodes has answered or is given up; gives why those failed that did.

        Whoever is not on the roster, where there is one, is asked no more: see `strangers`. Raises
        UsageError where two nodes call themselves alike.
        """
        self._questions = [_Question(node, self._began) for node in nodes]
        pause = FIRST_PAUSE
        watch = getattr(self._grid, "watch", None)  # a Grid over a network tells how far a reply is
        if watch is not None:
            watch(self._arriving)
        while any(not question.done for question in self._questions):
            heed_halt()
            self._send()
            came = self._receive()
            self._give_up_late()
            self._tell()
            pause = FIRST_PAUSE if came else min(LONGEST_PAUSE, pause * 1.5)
            self._sleep(pause)
        self._forget(list(self._waiting))
        return {
            self._nodes.of(question.node): question.problem
            for question in self._questions
            if question.problem is not None
        }

    def _send(self) -> None:
        """To everybody whose time has come."""
        now = time.monotonic()
        due = [each for each in self._questions if not each.done and not each.under_way and each.due <= now]
        if not due:
            return
        kind, group = MESSAGE_TYPE[self._request.phase], str(self._request.sum_number)
        outgoing = [
            self._grid.create_message(self._pack(self._nodes.name(each.node)), kind, each.node, group)
            for each in due
        ]
        for identifier, question in zip(self._grid.push_messages(outgoing), due, strict=True):
            self._waiting[identifier] = question
            question.sent, question.under_way = now, True
            if question.what == "hours":
                question.what = "reply"
            if question.what == "reply":
                question.since, question.limit = now, self._limit

    def _receive(self) -> bool:
        """Take what has come, one message at a time; whether anything had."""
        came = False
        for message in self._grid.pull_messages(self._by_turn()):
            came = True
            question = self._waiting.pop(message.metadata.reply_to_message_id, None)
            if question is not None and not question.done:
                question.under_way = False
                self._heard(question, message)
            _empty(message)
        return came

    def _by_turn(self) -> list[str]:
        """Whose replies are outstanding, in the roster's order, which is that in which they are taken.

        A sum is added up in that order, and whoever comes before their turn has to be kept.
        """
        places = {name: place for place, name in enumerate(self._roster)}
        last = len(places)

        def turn(identifier: str) -> int:
            return places.get(self._nodes.of(self._waiting[identifier].node), last)

        return sorted(self._waiting, key=turn)

    def _heard(self, question: _Question, message: Message) -> None:
        try:
            reply = self._reply(question.node, message)
            if self._roster and reply.hospital not in self._roster:
                self.strangers.add(reply.hospital)
                question.done, question.problem = True, None
                return
            problem = reply.problem()
            if problem is None:
                self._take(reply)
                self._answered[reply.hospital] = question.node
                self._speeds.took(self._request.phase, time.monotonic() - question.sent)
        except FederationError as error:  # of one hospital's reply: the others' are as good as before
            problem = error
        question.problem, question.done = problem, problem is None
        if problem is not None:
            self._again(question, problem)

    def _reply(self, node: int, message: Message) -> Reply:
        """What the message says; raises FederationError where it says nothing that can be read."""
        if message.has_error():
            code, why = message.error.code, message.error.reason
            said = str(why) if code == REFUSED else SAID.get(code, f"its node reports error {code}")
            raise FederationError(said)
        reply = unpack_reply(message.content)
        self._nodes.hear(node, reply.hospital)
        if self._answered.get(reply.hospital, node) != node:
            raise UsageError(f"two nodes call themselves {reply.hospital}: give each hospital its own name")
        said = "" if reply.error is None else reply.error[1]
        number = self._request.sum_number
        tell(Answered(reply.hospital, reply.phase, number, reply.seconds, said, reply.spent))
        return reply

    def _again(self, question: _Question, problem: LaennecError) -> None:
        """When a node that has failed is asked again, or that it is given up."""
        now, waited = time.monotonic(), time.monotonic() - self._began
        if isinstance(problem, LaterError):
            pause = max(SOONEST, problem.seconds)
            question.done = waited + pause > self._terms.later_seconds
            question.what, question.since, question.limit = "hours", now, pause
        elif self._may_be_approved(problem):
            pause = max(ASK_PERSON_AFTER, min(ASK_PERSON_LATEST, ASK_PERSON_SHARE * waited))
            question.done = waited + pause > self._terms.approval_seconds
            question.what, question.since = "approval", self._began
            question.limit = self._terms.approval_seconds
        else:
            question.what, question.attempts = "reply", question.attempts + 1
            question.done = isinstance(problem, FINAL) or question.attempts >= ATTEMPTS
            pause = 0.0 if question.done else RETRY_AFTER[question.attempts - 1]
        question.due = now + pause

    def _may_be_approved(self, problem: LaennecError) -> bool:
        """A person may still approve a study that has not begun; one who said no has decided."""
        awaited = isinstance(problem, ApprovalError) and not isinstance(problem, DeclinedError)
        return awaited and self._request.phase == "enrol" and self._terms.approval_seconds > 0

    def _give_up_late(self) -> None:
        """Whoever took too long counts as failed; should the answer come all the same, it is taken."""
        now = time.monotonic()
        for question in self._questions:
            if question.under_way and now - question.sent > self._limit:
                question.under_way = False
                self._speeds.took(self._request.phase, self._limit)
                question.problem = FederationError(f"no reply within {self._limit:.0f} s")
                self._again(question, question.problem)

    def _tell(self) -> None:
        """Once a second: whom we wait for, for what, how long already and how long at the most."""
        now = time.monotonic()
        if now - self._told < TELL_EVERY:
            return
        kinds: dict[tuple[What, float], list[_Question]] = defaultdict(list)
        for each in self._questions:
            if not each.done:
                kinds[each.what, each.limit].append(each)
        if kinds:
            self._nodes.look()
        for (what, limit), questions in kinds.items():
            names = self._nodes.outstanding((each.node for each in questions), self._roster)
            waited = now - min(each.since for each in questions)
            tell(Waiting(names, waited, limit, what, self._nodes.last_seen(names)))
        self._told = now

    def _sleep(self, pause: float) -> None:
        """Until something may have come: a moment where replies are under way, else until somebody is due."""
        open_ = [question for question in self._questions if not question.done]
        if open_ and not self._waiting:
            soonest = min(question.due for question in open_) - time.monotonic()
            pause = min(TELL_EVERY, max(0.0, soonest))
        if open_ and pause > 0:
            time.sleep(pause)

    def _arriving(self, node: int, received: int, total: int) -> None:
        phase, number = self._request.phase, self._request.sum_number
        tell(Arriving(self._nodes.of(node), phase, number, received, total))

    def _forget(self, identifiers: list[str]) -> None:
        """What is not waited for any more need not be kept."""
        forget = getattr(self._grid, "forget", None)
        if forget is not None and identifiers:
            forget(identifiers)


def _empty(message: Message) -> None:
    """Let go of a message's numbers: Flower's records refer to themselves, and would hold them for long."""
    if message.has_content():
        for record in message.content.array_records.values():
            record.clear()
