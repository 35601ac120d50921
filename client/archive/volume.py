"""A patient's image as numbers with their place, from the archive's own files."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from client.archive.examining import Series
from client.archive.geometry import Frame
from client.archive.reading import quiet
from ground.errors import DataError
from ground.files import write_atomically


@dataclass(frozen=True, eq=False)
class Volume:
    """Grey values, and where they lie. Sensitive.

    Attributes:
        values: (column, row, slice, phase) float32.
        affine: (4, 4), column, row, slice index to mm, right-anterior-superior, as NIfTI has it.
        times: (phase,) ms after the R wave at the first slice; NaN where unknown.

    """

    values: npt.NDArray[np.float32]
    affine: npt.NDArray[np.float64]
    times: npt.NDArray[np.float64]

    def to_nifti(self) -> bytes:
        """As a compressed NIfTI file, placed by both of its matrices; equal volumes make equal bytes."""
        import gzip

        import nibabel

        values = self.values[..., 0] if self.values.shape[3] == 1 else self.values
        image = nibabel.Nifti1Image(values, self.affine)
        image.set_sform(self.affine, 1)  # scanner's coordinates
        image.set_qform(self.affine, 1)
        image.header.set_xyzt_units("mm", "msec")
        if values.ndim == 4 and len(self.times) > 1 and np.isfinite(self.times).all():
            image.header["pixdim"][4] = float(np.median(np.diff(self.times)))
        return gzip.compress(image.to_bytes(), compresslevel=1, mtime=0)

    def write(self, path: Path) -> None:
        """Write it as .nii.gz, whole or not at all."""
        write_atomically(path, self.to_nifti())


def from_dicom(series: Series, content: Callable[[str], bytes]) -> Volume:
    """The volume of one series; `content` gives a stored file's bytes. Slices that lack a phase are left out.

    Raises DataError where its images cannot be decoded.
    """
    most = series.stack.phases
    slices = [each for each in series.stack.frames if len(each) == most]
    rows, columns = series.stack.first.shape
    values = np.empty((columns, rows, len(slices), most), dtype=np.float32)
    pictures = _Pictures(content)
    for place, here in enumerate(slices):
        for phase, frame in enumerate(here):
            values[:, :, place, phase] = pictures.of(frame).T
    times = np.array([np.nan if each.time is None else each.time for each in slices[0]], dtype=np.float64)
    affine = type(series.stack)(tuple(slices)).affine(series.thickness or 1.0)
    return Volume(values, affine, times)


def from_nifti(raw: bytes) -> Volume:
    """An imported NIfTI file, in its own axes."""
    import gzip

    import nibabel

    image = nibabel.Nifti1Image.from_bytes(gzip.decompress(raw))
    values = np.asarray(image.dataobj, dtype=np.float32)
    values = values.reshape(*values.shape, *(1,) * (4 - values.ndim))
    return Volume(values, np.asarray(image.affine, dtype=np.float64), np.full(values.shape[3], np.nan))


class _Pictures:
    """Pixels of frames; a file of many frames is decoded once."""

    def __init__(self, content: Callable[[str], bytes]) -> None:
        self._content = content
        self._name = ""
        self._pixels: npt.NDArray[Any] = np.empty(0)
        self._header: Any = None

    def of(self, frame: Frame) -> npt.NDArray[np.float32]:
        """(row, column) in the modality's own units."""
        from pydicom import dcmread

        if frame.file != self._name:
            with quiet():
                self._header = dcmread(io.BytesIO(self._content(frame.file)))
                try:
                    pixels = self._header.pixel_array
                except Exception as error:
                    raise DataError("an image cannot be decoded: see `laennec hospital status`") from error
            if int(self._header.get("SamplesPerPixel") or 1) > 1:  # colour: how bright it is
                pixels = pixels.astype(np.float32).mean(axis=-1)
            self._pixels = pixels.reshape(-1, *frame.shape)
            self._name = frame.file
        slope, intercept = _scale(self._header, frame.number)
        grey: npt.NDArray[np.float32] = self._pixels[frame.number].astype(np.float32) * slope + intercept
        return grey


def _scale(header: Any, number: int) -> tuple[float, float]:
    """Rescale slope and intercept, of the file or of the frame."""
    for groups, place in (
        ("PerFrameFunctionalGroupsSequence", number),
        ("SharedFunctionalGroupsSequence", 0),
    ):
        found = header.get(groups)
        if found and (values := found[place].get("PixelValueTransformationSequence")):
            return float(values[0].get("RescaleSlope") or 1), float(values[0].get("RescaleIntercept") or 0)
    return float(header.get("RescaleSlope") or 1), float(header.get("RescaleIntercept") or 0)
