"""Hearts of discs and rings, to write and to read back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import numpy.typing as npt
import torch

from tasks.hearts.grey import as_images, scaled
from tasks.hearts.patients import LEFT, MYOCARDIUM, RIGHT, SIZE, Heart

ACDC = {"rv": 1, "myocardium": 2, "lv": 3}
# Columns, rows and slices of a short axis, right-anterior-superior: the first slice is the base.
SHORT_AXIS = np.stack([[-0.7, -0.7, 0.0], [0.0, -0.3, -0.95], [0.6, -0.7, 0.25]], axis=1)


def labels(radii: tuple[int, ...], size: int = SIZE) -> npt.NDArray[np.uint8]:
    """(slice, Y, X) by our numbers: a cavity of that radius, 6 pixels of wall, a right cavity on the left."""
    rows, columns = np.mgrid[:size, :size] - size // 2
    stack = np.zeros((len(radii), size, size), dtype=np.uint8)
    for drawn, radius in zip(stack, radii, strict=True):
        drawn[np.hypot(rows + 5, columns + radius + 12) < radius] = RIGHT
        drawn[np.hypot(rows, columns) < radius + 6] = MYOCARDIUM
        drawn[np.hypot(rows, columns) < radius] = LEFT
    return stack


def image(drawn: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """Grey values of such labels, with a slope that tells left from right and top from bottom."""
    rows, columns = np.mgrid[: drawn.shape[-2], : drawn.shape[-1]]
    shades = np.array([10, 200, 60, 190], dtype=np.float32)
    return shades[drawn] + 0.2 * rows.astype(np.float32) + 0.1 * columns.astype(np.float32)


def heart(diastole: tuple[int, ...] = (20, 16, 8), systole: tuple[int, ...] = (14, 10, 4)) -> Heart:
    drawn = np.concatenate([labels(diastole), labels(systole)])
    order = np.lexsort((np.repeat([0, 1], 3), np.tile(np.arange(3), 2)))
    return Heart(
        images=as_images(scaled(image(drawn)[order])),
        labels=torch.from_numpy(drawn[order]),
        phase=np.repeat([0, 1], 3)[order],
        level=np.tile(np.arange(3), 2)[order],
        spacing=1.4,
        gap=8.0,
        group="normal",
    )


def affine(spacing: float = 1.4, gap: float = 8.0) -> npt.NDArray[np.float64]:
    matrix = np.eye(4)
    matrix[:3, :3] = SHORT_AXIS / np.linalg.norm(SHORT_AXIS, axis=0) * [spacing, spacing, gap]
    return matrix


def write(file: Path, values: npt.NDArray[Any], place: npt.NDArray[np.float64] | None = None) -> None:
    """(slice, Y, X) or (slice, phase, Y, X) as NIfTI (x, y, slice[, phase])."""
    axes = (2, 1, 0) if values.ndim == 3 else (3, 2, 0, 1)
    file.parent.mkdir(parents=True, exist_ok=True)
    nibabel.Nifti1Image(values.transpose(axes), affine() if place is None else place).to_filename(str(file))


def numbered(drawn: npt.NDArray[np.uint8], convention: dict[str, int]) -> npt.NDArray[np.uint8]:
    """Our numbers as a centre writes them."""
    table = np.zeros(4, dtype=np.uint8)
    table[[LEFT, MYOCARDIUM, RIGHT]] = [convention[name] for name in ("lv", "myocardium", "rv")]
    return table[drawn]


def acdc(folder: Path, name: str, convention: dict[str, int] = ACDC) -> None:
    """One patient as ACDC lays her out."""
    for frame, radii in (("01", (20, 16, 8)), ("12", (14, 10, 4))):
        drawn = labels(radii)
        write(folder / name / f"{name}_frame{frame}.nii.gz", image(drawn))
        write(folder / name / f"{name}_frame{frame}_gt.nii.gz", numbered(drawn, convention))
