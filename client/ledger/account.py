"""What an account's entries add up to. Nothing here is kept but in memory: the book alone is the truth."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from client.ledger.entries import Budget, Entry
from privacy.accountant import Accountant, Event

# At which δ an account without a budget is shown: the one that studies have where they name none.
DEFAULT_DELTA = 1e-5

# (sampling rate, noise multiplier) → number of such releases. `+` composes, `-` leaves the rest (never less
# than none), `|` takes the larger number of each.
Releases = Counter[tuple[float, float]]


def releases_of(*events: Event) -> Releases:
    """How many releases of each kind these events hold."""
    counted = Releases()
    for event in events:
        counted[event.sampling_rate, event.noise_multiplier] += event.times
    return counted


def accountant_of(releases: Mapping[tuple[float, float], int]) -> Accountant:
    """These releases, one event a kind and sorted, so that the same history always costs the same ε."""
    return Accountant(
        tuple(Event(rate, noise, times) for (rate, noise), times in sorted(releases.items()) if times)
    )


@dataclass
class Account:
    """One cohort's account.

    Attributes:
        budget: the one set last; None where the hospital set no limit.
        booked: the releases of each study, settled or not.
        reserved: the rounds (study, round) that were ever reserved.
        open: the events of each round that is reserved and not settled.
        disclosed: (study, round, what) of everything that left outside any ε.

    What may have been lost with a book that was restored counts as booked, under its study or under none.

    """

    budget: Budget | None = None
    booked: dict[str, Releases] = field(default_factory=dict)
    reserved: set[tuple[str, int]] = field(default_factory=set)
    open: dict[tuple[str, int], list[Event]] = field(default_factory=dict)
    disclosed: set[tuple[str, int, str]] = field(default_factory=set)

    def add(self, entry: Entry) -> None:
        """Count one more entry of this account."""
        if isinstance(entry.content, Budget):
            self.budget = entry.content
        if entry.kind == "lost" and isinstance(entry.content, Event):
            self.booked.setdefault(entry.study or "", Releases()).update(releases_of(entry.content))
            return
        if entry.study is None or entry.round is None:
            return
        place = (entry.study, entry.round)
        if isinstance(entry.content, Event):
            self.booked.setdefault(entry.study, Releases()).update(releases_of(entry.content))
            self.open.setdefault(place, []).append(entry.content)
            self.reserved.add(place)
        elif isinstance(entry.content, str):
            self.disclosed.add((*place, entry.content))
        else:
            self.open.pop(place, None)

    def forget_open(self) -> None:
        """No reservation counts as unused any more: in a restored book nobody knows which replies left."""
        self.open.clear()

    def spent(self) -> Releases:
        """All releases, settled or not."""
        total = Releases()
        for booked in self.booked.values():
            total.update(booked)
        return total

    def open_of(self, study: str) -> Releases:
        """The releases that this study has reserved and not settled."""
        events = [each for (name, _), reserved in self.open.items() if name == study for each in reserved]
        return releases_of(*events)
