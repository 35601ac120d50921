"""Where each frame lies in the patient, from its header alone, and how frames make a stack.

Coordinates are DICOM's: millimetres, left-posterior-superior. DICOM PS3.3 C.7.6.2 (image plane) and C.7.6.16
(multi-frame functional groups). Files' names and their order on disk mean nothing here; nor does Slice
Location, which some scanners fill with one coordinate of the position instead of the distance along the
normal.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Vector = npt.NDArray[np.float64]

SAME_PLACE = 0.1  # mm along the normal
SAME_DIRECTION = 2e-3  # of a unit vector's components
ON_A_LINE = 1.0  # mm that a slice may lie beside the line through the stack
LARGEST_PIXEL = 20.0  # mm
FARTHEST = 5000.0  # mm from the scanner's origin
MISSING = 1.5  # gaps this many times the usual one lack a slice
UNEVEN = 0.1  # by which gaps may differ, of the usual one


@dataclass(frozen=True)
class Frame:
    """One image.

    Attributes:
        file: its name in the archive.
        number: which frame of the file, from 0.
        shape: rows, columns.
        position: of the middle of the first pixel; None where the header has none.
        orientation: directions of a row (next column) and of a column (next row); None likewise.
        spacing: mm between rows, between columns; None likewise.
        time: ms after the R wave; None where unknown.
        order: temporal position, then instance number: what phases without times are sorted by.
        sort: images of different sorts (magnitude and phase, another echo) never share a stack.

    """

    file: str
    number: int
    shape: tuple[int, int]
    position: tuple[float, ...] | None
    orientation: tuple[float, ...] | None
    spacing: tuple[float, float] | None
    time: float | None
    order: tuple[int, int]
    sort: str

    def to_list(self) -> list[Any]:
        """As the index keeps it; the file's name is beside it."""
        return [
            self.number,
            self.shape,
            self.position,
            self.orientation,
            self.spacing,
            self.time,
            self.order,
            self.sort,
        ]

    @staticmethod
    def from_list(file: str, values: Sequence[Any]) -> Frame:
        """The inverse of `to_list`."""
        number, shape, position, orientation, spacing, time, order, sort = values
        return Frame(
            file,
            int(number),
            (int(shape[0]), int(shape[1])),
            None if position is None else tuple(position),
            None if orientation is None else tuple(orientation),
            None if spacing is None else (float(spacing[0]), float(spacing[1])),
            time,
            (int(order[0]), int(order[1])),
            sort,
        )

    @property
    def is_placed(self) -> bool:
        """Whether the header says where the image lies."""
        return None not in (self.position, self.orientation, self.spacing)

    def wrong(self) -> str:
        """What cannot be true of its place; "" where nothing is wrong."""
        if self.spacing is not None and not all(0 < each <= LARGEST_PIXEL for each in self.spacing):
            return "an image's pixel spacing is impossible"
        if self.position is not None and not all(abs(each) <= FARTHEST for each in self.position):
            return "an image's position is impossible"
        if self.orientation is not None:
            row, column = np.array(self.orientation[:3]), np.array(self.orientation[3:])
            units = np.array([row @ row, column @ column, 1 + row @ column])
            if not np.allclose(units, 1, atol=0.01):
                return "an image's orientation is impossible"
        return ""


