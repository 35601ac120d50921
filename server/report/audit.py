"""What an audit found, in words, numbers and pictures: the worst case first.

Measurements come as plain values (`deploy.audit` takes them). Each becomes a finding with one number that
puts attacks of different kinds into one order, its `share`: 0 where nothing was learned beyond what anybody
knows, 1 where all was, or all that the claim allows.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties

from server.report.charts import FONT, INK, WIDTH, _drawable, _svg

CANNOT_SHOW = (
    "What an audit cannot show: that a study is safe. A lower bound on epsilon is not a proof of an upper "
    "one, an attack that fails is only this attack failing, other attackers may do better, and only what was "
    "attacked was tested: these patients, these releases, this model."
)
SEES = {"sum": "sees the sum of each round", "each": "sees each hospital's update"}
# Inputs of that many numbers are drawn as a strip, one cell a number.
LONGEST_STRIP = 64
BEYOND = 3.0  # standard deviations at which the colours end


def findings(measured: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Every measurement as a finding, those of the study as it is first, the worst first among them.

    Keys: attack, attacker, study (False where something was taken from the study, so that the attack should
    succeed), measured, beside, share, holds (None where nothing was claimed), says.
    """
    every = [*_of_canaries(measured), *_of_membership(measured), *_of_inversion(measured)]
    return sorted(every, key=lambda each: (not each["study"], -each["share"]))


def sentences(audit: Mapping[str, Any]) -> list[str]:
    """For the privacy card: what was found of the study itself, worst first, and what no audit can show."""
    said = [each["says"] for each in audit["findings"] if each["study"]]
    return [*said, *audit["skipped"], audit["cannot_show"]]


def pictures(audit: Mapping[str, Any]) -> str:
    """The digital patient and her reconstructions as SVG; empty where there are none."""
    inversion = audit["inversion"]
    if not inversion:
        return ""
    rows = [("the digital patient", np.asarray(inversion["views"][0]["truth"]))]
    for view in inversion["views"]:
        update = "own update" if view["sees"] == "each" else "sum only"
        rows.append((f"{update}, {_protection(view)}", np.asarray(view["guess"])))
    size = rows[0][1].size
    spatial = rows[0][1].squeeze().ndim >= 2
    figure = _images(rows) if spatial else _strip(rows, _names(inversion["names"], size))
    best = min(inversion["views"], key=lambda view: view["error"])
    described = f"A digital patient and her reconstructions from gradients; least error {best['error']:.3f}."
    return _svg(figure, "inversion", described)


def _finding(
    attack: str, attacker: str, measured: str, beside: str, share: float, *, study: bool, holds: bool | None
) -> dict[str, Any]:
    return {
        "attack": attack,
        "attacker": attacker,
        "study": study,
        "measured": measured,
        "beside": beside,
        "share": max(0.0, share),
        "holds": holds,
        "says": f"{attack}, {attacker}: {measured}; {beside}",
    }


def _of_canaries(measured: Mapping[str, Any]) -> list[dict[str, Any]]:
    canaries, found = measured["canaries"], []
    for sight in canaries["sights"] if canaries else []:
        bounds, claim = sight["bounds"], sight["claim"]
        within = sum(bound <= claim for bound in bounds)
        kept = f"within it in {within} of {len(bounds)}"
        broken = f"exceeded in {len(bounds) - within} of {len(bounds)}"
        found.append(
            _finding(
                f"canaries{'' if sight['noise'] else ', noise taken out'}",
                SEES[sight["sees"]],
                f"ε ≥ {max(bounds):.3f}, the highest; median {statistics.median(bounds):.3f}",
                f"{'claimed' if sight['claimed'] else 'its noise allows'} {claim:.3f}, "
                f"{kept if sight['noise'] else broken}",
                max(bounds) / claim,
                study=sight["noise"] and sight["seen"],
                holds=within == len(bounds),
            )
        )
    return found


