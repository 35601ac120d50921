"""Image files as volumes (slice, phase, row, column) that hang as a radiologist hangs a short axis.

Columns run towards the patient's left and back, rows towards the feet, as far as the header says where the
patient is: a NIfTI file may have been mirrored or turned by whoever converted it.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ground.errors import DataError

# Where columns and rows of a picture point, left-posterior-superior: of a short axis, and of files whose axes
# are exactly the patient's, in which nobody wrote how the heart lies.
SHORT_AXIS = (np.array([0.7, 0.7, 0.0]), np.array([0.0, 0.3, -0.95]))
PLAIN = (np.array([1.0, 0.0, 0.0]), np.array([0.0, 1.0, 0.0]))

Vector = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Volume:
    """Grey values or labels with their place.

    Attributes:
        values: (S, T, Y, X).
        across: (3,) mm, left-posterior-superior, from one column to the next.
        down: (3,) mm from one row to the next.
        along: (3,) mm from one slice to the next.

    """

    values: npt.NDArray[Any]
    across: Vector
    down: Vector
    along: Vector

    @property
    def spacing(self) -> tuple[float, float]:
        """Between rows, between columns, in mm."""
        return float(np.linalg.norm(self.down)), float(np.linalg.norm(self.across))

    @property
    def gap(self) -> float:
        """Between slices, in mm."""
        return float(np.linalg.norm(self.along))

    def hung(self) -> Volume:
        """The same, turned and mirrored by quarter turns only, slices ascending along columns × rows."""
        right, below = PLAIN if self._is_plain() else SHORT_AXIS

        def fits(way: tuple[bool, int, int]) -> float:
            swap, first, second = way
            across, down = (self.down, self.across) if swap else (self.across, self.down)
            return float(first * _unit(across) @ right + second * _unit(down) @ below)

        swap, first, second = max(itertools.product((False, True), (1, -1), (1, -1)), key=fits)
        values, across, down = self.values, self.across, self.down
        if swap:
            values, across, down = values.swapaxes(2, 3), down, across
        turned = replace(
            self, values=values[:, :, ::second, ::first], across=first * across, down=second * down
        )
        if np.cross(turned.across, turned.down) @ self.along < 0:
            turned = replace(turned, values=turned.values[::-1], along=-self.along)
        return turned

    def _is_plain(self) -> bool:
        axes = np.stack([_unit(each) for each in (self.across, self.down, self.along)])
        return bool((np.abs(axes).max(axis=1) > 0.9999).all())


def nifti(file: Path, where: str) -> Volume:
    """A volume of a NIfTI file (x, y, slice[, phase]); raises DataError, which says `where`, no name."""
    import nibabel
    from nibabel.filebasedimages import ImageFileError

    try:
        image = nibabel.Nifti1Image.from_filename(str(file))
        values = np.asanyarray(image.dataobj)
    except (OSError, ValueError, EOFError, ImageFileError) as error:
        raise DataError(f"{where}: a file cannot be read as NIfTI: remove it or write it again") from error
    if values.ndim not in (3, 4) or not np.isfinite(values).all():
        raise DataError(
            f"{where}: a file is no stack of slices with finite values: remove it or write it again"
        )
    if values.ndim == 3:
        values = values[..., None]
    affine = np.asarray(image.affine, dtype=np.float64)
    columns = [
        affine[:3, place] * [-1.0, -1.0, 1.0] for place in range(3)
    ]  # NIfTI is right-anterior-superior
    if any(np.linalg.norm(each) < 1e-6 or not np.isfinite(each).all() for each in columns):
        raise DataError(f"{where}: a file does not say how large a voxel is: write it again")
    return Volume(values.transpose(2, 3, 1, 0), *columns).hung()


def dicom(folder: Path, where: str) -> Volume:
    """A cine of single-frame DICOM images, sorted by place and time; raises DataError, which says `where`."""
    import pydicom
    from pydicom.errors import InvalidDicomError

    try:
        images = [pydicom.dcmread(file) for file in sorted(folder.iterdir()) if file.is_file()]
        orientation = np.array(images[0].ImageOrientationPatient, dtype=np.float64)
        between = [float(each) for each in images[0].PixelSpacing]
        normal = np.cross(orientation[:3], orientation[3:])
        place = [float(np.array(each.ImagePositionPatient, dtype=np.float64) @ normal) for each in images]
        time = [
            (float(each.get("TriggerTime") or 0), int(each.get("InstanceNumber") or 0)) for each in images
        ]
        pixels = [_grey(each) for each in images]
    except (OSError, IndexError, AttributeError, TypeError, ValueError, InvalidDicomError, RuntimeError) as e:
        raise DataError(f"{where}: no cine of single-frame DICOM images with positions: see the guide") from e
    order = sorted(range(len(images)), key=lambda each: (round(place[each], 1), time[each]))
    places = sorted({round(each, 1) for each in place})
    phases = len(images) // len(places)
    if [round(place[each], 1) for each in order] != list(np.repeat(places, phases)):
        raise DataError(f"{where}: slices have different numbers of phases: leave this patient out")
    if len({each.shape for each in pixels}) > 1:
        raise DataError(f"{where}: images have different sizes: keep one series a folder")
    stack = np.stack([pixels[each] for each in order]).reshape(len(places), phases, *pixels[0].shape)
    gap = (
        float(np.median(np.diff(places))) if len(places) > 1 else float(images[0].get("SliceThickness") or 1)
    )
    across, down = orientation[:3] * between[1], orientation[3:] * between[0]
    return Volume(stack, across, down, normal * gap).hung()


def _grey(image: Any) -> npt.NDArray[np.float32]:
    pixels = image.pixel_array
    if pixels.ndim != 2:
        raise ValueError("more than one frame")
    slope, intercept = float(image.get("RescaleSlope") or 1), float(image.get("RescaleIntercept") or 0)
    grey: npt.NDArray[np.float32] = pixels.astype(np.float32) * slope + intercept
    return grey


def same_place(one: Volume, other: Volume) -> bool:
    """Whether two volumes have the same slices, rows, columns and distances, within a hundredth."""
    shapes = [(each.values.shape[0], *each.values.shape[2:]) for each in (one, other)]
    steps: Sequence[tuple[Vector, Vector]] = (
        (one.across, other.across),
        (one.down, other.down),
        (one.along, other.along),
    )
    near = all(np.linalg.norm(a - b) <= 0.02 * np.linalg.norm(a) + 1e-3 for a, b in steps)
    return shapes[0] == shapes[1] and near


def _unit(vector: Vector) -> Vector:
    unit: Vector = vector / np.linalg.norm(vector)
    return unit
