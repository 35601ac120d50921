"""A Grid on which a hospital that is a member no more is gone at once: no round waits for it.

Without it a study would wait for the answer of a hospital that was just revoked as long as for one that is
slow, in every round.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Iterator

from flwr.app import Error, Message, RecordDict
from flwr.proto.node_pb2 import NodeInfo
from flwr.serverapp import Grid
from flwr.supercore.run import Run

from server.asking import NO_MEMBER

LOOK_EVERY = 0.5  # seconds between two looks at who is a member


class MembersGrid(Grid):
    """`grid` as it is for members; `members` gives their names, as the nodes were registered under them."""

    def __init__(self, grid: Grid, members: Callable[[], Collection[str]]) -> None:
        self._grid, self._members = grid, members
        self._names: dict[int, str] = {}
        self._shut_out: frozenset[int] = frozenset()
        self._looked = float("-inf")
        self._asked: dict[str, Message] = {}

    def members(self) -> Collection[str]:
        """The names of the hospitals that are members now."""
        return self._members()

    def __getattr__(self, name: str) -> object:
        """Whatever else that Grid can do."""
        return getattr(self._grid, name)

    def set_run(self, run: Run) -> None:
        """The run that this is of."""
        self._grid.set_run(run)

    @property
    def run(self) -> Run:
        """The run that this is of."""
        return self._grid.run

    def create_message(
        self,
        content: RecordDict,
        message_type: str,
        dst_node_id: int,
        group_id: str,
        ttl: float | None = None,
    ) -> Message:
        """A message to that node."""
        return self._grid.create_message(content, message_type, dst_node_id, group_id, ttl)

    def get_node_ids(self) -> Iterable[int]:
        """The nodes of members that are there."""
        return [each.node_id for each in self.get_nodes()]

    def get_nodes(self) -> Iterable[NodeInfo]:
        """The nodes of members that are there."""
        found = list(self._grid.get_nodes())
        self._names |= {each.node_id: each.name for each in found if each.name}
        self._look(at_once=True)
        return [each for each in found if each.node_id not in self._shut_out]

    def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
        """Send; gives their identifiers, in order. To who is a member no more nothing is sent."""
        self._look()
        asked = list(messages)
        sent = [each for each in asked if each.metadata.dst_node_id not in self._shut_out]
        names = iter(self._grid.push_messages(sent) if sent else ())
        identifiers = []
        for number, each in enumerate(asked):
            kept = each.metadata.dst_node_id in self._shut_out
            name = f"not sent {time.monotonic_ns()} {number}" if kept else str(next(names))
            self._asked[name] = each
            identifiers.append(name)
        return identifiers

    def pull_messages(self, message_ids: Iterable[str]) -> Iterator[Message]:
        """The replies that have come; in the place of who is a member no more, an error (NO_MEMBER)."""
        self._look()
        names = [name for name in message_ids if name in self._asked]
        others = [name for name in names if self._asked[name].metadata.dst_node_id not in self._shut_out]
        for name in set(names) - set(others):
            error = Message(Error(NO_MEMBER), reply_to=self._asked.pop(name))
            error.metadata.__dict__["_reply_to_message_id"] = name
            yield error
        if others:
            for reply in self._grid.pull_messages(others):
                self._asked.pop(reply.metadata.reply_to_message_id, None)
                yield reply

    def send_and_receive(
        self, messages: Iterable[Message], *, timeout: float | None = None
    ) -> Iterable[Message]:
        """Not offered: who waits says for whom."""
        raise NotImplementedError("the driver pushes and pulls, so that it can say whom it waits for")

    def _look(self, *, at_once: bool = False) -> None:
        if not at_once and time.monotonic() - self._looked < LOOK_EVERY:
            return
        self._looked, members = time.monotonic(), self._members()
        self._shut_out = frozenset(node for node, name in self._names.items() if name not in members)