@dataclass(frozen=True, eq=False)
class Stack:
    """Parallel frames of one size: `frames[slice][phase]`, slices ascending along the normal."""

    frames: tuple[tuple[Frame, ...], ...]

    @property
    def first(self) -> Frame:
        """The frame that the affine begins with."""
        return self.frames[0][0]

    @property
    def phases(self) -> int:
        """The most frames at one place."""
        return max(len(each) for each in self.frames)

    @property
    def distances(self) -> Vector:
        """(slice,) mm along the normal."""
        return np.array([_along(each[0]) for each in self.frames])

    def affine(self, thickness: float = 1.0) -> npt.NDArray[np.float64]:
        """(4, 4): column, row, slice index to mm, right-anterior-superior, as NIfTI has it.

        The step between slices is that of the positions themselves, so that a gantry's tilt is kept.
        `thickness` (mm) stands for it where there is one slice alone.
        """
        one = self.first
        if one.position is None or one.orientation is None or one.spacing is None:
            raise ValueError("no place")
        start = np.array(one.position)
        if len(self.frames) > 1:
            step = (np.array(self.frames[-1][0].position) - start) / (len(self.frames) - 1)
        else:
            step = normal_of(one) * thickness
        matrix = np.eye(4)
        matrix[:3, 0] = np.array(one.orientation[:3]) * one.spacing[1]
        matrix[:3, 1] = np.array(one.orientation[3:]) * one.spacing[0]
        matrix[:3, 2] = step
        matrix[:3, 3] = start
        matrix[:2] *= -1
        return matrix

    def faults(self) -> list[str]:
        """Why it is no volume: a missing slice or phase, uneven distances, two images in one place."""
        return [each for each in (self._repeated(), self._ragged(), self._holes()) if each]

    def _repeated(self) -> str:
        for here in self.frames:
            times = [(each.time, each.order[0]) for each in here]
            if 1 < len(set(times)) < len(times):
                return "two images have the same place and time"
            if len({(each.time, *each.order) for each in here}) < len(here):
                return "two images have the same place and number"
        return ""

    def _ragged(self) -> str:
        counts = sorted({len(each) for each in self.frames})
        if len(counts) == 1:
            return ""
        few = sum(len(each) < counts[-1] for each in self.frames)
        return (
            f"a phase is missing: {few} of {len(self.frames)} slices have fewer phases than {counts[-1]}, "
            f"the least {counts[0]}"
        )

    def _holes(self) -> str:
        if len(self.frames) < 3:
            return ""
        gaps = np.diff(self.distances)
        usual = float(np.sort(gaps)[(len(gaps) - 1) // 2])  # of two the smaller
        if float(gaps.max()) > MISSING * usual:
            return f"a slice is missing: a gap of {gaps.max():.1f} mm where others are {usual:.1f} mm"
        if float(np.abs(gaps - usual).max()) > UNEVEN * usual:
            return f"slices lie at uneven distances, from {gaps.min():.1f} to {gaps.max():.1f} mm"
        places = np.array([each[0].position for each in self.frames])
        line = places[0] + np.outer(np.arange(len(places)), places[-1] - places[0]) / (len(places) - 1)
        if float(np.linalg.norm(places - line, axis=1).max()) > ON_A_LINE:
            return "slices are shifted against each other"
        return ""


def normal_of(frame: Frame) -> Vector:
    """The unit vector along which slices are sorted."""
    along: Vector = np.cross(np.array(frame.orientation)[:3], np.array(frame.orientation)[3:])
    return along / np.linalg.norm(along)


def stacks_of(frames: Sequence[Frame]) -> list[Stack]:
    """The frames of one series as stacks: split by direction, size and sort, in order of place and time."""
    groups: list[list[Frame]] = []
    for frame in sorted(
        (each for each in frames if each.is_placed and not each.wrong()), key=lambda each: each.order
    ):
        group = next(
            (each for each in groups if is_parallel(each[0], frame) and same_grid(each[0], frame)), None
        )
        if group is None:
            groups.append([frame])
        else:
            group.append(frame)
    return [_stack(group) for group in groups]


def is_parallel(one: Frame, other: Frame) -> bool:
    """Whether two frames have the same directions and are of one sort."""
    directions = np.array(one.orientation) - np.array(other.orientation)
    return one.sort == other.sort and float(np.abs(directions).max()) < SAME_DIRECTION


def same_grid(one: Frame, other: Frame) -> bool:
    """Whether two frames have as many pixels of the same size."""
    return one.shape == other.shape and bool(
        np.allclose(np.array(one.spacing), np.array(other.spacing), rtol=1e-3)
    )


def merged(stacks: Sequence[Stack]) -> Stack:
    """One stack of several, as of a scanner that makes each slice a series of its own."""
    return _stack([frame for stack in stacks for here in stack.frames for frame in here])


def _stack(frames: list[Frame]) -> Stack:
    # Along one normal for all: directions of a series may differ in the last digit.
    normal = normal_of(frames[0])
    place = {id(each): float(np.array(each.position) @ normal) for each in frames}
    slices: list[list[Frame]] = []
    last = -np.inf
    for frame in sorted(frames, key=lambda each: place[id(each)]):
        if place[id(frame)] - last > SAME_PLACE:
            slices.append([])
        slices[-1].append(frame)
        last = place[id(frame)]
    return Stack(tuple(tuple(sorted(each, key=_when)) for each in slices))


def _when(frame: Frame) -> tuple[float, int, int, int]:
    return (-1.0 if frame.time is None else frame.time, *frame.order, frame.number)


def _along(frame: Frame) -> float:
    return float(np.array(frame.position) @ normal_of(frame))
