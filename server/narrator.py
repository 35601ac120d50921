"""A study's events in words: a listener of `server.events` that logs them, with what they are about."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from server.events import Advanced, Answered, Event, Preparing, Waiting, duration
from server.progress import Record
from server.report.result import mean, plain
from tasks.registry import find
from tasks.study import Study

log = logging.getLogger("laennec.study")
NEWS = 5.0  # seconds after which waiting for the same ones is said again, then after twice as long


@dataclass(frozen=True)
class Sentence:
    """One thing that happened.

    Attributes:
        text: as a person reads it.
        round: the round that it is about; None where it is about none.
        hospitals: whom it is about.
        bad: whether somebody may have to do something.

    """

    text: str
    round: int | None = None
    hospitals: tuple[str, ...] = ()
    bad: bool = False


class Rarer:
    """Says of each wait whether it is news: somebody else is waited for, or it has lasted twice as long."""

    def __init__(self) -> None:
        self._last: dict[str, tuple[float, tuple[str, ...]]] = {}

    def news(self, wait: Waiting) -> bool:
        """Whether this is worth a line; it is then taken as said."""
        seconds, whom = self._last.get(wait.what, (0.0, ()))
        if wait.hospitals == whom and wait.seconds < 2 * max(seconds, NEWS):
            return False
        self._last[wait.what] = (wait.seconds, wait.hospitals)
        return True

    def over(self) -> None:
        """Nobody is waited for any more."""
        self._last.clear()


class Narrator:
    """Logs the events of one study, one line each, a round's wait ever more rarely."""

    def __init__(self, study: Study) -> None:
        self._study = study
        self._waits = Rarer()
        self._shown: int | None = None
        self._enrolled = self._prepares = False

    def __call__(self, event: Event) -> None:
        """Log an event, where it is worth a line."""
        for sentence in self.told(event):
            self.say(sentence)

    def say(self, sentence: Sentence) -> None:
        """Log a sentence."""
        about = {"study": self._study.name, "digest": self._study.digest[:12]}
        about |= {"round": sentence.round, "hospitals": list(sentence.hospitals)}  # type: ignore[dict-item]
        log.log(logging.WARNING if sentence.bad else logging.INFO, "%s", sentence.text, extra=about)

    def told(self, event: Event) -> Iterator[Sentence]:
        """What is to be said of an event."""
        if isinstance(event, Advanced):
            yield from self._advanced(event)
        elif isinstance(event, Waiting):
            if self._waits.news(event):
                yield Sentence(event.sentence, hospitals=event.hospitals, bad=True)
        elif isinstance(event, Answered):
            if event.error:
                text = f"{event.hospital} could not answer ({event.phase}): {event.error}"
                yield Sentence(text, event.round, (event.hospital,), bad=True)
        elif isinstance(event, Preparing) and not self._prepares:
            self._prepares = True
            yield Sentence("the model learns from digital patients first")

    def _advanced(self, event: Advanced) -> Iterator[Sentence]:
        progress, rounds = event.progress, event.progress.study.rounds
        self._waits.over()
        if progress.roster and not self._enrolled and event.round == 0:
            names = progress.names
            yield Sentence(f"{_count(names)} enrolled: {listed(names)}", 0, names)
        self._enrolled |= bool(progress.roster)
        for name, why in event.left_out:
            yield Sentence(f"round {event.round}: without {name}: {why}", event.round, (name,), bad=True)
        known = len(progress.history) - 1 if self._shown is None else self._shown
        for record in progress.history[max(0, known) :]:
            if record.contributors or record.abandoned:
                yield self._closed(record, rounds, event.seconds)
        self._shown = len(progress.history)
        if progress.phase == "done":
            yield Sentence(f"done after {rounds} rounds{self._metric(progress.history[-1])}", rounds)

    def _closed(self, record: Record, rounds: int, seconds: float) -> Sentence:
        number = record.after + 1
        if record.abandoned:
            return Sentence(f"abandoned: {record.abandoned}", number, bad=True)
        who = f"{_count(record.contributors)} contributed"
        text = f"round {number} of {rounds} in {_seconds(seconds)}: {who}{self._metric(record, 'before it ')}"
        return Sentence(text, number, record.contributors)

    def _metric(self, record: Record, when: str = "") -> str:
        """The task's headline metric, where anybody discloses it."""
        study = self._study
        name = find(study.task, study.task_version, study.options).headline
        value = {**record.summed, **plain(mean(record.metrics))}.get(name)
        return "" if value is None else f"; {when}{name} {value:.3f}"


def listed(names: Sequence[str]) -> str:
    """As in: amiens, brest and caen."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _count(names: Sequence[str]) -> str:
    return f"{len(names)} hospital{'' if len(names) == 1 else 's'}"


def _seconds(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds < 10 else duration(seconds)
