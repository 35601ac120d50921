"""Pictures of a result as SVG text that stands inside a page.

Drawn with matplotlib's object interface and no setting of its own, so threads may draw at once. Identifiers
are renumbered in the order in which they appear: the same numbers give the same bytes, and two pictures in
one page never share an identifier. Colours: Okabe & Ito (2008), each with a marker of its own; black is kept
for what the others are to be held against.
"""

from __future__ import annotations

import html
import io
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, get_font
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

Value = float | None

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
INK, PALE = "#1a1a1a", "#d9d9d9"
FONT = "DejaVu Sans"  # comes with matplotlib, so it is the same everywhere
WIDTH, SIZE = 5.8, 9.0  # inches, points
LONGEST = 32


@dataclass(frozen=True)
class Series:
    """One line, or one kind of dot.

    Attributes:
        label: for the legend.
        values: by round, or by hospital; None or NaN leaves a gap.
        level: drawn as a dashed horizontal line where there are no values by round.
        reference: black, as the one that the others are held against.

    """

    label: str
    values: Mapping[Any, Value]
    level: Value = None
    reference: bool = False


def curves(series: Sequence[Series], metric: str) -> str:
    """The metric by round, one line a series; empty where nothing is known."""
    known = [each for each in series if _known(each) or _is_known(each.level)]
    if not known:
        return ""
    figure, axes = _figure(3.3 + _legend_height(known))
    handles = []
    for (colour, marker), each in zip(_styles(series), series, strict=True):
        if each not in known:
            continue
        if _known(each):
            rounds, values = list(each.values), [_number(value) for value in each.values.values()]
            (line,) = axes.plot(
                rounds,
                values,
                color=colour,
                linewidth=2.6 if each.reference else 1.3,
                marker="" if each.reference and len(rounds) > 1 else marker,
                markersize=4.5,
                markevery=max(1, len(rounds) // 7),
                zorder=4 if each.reference else 3,
            )
        else:
            line = axes.axhline(_number(each.level), color=colour, linewidth=1.6, linestyle=(0, (5, 3)))
        handles.append(line)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
    axes.grid(axis="y", color=PALE, linewidth=0.6)
    _label(axes, "rounds done", metric)
    _legend(figure, handles, known)
    return _svg(figure, "curves", f"{metric} by round. " + "; ".join(map(_course, known)) + ".")


def dots(series: Sequence[Series], hospitals: Sequence[str], metric: str) -> str:
    """The metric of each hospital, the first at the top, one dot a series; empty where nothing is known."""
    known = [each for each in series if _known(each)]
    if not known:
        return ""
    row = max(0.34, 0.1 * len(known) + 0.12)
    figure, axes = _figure(0.6 + row * len(hospitals) + _legend_height(known))
    handles = []
    for (colour, marker), each in zip(_styles(series), series, strict=True):
        if each not in known:
            continue
        shift = (known.index(each) + 0.5) / len(known) - 0.5
        (line,) = axes.plot(
            [_number(each.values.get(name)) for name in hospitals],
            [place + 0.76 * shift for place in range(len(hospitals))],
            color=colour,
            linestyle="",
            marker=marker,
            markersize=5.5,
            zorder=3,
        )
        handles.append(line)
    for place in range(0, len(hospitals), 2):
        axes.axhspan(place - 0.5, place + 0.5, color="#f4f4f4", linewidth=0, zorder=0)
    axes.set_yticks(range(len(hospitals)), [_drawable(name) for name in hospitals], parse_math=False)
    axes.set_ylim(len(hospitals) - 0.5, -0.5)
    axes.grid(axis="x", color=PALE, linewidth=0.6)
    _label(axes, metric, "")
    _legend(figure, handles, known)
    return _svg(figure, "dots", f"{metric} of each hospital, by way of learning; the table says the same.")


def _figure(height: float) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(WIDTH, height), layout="constrained", facecolor="white")
    axes = figure.add_subplot()
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color("#777777")
    return figure, axes


def _styles(series: Sequence[Series]) -> list[tuple[str, str]]:
    """A colour and a marker for each, the same in every picture of the same series."""
    return [
        (INK if each.reference else COLOURS[place % len(COLOURS)], MARKERS[place % len(MARKERS)])
        for place, each in enumerate(series)
    ]


def _label(axes: Axes, x: str, y: str) -> None:
    font = FontProperties(family=FONT, size=SIZE)
    axes.set_xlabel(_drawable(x), fontproperties=font, color=INK, parse_math=False)
    axes.set_ylabel(_drawable(y), fontproperties=font, color=INK, parse_math=False)
    axes.tick_params(labelsize=SIZE, labelfontfamily=FONT, labelcolor=INK, color="#777777")


def _legend_height(series: Sequence[Series]) -> float:
    return 0.2 * math.ceil(len(series) / 2)


def _legend(figure: Figure, handles: Sequence[Line2D], series: Sequence[Series]) -> None:
    """Below the axes; names are set afterwards, as a legend leaves out those that begin with "_"."""
    font = FontProperties(family=FONT, size=SIZE)
    places = [str(place) for place in range(len(handles))]
    legend = figure.legend(handles, places, loc="outside lower left", ncols=2, frameon=False, prop=font)
    for text, each in zip(legend.get_texts(), series, strict=True):
        text.set(text=_drawable(each.label), parse_math=False, color=INK)


def _svg(figure: Figure, name: str, description: str) -> str:
    """The figure without prolog, comments, date or size; its identifiers begin with `name`."""
    file = io.StringIO()
    figure.savefig(file, format="svg", metadata=dict.fromkeys(("Creator", "Date", "Format", "Type")))
    text = file.getvalue()
    text = re.sub(r"<!--.*?-->\s*", "", text[text.index("<svg") :], flags=re.DOTALL)
    numbers: dict[str, int] = {}

    def renumbered(match: re.Match[str]) -> str:
        return f"{match[1]}{name}-{numbers.setdefault(match[2], len(numbers))}"

    text = re.sub(r'(\bid="|\bhref="#|url\(#)([^")]+)', renumbered, text)
    start, rest = text.split(">", maxsplit=1)
    start = re.sub(r' (?:width|height)="[^"]*"', "", start).removeprefix("<svg")
    return f'<svg class="picture" role="img" aria-label="{html.escape(description)}"{start}>{rest}'


def _course(series: Series) -> str:
    values = _known(series)
    if not values:
        return f"{series.label}: {_number(series.level):.3f} throughout"
    return f"{series.label}: {values[0]:.3f} at first, {values[-1]:.3f} at last"


def _known(series: Series) -> list[float]:
    return [float(value) for value in series.values.values() if value is not None and not math.isnan(value)]


def _is_known(value: Value) -> bool:
    return not math.isnan(_number(value))


def _number(value: Value) -> float:
    return math.nan if value is None else value


def _drawable(text: str) -> str:
    """Shortened, with "?" for every character that the font lacks."""
    short = text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
    return "".join(each if ord(each) in _glyphs() else "?" for each in short)


@cache
def _glyphs() -> frozenset[int]:
    return frozenset(get_font(findfont(FontProperties(family=FONT))).get_charmap())
