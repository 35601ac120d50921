"""Pictures of what the model sees and says: bull's-eyes of the AHA segments, and contours."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import nn

from simulation.heart.export.pictures import bullseye
from tasks.contract import Picture
from tasks.infarct.excursion import Contours
from tasks.infarct.inputs import InfarctPatients, measured
from tasks.patients import Patients, PooledPatients

DPI = 100
UNKNOWN_GREY = "#dddddd"
# What is shown of the motion where it is known, best first: name, title, lowest and highest of the scale.
MOTIONS = (
    ("circumferential", "circumferential strain", -0.3, 0.05),
    ("radial", "radial strain", -0.1, 0.8),
    ("carried", "inward motion", -0.1, 0.5),
)
SHOWN = 4  # slices of a contour drawing


@dataclass(frozen=True, eq=False)
class Judged:
    """One patient as the model judges her.

    Attributes:
        probability: of an infarct.
        segments: (17,) probabilities.
        truth: (1 + 17,) as `InfarctPatients.targets`.
        table: (17, 2 × CHANNELS) what it read.

    """

    probability: float
    segments: npt.NDArray[np.float64]
    truth: npt.NDArray[np.float32]
    table: npt.NDArray[np.float32]

    @property
    def wrong(self) -> float:
        """How far the patient's probability lies from the truth, 0 to 1."""
        return abs(self.probability - float(self.truth[0]))


def judge(model: nn.Module, patients: Patients) -> list[Judged]:
    """Each patient by her first examination, in the order of the patients."""
    if isinstance(patients, PooledPatients):
        return [judged for each in patients.groups for judged in judge(model, each)]
    if not isinstance(patients, InfarctPatients) or not len(patients):
        return []
    with torch.no_grad():
        chances = torch.sigmoid(model(patients.views[:, 0])).double().numpy()
    tables, truths = patients.views[:, 0].numpy(), patients.targets.numpy()
    return [
        Judged(float(chance[0]), chance[1:], truth, table)
        for chance, truth, table in zip(chances, truths, tables, strict=True)
    ]


def gallery(model: nn.Module, patients: Patients) -> list[Picture]:
    """Best, median and worst patient: bull's-eyes of motion, of what the model says, of the truth."""
    each = sorted((one for one in judge(model, patients) if one.truth[0] >= 0), key=lambda one: one.wrong)
    places = {"best": 0, "median": len(each) // 2, "worst": len(each) - 1}
    return [
        Picture(
            f"{word} of {len(each)}, probability of infarct {each[place].probability:.2f}, "
            f"in truth {'an infarct' if each[place].truth[0] > 0 else 'none'}",
            bullseyes(each[place]),
        )
        for word, place in places.items()
        if each
    ]


def bullseyes(patient: Judged) -> bytes:
    """A PNG: motion, probability and, where segments' truth is known, truth."""
    known = bool((patient.truth[1:] >= 0).any())
    figure = Figure(figsize=(2.4 * (2 + known), 2.7), dpi=DPI, facecolor="white")
    axes = figure.subplots(1, 2 + known, subplot_kw={"projection": "polar"})
    motion(axes[0], patient)
    _filled(axes[1], patient.segments, 0.0, 1.0, "probability of infarct", "Reds")
    if known:
        truth = np.where(patient.truth[1:] >= 0, patient.truth[1:], np.nan).astype(np.float64)
        _filled(axes[2], truth, 0.0, 1.0, "infarcted, in truth", "Reds")
    figure.subplots_adjust(left=0.01, right=0.99, bottom=0.01, top=0.82, wspace=0.05)
    return _png(figure)


def motion(axes: Axes, patient: Judged) -> None:
    """A bull's-eye of the motion that is known best; red moves least."""
    values = measured(patient.table)
    for name, title, low, high in MOTIONS:
        if np.isfinite(values[name]).any():
            colours = "RdYlBu_r" if name == "circumferential" else "RdYlBu"
            _filled(axes, values[name], low, high, title, colours)
            return
    _filled(axes, np.full(17, np.nan), 0.0, 1.0, "motion unknown", "Reds")


def _filled(
    axes: Axes, values: npt.NDArray[np.float64], low: float, high: float, title: str, colours: str
) -> None:
    """A bull's-eye whose unknown segments are grey."""
    bullseye(axes, np.where(np.isfinite(values), values, low), low, high, colours)
    for bar, value in zip(axes.patches, values, strict=True):
        if not np.isfinite(value):
            bar.set_facecolor(UNKNOWN_GREY)
    axes.set_title(f"{title}\n{low:g} to {high:g}", fontsize=7, y=1.0, pad=2.0)


def contour_sheet(patients: Sequence[tuple[str, Contours, Judged]]) -> bytes:
    """A PNG: of each patient (caption, contours, judgement) slices from base to apex, and two bull's-eyes.

    End-diastole is drawn thin, end-systole thick; the septum is on the left.
    """
    rows = len(patients)
    figure = Figure(figsize=(1.5 * (SHOWN + 2), 1.9 * rows + 0.3), dpi=DPI, facecolor="white")
    for row, (caption, drawn, judged) in enumerate(patients):
        chosen = np.unique(np.linspace(0, len(drawn.place) - 1, SHOWN).round().astype(int))
        reach = 1.1 * max(np.abs(each - each.mean()).max() for each in drawn.diastole)
        for column, place in enumerate(chosen):
            axes = figure.add_subplot(rows, SHOWN + 2, row * (SHOWN + 2) + column + 1)
            centre = drawn.diastole[place].mean()
            for contour, width, colour in ((drawn.diastole, 0.8, "black"), (drawn.systole, 1.6, "#d55e00")):
                closed = np.append(contour[place], contour[place][:1]) - centre
                axes.plot(closed.real, closed.imag, linewidth=width, color=colour)
            axes.set_xlim(-reach, reach)
            axes.set_ylim(-reach, reach)
            axes.set_aspect("equal")
            axes.set_axis_off()
            if column == 0:
                axes.set_title(caption, fontsize=7, loc="left")
        for column, kind in enumerate(("motion", "said")):
            place = row * (SHOWN + 2) + SHOWN + column + 1
            polar = figure.add_subplot(rows, SHOWN + 2, place, projection="polar")
            if kind == "motion":
                motion(polar, judged)
            else:
                _filled(polar, judged.segments, 0.0, 1.0, "probability", "Reds")
    figure.tight_layout(pad=0.4, rect=(0, 0, 1, 0.97))
    return _png(figure)


def _png(figure: Figure) -> bytes:
    stream = io.BytesIO()
    figure.savefig(stream, format="png", metadata={"Software": None})
    return stream.getvalue()
