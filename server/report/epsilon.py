"""What privacy costs, as a picture: the headline against ε, one line a way of learning.

The axis of ε is logarithmic; ∞, the same way of learning without privacy, stands at its right end.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, NullLocator

from server.report.charts import INK, PALE, Series, _figure, _label, _legend, _legend_height, _number, _styles
from server.report.charts import _svg as svg

STEP = 1.9  # from the largest ε to ∞, as a factor at the least


def epsilon_picture(curve: Mapping[str, Any]) -> str:
    """The curve of a comparison (`deploy.compare.epsilon_curve`) as SVG."""
    ways, digital, headline = curve["ways"], curve["digital"], str(curve["headline"])
    epsilons = sorted({point["epsilon"] for way in ways for point in way["points"]})
    far = epsilons[-1] * max(STEP, (epsilons[-1] / epsilons[0]) ** 0.25)
    series = [Series(way["label"], {}) for way in ways]
    series += [Series(digital["label"], {}, reference=True)] if digital else []
    figure, axes = _figure(3.3 + _legend_height(series))
    handles: list[Line2D] = []
    for (colour, marker), way in zip(_styles(series), ways, strict=False):
        points = [*way["points"]]
        style: dict[str, Any] = {
            "color": colour,
            "marker": marker,
            "markersize": 5.0,
            "capsize": 2.5,
            "zorder": 3,
        }
        drawn = axes.errorbar(*_columns(points), linewidth=1.6, elinewidth=1.0, **style)
        handles.append(drawn.lines[0])
        if free := way["without_privacy"]:
            end = {**free, "epsilon": far}
            axes.errorbar(*_columns([end]), linestyle="", elinewidth=1.0, **style)
            xs, ys, _ = _columns([points[-1], end])
            axes.plot(xs, ys, color=colour, linewidth=1.0, linestyle=(0, (1, 2)), zorder=2)
    if digital:
        level = _number(digital["mean"])
        handles.append(axes.axhline(level, color=INK, linewidth=1.4, linestyle=(0, (5, 3)), zorder=2))
        if digital["sd"]:
            axes.axhspan(level - digital["sd"], level + digital["sd"], color=PALE, alpha=0.5, zorder=0)
    axes.set_xscale("log")
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_locator(FixedLocator([*epsilons, far]))
    axes.set_xticks([*epsilons, far], [*(f"{each:g}" for each in epsilons), "∞"])
    axes.grid(axis="y", color=PALE, linewidth=0.6)
    _label(axes, "ε of the study, per patient", headline)
    _legend(figure, handles, series)
    said = [_said(way) for way in ways]
    said += [f"{digital['label']}: {_number(digital['mean']):.3f} throughout"] if digital else []
    return svg(figure, "epsilon", f"{headline} against ε. {'; '.join(said)}.")


def _columns(points: Sequence[Mapping[str, Any]]) -> tuple[list[float], list[float], list[float] | None]:
    """Where they stand, their means, and their deviations where every one has its own."""
    deviations = [_number(point["sd"]) for point in points]
    known = not any(map(math.isnan, deviations))
    places, means = [float(point["epsilon"]) for point in points], [_number(p["mean"]) for p in points]
    return places, means, deviations if known else None


def _said(way: Mapping[str, Any]) -> str:
    points = [f"{_number(point['mean']):.3f} at ε = {point['epsilon']:g}" for point in way["points"]]
    if free := way["without_privacy"]:
        points.append(f"{_number(free['mean']):.3f} without privacy")
    return f"{way['label']}: {', '.join(points)}"
