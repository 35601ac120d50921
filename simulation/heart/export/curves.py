"""One page of a digital heart's function: pressure-volume loop, strains, activation, electrocardiogram."""

from __future__ import annotations

import io

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from simulation.heart.electrophysiology.ecg import LEADS
from simulation.heart.export.pictures import DPI, bullseye
from simulation.heart.patient import DigitalHeart

MMHG = 7.50062  # in one kPa
SHOWN = ("II", "V2", "V5")
DEAD = 0.3  # from this share of dead myocytes on, a segment is drawn in red


def curves(heart: DigitalHeart) -> bytes:
    """The page as a PNG."""
    figure = Figure(figsize=(11.0, 5.6), dpi=DPI, facecolor="white", layout="constrained")
    grid = figure.add_gridspec(2, 3)
    _loop(figure.add_subplot(grid[0, 0]), heart)
    _strain(figure.add_subplot(grid[0, 1]), heart, heart.strain_circumferential, "circumferential strain")
    _strain(figure.add_subplot(grid[0, 2]), heart, heart.strain_radial, "radial strain")
    _volumes(figure.add_subplot(grid[1, 0]), heart)
    _activation(figure.add_subplot(grid[1, 1], projection="polar"), heart)
    _leads(figure.add_subplot(grid[1, 2]), heart)
    edv, esv = heart.lv_ml.max(), heart.lv_ml.min()
    figure.suptitle(
        f"{heart.group}: EDV {edv:.0f} mL, ejection fraction {100 * (edv - esv) / edv:.0f} %, "
        f"{60_000 / heart.cycle_ms:.0f} beats a minute",
        fontsize=10,
    )
    stream = io.BytesIO()
    figure.savefig(stream, format="png", metadata={"Software": None})
    return stream.getvalue()


def _closed(values: np.ndarray) -> np.ndarray:
    return np.append(values, values[:1], axis=0)


def _loop(axes: Axes, heart: DigitalHeart) -> None:
    axes.plot(_closed(heart.lv_ml), MMHG * _closed(heart.pressure_kpa), color="black")
    axes.set(xlabel="LV volume (mL)", ylabel="LV pressure (mmHg)")


def _volumes(axes: Axes, heart: DigitalHeart) -> None:
    axes.plot(heart.times_ms, heart.lv_ml, color="black", label="LV")
    axes.plot(heart.times_ms, heart.rv_ml, color="tab:blue", label="RV")
    axes.set(xlabel="time (ms)", ylabel="volume (mL)")
    axes.legend(frameon=False, fontsize=8)


def _strain(axes: Axes, heart: DigitalHeart, strain: np.ndarray, name: str) -> None:
    for segment in range(17):
        dead = heart.infarcted[segment] >= DEAD
        axes.plot(heart.times_ms, strain[:, segment], color="tab:red" if dead else "0.6", linewidth=0.9)
    axes.axhline(0.0, color="black", linewidth=0.5)
    if (heart.infarcted >= DEAD).any():
        axes.set_title(f"red: at least {DEAD:.0%} of the myocytes dead", fontsize=8)
    axes.set(xlabel="time (ms)", ylabel=name)


def _activation(axes: Axes, heart: DigitalHeart) -> None:
    low, high = float(heart.activation_ms.min()), float(heart.activation_ms.max())
    bullseye(axes, heart.activation_ms, low, max(high, low + 1.0), "viridis")
    axes.set_title(f"activation, {low:.0f} (blue) to {high:.0f} ms (yellow)", fontsize=9)


def _leads(axes: Axes, heart: DigitalHeart) -> None:
    for row, lead in enumerate(SHOWN):
        trace = heart.ecg_mv[LEADS.index(lead)]
        axes.plot(heart.ecg_times_ms, trace - 3.0 * row, color="black", linewidth=0.9)
        axes.text(500.0, 0.3 - 3.0 * row, lead, fontsize=8, ha="right")
    axes.set(xlabel="time (ms)", ylabel="pseudo-ECG (mV, 3 mV apart)")
