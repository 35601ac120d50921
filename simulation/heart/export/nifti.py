"""A volume as NIfTI-1, compressed without a time stamp, so that equal volumes are equal files."""

from __future__ import annotations

import gzip

import nibabel
import numpy as np
from numpy.typing import NDArray


def nifti(volume: NDArray[np.generic], affine: NDArray[np.float64], cycle_ms: float | None = None) -> bytes:
    """The bytes of a .nii.gz.

    `volume` is (slice, y, x) or (slice, phase, y, x), or without slices' phases; NIfTI wants (x, y, slice,
    phase). `affine` (4, 4) takes (column, row, slice) to millimetres, right-anterior-superior. `cycle_ms` is
    the length of the heart's cycle, which gives the fourth axis its unit.
    """
    axes = (2, 1, 0) if volume.ndim == 3 else (3, 2, 0, 1)
    image = nibabel.Nifti1Image(np.ascontiguousarray(volume.transpose(axes)), affine)
    image.header.set_xyzt_units("mm", "msec")
    image.set_sform(affine, code=1)
    image.set_qform(affine, code=1)
    if cycle_ms is not None:
        zooms = image.header.get_zooms()
        image.header.set_zooms((*zooms[:3], cycle_ms / volume.shape[1]))
    return gzip.compress(image.to_bytes(), compresslevel=6, mtime=0)
