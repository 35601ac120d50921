"""Is there writing in a picture? A simple test for rows of small, sharp, even marks, as letters are.

It finds what programs burn in: lines of letters that stand out from their surroundings by a good part of the
picture's range. It does not read, and it does not see faint, tiny or handwritten letters, nor fewer than five
in a row; `docs/hospital.md` says how many it found where.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Picture = NDArray[np.float32]
CONTRAST = 0.3  # of the range of values: so much a letter stands out from what is beside it
EDGES = 8  # so many sharp changes has a row of pixels that runs through five letters, at least
SMALLEST, TALLEST = 5, 48  # pixels, of a letter
LETTERS = 5  # in one line, at least
STROKE = 9  # pixels: a line of a letter is thinner
EVENNESS = 0.15  # of the range: letters of a line are of one brightness


def has_lettering(values: NDArray[Any]) -> bool:
    """Whether there seems to be writing in a picture (Y, X), or in a run of them (T, Y, X)."""
    if values.ndim < 2 or min(values.shape[-2:]) < SMALLEST:
        return False
    frames = values.reshape(-1, *values.shape[-2:])
    return any(_written(frame.astype(np.float32)) for frame in frames)


def _written(picture: Picture) -> bool:
    low, high = float(picture.min()), float(picture.max())
    if not np.isfinite(low + high):
        picture = np.nan_to_num(picture, nan=0.0, posinf=0.0, neginf=0.0)
        low, high = float(picture.min()), float(picture.max())
    if high <= low:
        return False
    # One pixel of metal, or padding, may stretch the range so far that letters drown: look again without it.
    sample = np.sort(picture[::3, ::3], axis=None)
    dark, bright = float(sample[len(sample) // 1000]), float(sample[len(sample) * 99 // 100])
    spans = [(low, high)]
    if bright > dark and high - low > 2 * (bright - dark):
        spans.append((dark, bright + 0.5 * (bright - dark)))
    for bottom, top in spans:
        scaled = (np.clip(picture, bottom, top) - np.float32(bottom)) * np.float32(1 / (top - bottom))
        if _lines(scaled, 0) or _lines(scaled, 1):
            return True
    return False


def _lines(picture: Picture, along: int) -> bool:
    return any(_letters(shade) for band in _bands(picture, along) for shade in (band, 1.0 - band))


def _bands(picture: Picture, along: int) -> Iterator[Picture]:
    """Full rows of the picture (or columns, laid down) in which values change sharply and often."""
    beside = picture[1:] - picture[:-1] if along else picture[:, 1:] - picture[:, :-1]
    edges = (beside > CONTRAST) | (beside < -CONTRAST)
    busy = np.flatnonzero(np.count_nonzero(edges, axis=0 if along else 1) >= EDGES)
    if busy.size < SMALLEST:
        return
    for run in np.split(busy, np.flatnonzero(np.diff(busy) > 3) + 1):
        if run.size >= SMALLEST - 1:
            rows = slice(max(run[0] - 4, 0), run[-1] + 5)
            yield picture[:, rows].T if along else picture[rows]


def _letters(band: Picture) -> bool:
    """Whether bright marks in a band are like letters of a line."""
    across = ndimage.grey_opening(band, size=(1, STROKE))
    down = ndimage.grey_opening(band, size=(STROKE, 1))
    ink = band - np.minimum(across, down) > CONTRAST
    labels, count = ndimage.label(ink, structure=np.ones((3, 3)))
    if count < LETTERS:
        return False
    boxes = ndimage.find_objects(labels)
    bright = ndimage.maximum(band, labels, np.arange(1, count + 1))
    marks = [
        (cols.start, cols.stop, rows.start, rows.stop, level)
        for (rows, cols), level in zip(boxes, bright, strict=True)
        if SMALLEST <= rows.stop - rows.start <= TALLEST
        and cols.stop - cols.start <= 3 * (rows.stop - rows.start)
    ]
    return _longest(sorted(marks)) >= LETTERS


def _longest(marks: list[tuple[int, int, int, int, float]]) -> int:
    """How many marks, from left to right, follow one another as letters do: even, close, of one height."""
    best, lengths = 0, [1] * len(marks)
    for index, (left, _, top, bottom, level) in enumerate(marks):
        height = bottom - top
        for before in range(max(0, index - 24), index):
            _, end, above, below, shade = marks[before]
            other = below - above
            if (
                -1 <= left - end <= 2 * max(height, other)
                and max(height, other) <= 1.6 * min(height, other)
                and abs(bottom - below) <= 0.35 * max(height, other)
                and abs(level - shade) <= EVENNESS
            ):
                lengths[index] = max(lengths[index], lengths[before] + 1)
        best = max(best, lengths[index])
    return best