def _of_membership(measured: Mapping[str, Any]) -> list[dict[str, Any]]:
    membership, found = measured["membership"], []
    for model in membership["models"] if membership else []:
        worst = model["hospitals"][0]
        limit = model["limit"]
        beside = "guessing 0.500" + ("" if limit is None else f", ε allows {limit:.3f}")
        for where, rates in (("all patients", model), (f"worst: {worst['name']}", worst)):
            found.append(
                _finding(
                    f"membership{'' if model['privacy'] else ', no privacy'}",
                    f"has the model; {where}",
                    f"AUC {rates['auc']:.3f} ({rates['low']:.3f} to {rates['high']:.3f}); "
                    f"{100 * rates['true_positives']:.1f} % found at "
                    f"{100 * rates['false_positives']:.0f} % false alarms",
                    beside,
                    2 * rates["auc"] - 1,
                    study=model["privacy"] == measured["private"],
                    holds=None if limit is None else rates["auc"] <= limit,
                )
            )
    return found


def _of_inversion(measured: Mapping[str, Any]) -> list[dict[str, Any]]:
    inversion, found = measured["inversion"], []
    for view in inversion["views"] if inversion else []:
        found.append(
            _finding(
                f"inversion{'' if view['privacy'] else ', no privacy'}",
                SEES[view["sees"]],
                f"error {view['error']:.3f}, median of {view['victims']} digital patients",
                f"without an update {view['guesser']:.3f}",
                1.0 - view["error"] / view["guesser"],
                study=view["seen"] and view["privacy"] == measured["private"],
                holds=None,
            )
        )
    return found


def _protection(view: Mapping[str, Any]) -> str:
    return f"ε = {view['epsilon']:g}" if view["privacy"] else "ε = ∞"


def _names(names: Sequence[str], size: int) -> list[str]:
    return list(names) if len(names) == size else [str(number + 1) for number in range(size)]


def _strip(rows: Sequence[tuple[str, Any]], names: Sequence[str]) -> Figure:
    """One row a patient, one cell an input, blue below the population's mean and red above."""
    shown = min(len(names), LONGEST_STRIP)
    values = np.stack([row.reshape(-1)[:shown] for _, row in rows])
    figure = Figure(figsize=(WIDTH, 1.1 + 0.28 * len(rows)), layout="constrained", facecolor="white")
    axes = figure.add_subplot()
    drawn = axes.pcolormesh(values, cmap="RdBu_r", vmin=-BEYOND, vmax=BEYOND, edgecolors="white", linewidth=1)
    axes.invert_yaxis()
    axes.set_yticks(np.arange(len(rows)) + 0.5, [_drawable(label) for label, _ in rows], parse_math=False)
    labels = [_drawable(name) for name in names[:shown]]
    axes.set_xticks(np.arange(shown) + 0.5, labels, rotation=60, ha="right", rotation_mode="anchor")
    axes.tick_params(labelsize=8, labelfontfamily=FONT, labelcolor=INK, length=0)
    axes.spines[:].set_visible(False)
    _scale(figure, drawn, axes)
    return figure


def _images(rows: Sequence[tuple[str, Any]]) -> Figure:
    """One picture a patient, side by side; of a volume the middle slice."""
    figure = Figure(figsize=(WIDTH, 1.9), layout="constrained", facecolor="white")
    places = np.atleast_1d(figure.subplots(1, len(rows)))
    for axes, (label, values) in zip(places, rows, strict=True):
        drawn = axes.imshow(_slice(values), cmap="RdBu_r", vmin=-BEYOND, vmax=BEYOND)
        axes.set_title(_drawable(label), fontproperties=FontProperties(family=FONT, size=7), color=INK)
        axes.set_axis_off()
    _scale(figure, drawn, list(places))
    return figure


def _slice(values: Any) -> Any:
    image = values.squeeze()
    while image.ndim > 2:
        image = image[len(image) // 2]
    return image


def _scale(figure: Figure, drawn: Any, axes: Any) -> None:
    bar = figure.colorbar(drawn, ax=axes, shrink=0.9, aspect=12)
    bar.ax.tick_params(labelsize=7, labelfontfamily=FONT, labelcolor=INK)
    bar.outline.set_visible(False)
