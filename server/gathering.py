"""The replies to one step as they come: each is checked, its numbers go into the sum or the spool."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from ground.errors import FederationError
from server.learning import due
from server.progress import Progress
from server.round import absorb, check, step
from server.spool import Spool
from tasks.contract import Task
from tasks.messages import Instruction, Reply


class Gathering:
    """One step's replies. `folder` keeps the contributions of a round that do not fit into memory.

    A secure sum takes masked words in as they come, in any order: they are whole numbers. The contributions
    of a plain study are spooled, because a sum in floating point has an order (`server.spool`).
    """

    def __init__(self, progress: Progress, task: Task, folder: Path | None) -> None:
        self.progress, self._task = progress, task
        self.replies: dict[str, Reply] = {}
        self.refused: dict[str, FederationError] = {}
        self._spool: Spool | None = None
        if progress.phase == "train" and not progress.study.secure:
            stamp = f"{progress.study.digest} {progress.phase} {progress.round}"
            early = due(progress, task) is not None
            self._spool = Spool(folder, stamp, progress.names, early=early)
            self.replies |= self._spool.found

    def take(self, reply: Reply) -> None:
        """A good reply; raises FederationError, naming its hospital, where it cannot be used."""
        if reply.hospital in self.replies:  # asked again after a restart: hospitals answer one round once
            return
        if self.progress.study.secure:
            self.progress, reply = absorb(self.progress, reply)
        else:
            check(self.progress, reply, self._task)
            reply = reply if self._spool is None else self._spool.add(reply)
        self.replies[reply.hospital] = reply

    def advance(self) -> tuple[Progress, Instruction | None]:
        """What follows from all that came (`server.round.step`)."""
        if self._spool is None:
            return step(self.progress, self.replies, self._task)
        self._refuse_odd_sizes(self._spool)
        return step(self.progress, self.replies, self._task, self._spool.total)

    def _refuse_odd_sizes(self, spool: Spool) -> None:
        """Where only the task's own learner knows how long a contribution is, most are taken to be right."""
        sizes = spool.sizes()
        if len(set(sizes.values())) <= 1:
            return
        counted = Counter(sizes[name] for name in sorted(sizes))
        usual = max(counted, key=lambda size: counted[size])
        for name in sorted(name for name, size in sizes.items() if size != usual):
            why = (
                f"round {self.progress.round}: hospital {name} sent a contribution of another size than most"
            )
            self.refused[name] = FederationError(f"{why}: its reply was refused")
            self.replies = {each: reply for each, reply in self.replies.items() if each != name}
