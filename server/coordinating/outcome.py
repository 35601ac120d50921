"""What is said of a finished study, from its recording: several processes may have been at it."""

from __future__ import annotations

import itertools
from pathlib import Path

from server.progress import Progress
from server.recording import Line, Lines, standing
from server.results import Described, Seconds, describe

ENGINE = "coordinator"


def describe_recorded(progress: Progress, folder: Path) -> Described:
    """The result and the card of a study that was recorded in that folder."""
    return describe(
        progress,
        engine=ENGINE,
        secret_noise=True,  # hospitals draw theirs from their operating system
        seconds=seconds_of(folder),
        left_out=standing(folder).left_out,
    )


def seconds_of(folder: Path) -> Seconds:
    """How long it took, over all attempts; the time between two of them does not count."""
    lines, _ = Lines(folder).new()
    total = sum(max(0.0, after["time"] - before["time"]) for before, after in _spans(lines))
    steps = [(int(each["round"]), each["seconds"], each["busy"]) for each in lines if each["what"] == "step"]
    counted = [each for each in steps if each[0] > 1] or [each for each in steps if each[0] > 0]
    over = sum(max(0.0, seconds - busy) for _, seconds, busy in counted)
    rounds = len({number for number, _, _ in counted})
    return Seconds(total, sum(busy for _, _, busy in steps), over / max(1, rounds))


def _spans(lines: list[Line]) -> list[tuple[Line, Line]]:
    """Two lines, one after the other, of one attempt."""
    return [(a, b) for a, b in itertools.pairwise(lines) if b["what"] != "begin"]
