"""Writes down what a study's coordinator does: a listener of `server.events`."""

from __future__ import annotations

import json
import logging
import math
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path

from ground.errors import LaennecError
from ground.files import locked
from privacy.accountant import Accountant
from server.events import Advanced, Answered, Arriving, Event, Preparing, Waiting, halt, listening
from server.logs import FILE, about, logging_to
from server.narrator import Narrator, Rarer, Sentence
from server.progress import Progress, Record
from server.recording.lines import EVENTS, LOCK, Line, Lines, append, say_now
from server.telemetry.mlflow import Tracker, is_installed
from tasks.registry import find
from tasks.study import Study

log = logging.getLogger("laennec.recording")
PATIENCE = 5.0  # seconds: whoever asks whether a recording is alive holds its lock for an instant
LONGEST = 400  # characters of a reason


class Recorder:
    """Records one study in its folder, over any number of attempts. Threads may share it.

    A full disk stops no study: what could not be written is told to the log, once.
    """

    def __init__(self, folder: Path, study: Study, now: Callable[[], float] = time.time) -> None:
        self._folder, self._study, self._now = folder, study, now
        self._guard, self._well = threading.RLock(), True
        self._shown, self._enrolled = 0, False
        self._waits = Rarer()
        self._moment: dict[str, Line] = {"waits": {}, "arriving": {}, "prepare": {}}
        folder.mkdir(parents=True, exist_ok=True)
        for line in Lines(folder).new()[0]:
            if line["what"] == "shown" and isinstance(line.get("number"), int):
                self._shown = max(self._shown, line["number"] + 1)
            self._enrolled |= line["what"] == "enrolled"

    def __call__(self, event: Event) -> None:
        """Write an event down."""
        with self._guard:
            if isinstance(event, Advanced):
                self._advanced(event)
            elif isinstance(event, Answered):
                self._answered(event)
            elif isinstance(event, Waiting):
                self._waiting(event)
            elif isinstance(event, Preparing):
                self._now_is("prepare", "", {"done": event.done, "total": event.total})
            elif isinstance(event, Arriving):
                self._now_is("arriving", event.hospital, asdict(event))

    def begin(self) -> None:
        """A coordinator takes the study up, for the first time or again."""
        study, privacy = self._study, self._study.privacy
        self._write(
            {
                "what": "begin",
                "study": study.name,
                "digest": study.digest,
                "task": study.task,
                "headline": find(study.task, study.task_version, study.options).headline,
                "rounds": study.rounds,
                "epsilon": None if privacy is None else privacy.epsilon,
                "delta": None if privacy is None else privacy.delta,
                "secure": study.secure,
            }
        )

    def end(self, state: str, why: str = "") -> None:
        """How this attempt ended: "done", "stopped" (it can go on) or "failed" (a person is needed)."""
        self._write({"what": "end", "state": state, "why": why[:LONGEST]})

    def _advanced(self, event: Advanced) -> None:
        progress = event.progress
        if progress.roster and not self._enrolled:
            self._write({"what": "enrolled", "hospitals": [asdict(member) for member in progress.roster]})
            self._enrolled = True
        for number in range(self._shown, len(progress.history)):
            self._write({"what": "shown", "number": number, **_shown(progress.history[number])})
        self._shown = max(self._shown, len(progress.history))
        self._write(
            {
                "what": "step",
                "next": progress.phase,
                "round": event.round,
                "seconds": round(event.seconds, 4),
                "busy": round(event.busy, 4),
                "left_out": [[name, why[:LONGEST]] for name, why in event.left_out],
                "releases": _releases(progress),
            }
        )
        self._waits.over()
        self._moment = {"waits": {}, "arriving": {}, "prepare": {}}

    def _answered(self, event: Answered) -> None:
        line: Line = {
            "what": "answer",
            "hospital": event.hospital,
            "phase": event.phase,
            "round": event.round,
            "seconds": round(event.seconds, 4),
        }
        if event.error:
            line["error"] = event.error[:LONGEST]
        if event.spent is not None:
            line["spent"] = json.loads(event.spent.to_json())
        self._write(line)

    def _waiting(self, event: Waiting) -> None:
        """The moment's file each time; a line where it is news: others are waited for, or twice as long."""
        said = {"hospitals": event.hospitals, "seconds": round(event.seconds, 1), "limit": event.limit}
        said |= {"for": event.what, "last_seen": event.last_seen}
        self._now_is("waits", event.what, said)
        if self._waits.news(event):
            self._write({"what": "wait", **said})

    def _now_is(self, what: str, which: str, said: Line) -> None:
        self._moment[what][which] = {"time": self._now(), **said}
        moment = _plain(self._moment)
        self._try(lambda: say_now(self._folder, moment))

    def _write(self, line: Line) -> None:
        durable = line["what"] != "answer"
        with self._guard:
            line = _plain({"time": round(self._now(), 3), **line})
            self._try(lambda: append(self._folder / EVENTS, line, durable=durable))

    def _try(self, write: Callable[[], None]) -> None:
        try:
            write()
            self._well = True
        except OSError as error:
            if self._well:
                log.warning("%s: cannot be written: %s", self._folder / EVENTS, error.strerror)
            self._well = False


@contextmanager
def recording(folder: Path, study: Study) -> Iterator[Recorder]:
    """Inside, every event of this process is recorded and logged there, and how it ended.

    Raises StateError where another process records that study.
    """
    busy = f"{folder}: another process is running this study"
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        stack.enter_context(locked(folder / LOCK, PATIENCE, busy))
        stack.enter_context(logging_to(folder / FILE))
        stack.enter_context(about(study))
        recorder, narrator = Recorder(folder, study), Narrator(study)
        recorder.begin()
        narrator.say(Sentence("a coordinator takes the study up"))
        stack.enter_context(listening(recorder))
        stack.enter_context(listening(narrator))
        tracker = Tracker(study, folder.parent.parent) if is_installed() else None
        if tracker is not None:
            stack.enter_context(listening(tracker))
        try:
            yield recorder
        except BaseException as error:
            state, why = _ended(error)
            recorder.end(state, why)
            if tracker is not None:
                tracker.end(state)
            narrator.say(Sentence(f"{state}: {why}", bad=True))
            raise
        recorder.end("done")
        if tracker is not None:
            tracker.end("done")


def _ended(error: BaseException) -> tuple[str, str]:
    """How it ended, and why: of a foreign error only the kind, since its text may be anybody's."""
    own = isinstance(error, LaennecError)
    stopped = halt.is_set() if own else not isinstance(error, Exception)
    return "stopped" if stopped else "failed", str(error) if own else type(error).__name__


def _shown(record: Record) -> Line:
    return {
        "after": record.after,
        "hospitals": {name: dict(values) for name, values in record.metrics.items()},
        "summed": dict(record.summed),
        "contributors": list(record.contributors),
        "abandoned": record.abandoned[:LONGEST],
    }


def _releases(progress: Progress) -> list[Mapping[str, float]]:
    """The noisy releases so far, like ones counted together: their order costs nothing."""
    together = Accountant()
    for event in sorted(
        progress.accountant.events, key=lambda each: (each.sampling_rate, each.noise_multiplier)
    ):
        together = together.spend(event)
    return [asdict(event) for event in together.events]


def _plain(value: Line) -> Line:
    """The same with null for what is no finite number, as JSON has none."""
    plain = _plain_value(value)
    return plain if isinstance(plain, dict) else {}


def _plain_value(value: object) -> object:
    if isinstance(value, Mapping):
        return {str(key): _plain_value(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain_value(each) for each in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, str | int | bool) else str(value)
