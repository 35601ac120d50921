"""The stored pictures of one patient, series by series, whether or not they make up a volume.

A person who judges a patient has to see what sets her aside: a screenshot that lies nowhere in space too.
"""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from client.archive import Archive
from client.archive.geometry import Frame
from client.archive.reading import quiet
from client.deidentify.lettering import has_lettering
from ground.errors import DataError

MOST_LOOKED_AT = 24  # frames of a series that are searched for writing


@dataclass(frozen=True)
class Film:
    """One series of a patient, or one NIfTI image.

    Attributes:
        name: of this archive alone.
        frames: its frames in their order; none for NIfTI.

    """

    name: str
    frames: tuple[Frame, ...]

    @property
    def images(self) -> int:
        """How many pictures it holds; 1 for a volume."""
        return len(self.frames) or 1


def films(archive: Archive, patient: str) -> list[Film]:
    """All of them, by name."""
    found = archive.frames(patient)
    made = [Film(name, tuple(sorted(frames, key=lambda each: each.order))) for name, frames in found.items()]
    made += [Film(each.name, ()) for each in archive.images(patient) if not each.is_label]
    return sorted((each for each in made if each.name), key=lambda each: each.name)


def middle(archive: Archive, patient: str, film: Film) -> npt.NDArray[np.float32]:
    """Grey values (row, column) of the picture in the middle, a pixel as high as wide."""
    if film.frames:
        return _pixels(archive, film.frames[len(film.frames) // 2])
    volume = archive.volume(patient, film.name)
    values = volume.values[:, :, volume.values.shape[2] // 2, 0]
    spacing = np.linalg.norm(volume.affine[:3, :2], axis=0)
    return _squared(values.T, float(spacing[1]), float(spacing[0]))


def written(archive: Archive, patient: str, film: Film) -> npt.NDArray[np.float32]:
    """The first picture in which there seems to be writing; where there is none, that in the middle."""
    step = max(1, len(film.frames) // MOST_LOOKED_AT)
    for frame in film.frames[::step]:
        pixels = _pixels(archive, frame)
        if has_lettering(pixels):
            return pixels
    return middle(archive, patient, film)


def _pixels(archive: Archive, frame: Frame) -> npt.NDArray[np.float32]:
    from pydicom import dcmread

    with quiet():
        dataset = dcmread(io.BytesIO(archive.content(frame.file)))
        try:
            pixels = dataset.pixel_array.astype(np.float32)
        except Exception as error:
            raise DataError("this picture cannot be decoded") from error
        spacing = [float(each) for each in dataset.get("PixelSpacing") or (1.0, 1.0)]
        inverted = dataset.get("PhotometricInterpretation") == "MONOCHROME1"
    if int(dataset.get("SamplesPerPixel") or 1) > 1:
        pixels = pixels.mean(axis=-1)  # colour: how bright it is
    grey = pixels.reshape(-1, *frame.shape)[frame.number]
    return _squared(-grey if inverted else grey, *spacing)


def _squared(pixels: npt.NDArray[np.float32], down: float, across: float) -> npt.NDArray[np.float32]:
    """Repeat rows or columns until a pixel is about as high as wide, as far as that makes sense."""
    if not (down > 0 and across > 0 and np.isfinite(down / across)):
        return pixels
    rows, columns = (max(1, min(20, round(each / min(down, across)))) for each in (down, across))
    return np.repeat(np.repeat(pixels, rows, axis=0), columns, axis=1)
