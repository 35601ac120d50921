"""Which hospital each node is, and when it was last heard of."""

from __future__ import annotations

import time
from collections.abc import Iterable

from flwr.serverapp import Grid

from ground.errors import FederationError
from server.events import Waiting, halt, tell
from server.terms import Terms

# Flower says until when a node counts as present: so many of its heartbeats after the last.
HEARTBEATS = 2
FIRST_PAUSE, LONGEST_PAUSE = 0.001, 0.5
TELL_EVERY = 1.0  # seconds


class Nodes:
    """The nodes of a Grid, by number, as far as they are known."""

    def __init__(self, grid: Grid) -> None:
        self._grid = grid
        self.heard: dict[int, str] = {}
        self._registered: dict[int, str] = {}
        self._seen: dict[int, float] = {}
        self._there: list[int] = []

    def look(self) -> list[int]:
        """Who is there now, by number."""
        found = list(self._grid.get_nodes())
        for info in found:
            if info.name:
                self._registered[info.node_id] = info.name
            if info.online_until:
                beat = info.online_until - HEARTBEATS * info.heartbeat_interval
                self._seen[info.node_id] = max(beat, self._seen.get(info.node_id, 0.0))
        self._there = sorted([info.node_id for info in found] or self._grid.get_node_ids())
        return self._there

    def hear(self, node: int, hospital: str) -> None:
        """A node has answered as that hospital; raises FederationError where it was registered as another."""
        registered = self._registered.get(node, hospital)
        if registered != hospital:
            raise FederationError(f"the node of {registered} calls itself {hospital}: its reply was refused")
        self.heard[node], self._seen[node] = hospital, time.time()

    def name(self, node: int) -> str | None:
        """The hospital's name; None while nothing was heard of it."""
        return self.heard.get(node) or self._registered.get(node)

    def of(self, node: int) -> str:
        """The hospital's name; the node's number while nothing was heard of it."""
        return self.name(node) or f"node {node}"

    def to_ask(self, roster: tuple[str, ...]) -> list[int]:
        """Those to be asked: of a roster its own hospitals and whoever may be one; without one all.

        A hospital that is away is asked too: its question waits for it.
        """
        known = sorted({*self._there, *self.heard}) if roster else self._there
        chosen = [node for node in known if not roster or (self.name(node) or roster[0]) in roster]
        by_name = {self.of(node): node for node in chosen if node not in self._there}
        by_name |= {self.of(node): node for node in chosen if node in self._there}
        # Two nodes that are there under one name are both asked: that is refused, with the name.
        return [node for node in chosen if node in self._there or by_name[self.of(node)] == node]

    def outstanding(self, nodes: Iterable[int], roster: tuple[str, ...]) -> tuple[str, ...]:
        """The hospitals at these nodes; by elimination from the roster where a node was not heard of yet."""
        nodes = list(nodes)
        names = {name for node in nodes if (name := self.name(node))}
        if len(names) < len(nodes):
            names |= set(roster) - set(self.heard.values())
        return tuple(sorted(names)) or tuple(map(self.of, nodes))

    def last_seen(self, hospitals: tuple[str, ...]) -> tuple[float | None, ...]:
        """How many seconds ago each of these was heard of; empty where nothing is known of any."""
        now, by_name = time.time(), {self.of(node): seen for node, seen in self._seen.items()}
        ago = tuple(max(0.0, now - by_name[name]) if name in by_name else None for name in hospitals)
        return ago if any(each is not None for each in ago) else ()

    def wait(self, terms: Terms, roster: tuple[str, ...], enough: int) -> None:
        """Until enough have connected; raises FederationError when time is up.

        To begin, `terms.hospitals` are waited for. A study that goes on waits as long for those of its
        roster, then goes on with the `enough` that its rule asks for.
        """
        started, told, pause = time.monotonic(), 0.0, FIRST_PAUSE
        while not self._complete(terms, roster):
            heed_halt()
            waited = time.monotonic() - started
            if waited > terms.join_seconds:
                if roster and len(self.to_ask(roster)) >= enough:
                    return
                raise FederationError(
                    f"{len(self._there)} of {terms.hospitals} hospitals connected within "
                    f"{terms.join_seconds:.0f} s: start the others, then run the study again"
                )
            if waited - told >= TELL_EVERY:
                told = waited
                self._tell_who_is_missing(terms, roster, waited)
            time.sleep(pause)
            pause = min(LONGEST_PAUSE, pause * 2)

    def _complete(self, terms: Terms, roster: tuple[str, ...]) -> bool:
        there = self.look()
        known = {name for node in there if (name := self._registered.get(node))}
        if roster and len(known) == len(there):  # everybody's name is known: those of the roster count
            return known >= set(self._still(roster))
        return len(there) >= terms.hospitals

    def _still(self, roster: tuple[str, ...]) -> tuple[str, ...]:
        """Of a roster those who may come at all: not who was revoked since, where the Grid can tell."""
        members = getattr(self._grid, "members", None)
        return roster if members is None else tuple(name for name in roster if name in members())

    def _tell_who_is_missing(self, terms: Terms, roster: tuple[str, ...], waited: float) -> None:
        there = [self.name(node) for node in self._there]
        names = tuple(name for name in self._still(roster) if name not in there)
        if not names or None in there:
            more = max(1, terms.hospitals - len(there))
            names = (f"{more} of {', '.join(names)}" if names else f"{more} more to connect",)
        tell(Waiting(names, waited, terms.join_seconds, "connection", self.last_seen(names)))


def heed_halt() -> None:
    """Raises FederationError once the coordinator is being stopped."""
    if halt.is_set():
        raise FederationError("the coordinator was stopped: run the study again, it goes on from here")
