"""Pictures of digital hearts: a contact sheet, a heart that beats, the bull's-eye of AHA segments."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

Picture = NDArray[np.uint8]
# RV cavity, LV myocardium, LV cavity.
COLOURS = ((86, 180, 233), (230, 159, 0), (0, 158, 115))
DPI = 80
HEADINGS = ("end-diastole: base", "middle", "apex", "end-systole: base", "middle", "apex")


@dataclass(frozen=True)
class Row:
    """One patient of a contact sheet.

    Attributes:
        caption: a few words.
        picture: (Y, X, 3), of the same size in every row.
        segments: (17,) a value for each AHA segment, in the sheet's unit.

    """

    caption: str
    picture: Picture
    segments: NDArray[np.float64]


def grey(image: NDArray[np.generic], low: float, high: float) -> Picture:
    """An image (Y, X) in the window from `low` to `high`, as colour (Y, X, 3)."""
    scaled = np.clip((image.astype(np.float64) - low) / max(high - low, 1e-12), 0.0, 1.0)
    return np.repeat((scaled * 255).round().astype(np.uint8)[..., None], 3, axis=-1)


def window(images: NDArray[np.generic]) -> tuple[float, float]:
    """Grey levels that a person would choose: from the 1st to the 99.5th percentile."""
    low, high = np.percentile(images.astype(np.float64), (1.0, 99.5))
    return float(low), float(high)


def outlined(picture: Picture, labels: NDArray[np.uint8]) -> Picture:
    """The picture (Y, X, 3) with the border of each label (Y, X) drawn in its colour."""
    drawn = picture.copy()
    for label, colour in enumerate(COLOURS, start=1):
        inside = labels == label
        padded = np.pad(inside, 1)
        eroded = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
        drawn[inside & ~eroded] = colour
    return drawn


def bullseye(
    axes: Axes, values: NDArray[np.float64], low: float, high: float, colours: str = "RdBu_r"
) -> None:
    """Values of the 17 AHA segments on polar axes, seen from the apex (Cerqueira et al. 2002)."""
    scale = matplotlib.colormaps[colours]
    for segment in range(1, 18):
        inner, outer, middle, width = _wedge(segment)
        share = (float(values[segment - 1]) - low) / (high - low)
        axes.bar(
            middle, outer - inner, width=width, bottom=inner, color=scale(min(max(share, 0.0), 1.0)),
            edgecolor="white", linewidth=0.5,
        )  # fmt: skip
    axes.set_axis_off()
    axes.set_ylim(0, 1)


def contact_sheet(rows: Sequence[Row], title: str, unit: str, low: float, high: float) -> bytes:
    """A PNG: a row for each patient, its picture, and a bull's-eye of `unit` from `low` to `high`."""
    tall, wide = (side / DPI for side in rows[0].picture.shape[:2])
    figure = Figure(figsize=(wide + tall + 0.2, len(rows) * tall + 0.7), dpi=DPI, facecolor="white")
    top = 0.45 / figure.get_figheight()
    height, width = tall / figure.get_figheight(), wide / figure.get_figwidth()
    figure.text(0.01, 1 - top / 3, title, fontsize=9, va="center")
    for place, heading in enumerate(HEADINGS):
        across = width * (place + 0.5) / len(HEADINGS)
        figure.text(across, 1 - 0.8 * top, heading, fontsize=7, va="center", ha="center")
    for number, row in enumerate(rows):
        bottom = 1 - top - (number + 1) * height
        axes = figure.add_axes((0.0, bottom, width, height))
        axes.imshow(row.picture, interpolation="nearest", aspect="auto")
        axes.set_axis_off()
        axes.text(3, 9, row.caption, color="white", fontsize=7, va="center")
        side = tall / figure.get_figwidth()
        polar = figure.add_axes((width, bottom + 0.05 * height, side, 0.9 * height), projection="polar")
        bullseye(polar, row.segments, low, high)
    figure.text(0.99, 0.1 / figure.get_figheight(), f"bull's-eyes: {unit}, {low:g} (blue) to {high:g} (red)",
                fontsize=7, ha="right")  # fmt: skip
    stream = io.BytesIO()
    figure.savefig(stream, format="png", metadata={"Software": None})
    return stream.getvalue()


def png(picture: Picture) -> bytes:
    """The picture (Y, X, 3) as a PNG."""
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, format="PNG", optimize=False)
    return stream.getvalue()


def read(file: Path) -> Picture:
    """The picture (Y, X, 3) of a PNG."""
    with Image.open(file) as image:
        return np.asarray(image.convert("RGB"))


def animation(frames: Sequence[Picture], cycle_ms: float, zoom: int = 2) -> bytes:
    """A GIF that shows the frames (Y, X, 3) once a cycle, for ever."""
    pictures = [
        Image.fromarray(np.kron(each, np.ones((zoom, zoom, 1), dtype=np.uint8))).quantize(
            128, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE
        )
        for each in frames
    ]
    stream = io.BytesIO()
    pictures[0].save(
        stream, format="GIF", save_all=True, append_images=pictures[1:], loop=0,
        duration=max(20, round(cycle_ms / len(frames))), optimize=False,
    )  # fmt: skip
    return stream.getvalue()


def _wedge(segment: int) -> tuple[float, float, float, float]:
    """Inner and outer radius, angle of the middle and width of a segment: anterior up, septum on the left."""
    if segment == 17:
        return 0.0, 0.25, 0.0, math.tau
    if segment > 12:
        return 0.25, 0.5, math.radians(90.0 + 90.0 * (segment - 13)), math.radians(90.0)
    inner = 0.75 if segment <= 6 else 0.5
    return inner, inner + 0.25, math.radians(90.0 + 60.0 * ((segment - 1) % 6)), math.radians(60.0)
