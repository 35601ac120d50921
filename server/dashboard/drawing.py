"""Lines and bars as coordinates: templates draw them as SVG that stretches, with words beside it as text.

Everything that a drawing shows stands beside it in words or in a table: it is never the only way to know.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 600.0, 200.0
COLOURS = 6  # of lines in the style sheet; more lines are drawn alike, and the mean over them
ROOM = 0.06  # of the height, above the highest and below the lowest value

Points = Sequence[tuple[int, float | None]]


@dataclass(frozen=True)
class Curve:
    """One line of a chart.

    Attributes:
        label: for the legend.
        style: which of the style sheet's lines; "mean" for the one that stands for all, "many" beyond those.
        path: in SVG, gaps where nothing is known.
        last: the last known value; None where there is none.

    """

    label: str
    style: str
    path: str
    last: float | None


@dataclass(frozen=True)
class Chart:
    """Lines over rounds, the mean last.

    Attributes:
        curves: the lines.
        ticks: labels at equal distances, from the top to the bottom of the drawing.
        levels: how high they are in the drawing, from its top.

    """

    curves: tuple[Curve, ...]
    ticks: tuple[str, ...]
    levels: tuple[float, ...]

    @property
    def legend(self) -> list[Curve]:
        """The mean, then the others, the lowest first."""
        return sorted(self.curves, key=lambda each: (each.style != "mean", each.last or 0.0, each.label))


@dataclass(frozen=True)
class Stretch:
    """Rounds that went alike for a hospital: from `start`, `length` of them, "in", "out" or "lost"."""

    start: int
    length: int
    kind: str


def chart(mean: Points, others: Sequence[tuple[str, Points]], rounds: int, name: str) -> Chart | None:
    """A metric over the study's rounds: the mean, and one line each; None where nothing is known."""
    lines = [(label, points) for label, points in others if _known(points)]
    every = [value for _, points in [("", mean), *lines] for value in _known(points)]
    if not every:
        return None
    ticks = _ticks(min(every), max(every))
    low, high = ticks[0], ticks[-1]
    many = len(lines) > COLOURS
    curves = [
        Curve(label, "many" if many else f"s{place}", _path(points, rounds, low, high), _known(points)[-1])
        for place, (label, points) in enumerate(lines)
    ]
    if _known(mean):
        curves.append(Curve(name, "mean", _path(mean, rounds, low, high), _known(mean)[-1]))
    levels = tuple(HEIGHT * (high - value) / (high - low) for value in reversed(ticks))
    return Chart(tuple(curves), tuple(f"{value:.4g}" for value in reversed(ticks)), levels)


def spark(points: Points, rounds: int) -> str:
    """A small line without axes; empty where nothing is known."""
    values = _known(points)
    return _path(points, rounds, *_room(min(values), max(values))) if values else ""


def stretches(
    rounds: int, contributed: Iterable[int], missed: Iterable[int], lost: Iterable[int]
) -> list[Stretch]:
    """A hospital's rounds so far; "lost" are those that were abandoned for everybody."""
    kinds = dict.fromkeys(missed, "out") | dict.fromkeys(lost, "lost") | dict.fromkeys(contributed, "in")
    found: list[Stretch] = []
    for number in sorted(each for each in kinds if 1 <= each <= rounds):
        last = found[-1] if found else None
        if last is not None and last.kind == kinds[number] and last.start + last.length == number:
            found[-1] = Stretch(last.start, last.length + 1, last.kind)
        else:
            found.append(Stretch(number, 1, kinds[number]))
    return found


def _path(points: Points, rounds: int, low: float, high: float) -> str:
    path, pen = "", "M"
    for number, value in points:
        if value is None or not math.isfinite(value):
            pen = "M"
            continue
        x = WIDTH * number / max(1, rounds)
        y = HEIGHT * (high - value) / (high - low)
        path += f"{pen}{x:.1f} {y:.1f}"
        pen = "L"
    return path


def _room(low: float, high: float) -> tuple[float, float]:
    span = high - low or abs(high) or 1.0
    return low - ROOM * span, high + ROOM * span


def _ticks(low: float, high: float) -> list[float]:
    """Four to eight round values at equal distances, from below the lowest to above the highest."""
    span = high - low or abs(high) or 1.0
    size = 10.0 ** math.floor(math.log10(span))
    step = next(size * part for part in (2.0, 1.0, 0.5, 0.2) if span / (size * part) > 3)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [number * step for number in range(first, max(last, first + 1) + 1)]


def _known(points: Points) -> list[float]:
    return [value for _, value in points if value is not None and math.isfinite(value)]
