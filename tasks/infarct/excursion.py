"""From contours of the cavity to how far the endocardium of each segment has come inwards.

A slice's contour is 72 points in mm, x towards the image's right, y towards its top. Regional shortening is
1 − √(A_es/A_ed), A the area that a segment's sector sweeps about a centre, added over the slices that
show the segment: a slice near the apex weighs what it holds. Where the centre lies at end-systole is a
convention, and each sees what another misses:

    fixed     the centroid of end-diastole: sees the heart being carried about
    floating  the centroid of each phase: blind to it, and half blind to one wall that stands still
    carried   the centroid of end-diastole, carried by what all slices have moved in the middle

Sectors count from the middle of the septum, which no mask shows: it is taken to lie where it does on the
average short axis, to the left and `SEPTUM` upwards.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import pi, radians, tau

import numpy as np
import numpy.typing as npt
from scipy.ndimage import map_coordinates

from simulation.heart.anatomy.segments import RINGS, SEGMENTS

Array = npt.NDArray[np.float64]
ANGLES = 72
CONVENTIONS = ("fixed", "floating", "carried")
SEPTUM = radians(20.0)  # above the image's left, as in `anatomy.groups.ROTATION`
_TURNS = np.arange(ANGLES) * (tau / ANGLES)
_RAY = 0.25  # pixels between samples on a ray


@dataclass(frozen=True, eq=False)
class Contours:
    """The cavity's contours of one patient, in slices that show it at end-diastole and at end-systole.

    Attributes:
        diastole: complex (slice, ANGLES) mm, x + iy, in order around.
        systole: the same at end-systole.
        place: (slice,) 0 at the base, 1 at the apex.

    """

    diastole: npt.NDArray[np.complex128]
    systole: npt.NDArray[np.complex128]
    place: Array


def outline(mask: npt.NDArray[np.bool_], spacing: float) -> npt.NDArray[np.complex128]:
    """(ANGLES,) mm: the border of a mask (Y, X), seen from its centroid, y upwards; the mask is not empty."""
    rows, columns = np.nonzero(mask)
    row, column = rows.mean(), columns.mean()
    reach = 1.5 + float(np.hypot(rows - row, columns - column).max())
    steps = np.arange(0.0, reach, _RAY)
    y = row - steps[:, None] * np.sin(_TURNS)
    x = column + steps[:, None] * np.cos(_TURNS)
    inside = map_coordinates(mask.astype(np.float64), [y, x], order=1, mode="constant")
    radius = inside.sum(axis=0) * _RAY
    centre = complex(column, -row)
    outlined: npt.NDArray[np.complex128] = (centre + radius * np.exp(1j * _TURNS)) * spacing
    return outlined


def area_and_centre(contour: npt.NDArray[np.complex128]) -> tuple[Array, npt.NDArray[np.complex128]]:
    """Area (mm²) and centroid of closed polygons, their points in order along the last dimension."""
    after = np.roll(contour, -1, axis=-1)
    cross = contour.real * after.imag - contour.imag * after.real
    area = cross.sum(-1) / 2
    centre = ((contour + after) * cross).sum(-1) / np.where(area == 0.0, 1.0, 6 * area)
    return np.abs(area), centre


def radii(contour: npt.NDArray[np.complex128], centre: npt.NDArray[np.complex128]) -> Array:
    """(slice, ANGLES) mm from a centre inside, at angles 2πj/ANGLES from the image's right."""
    away = contour - centre[:, None]
    turns, lengths = np.angle(away) % tau, np.abs(away)
    found = [np.interp(_TURNS, t, r, period=tau) for t, r in zip(turns, lengths, strict=True)]
    return np.stack(found)


def shortening(contours: Contours) -> Array:
    """(3, 17) regional shortening by `CONVENTIONS` and segment; NaN where no slice shows a segment."""
    _, before = area_and_centre(contours.diastole)
    areas, after = area_and_centre(contours.systole)
    moved = (after - before) @ (areas / areas.sum())
    rings = ring_of(contours.place)
    known = rings.any(axis=0)

    def swept(contour: npt.NDArray[np.complex128], centre: npt.NDArray[np.complex128]) -> Array:
        found: Array = ((radii(contour, centre) ** 2 @ SECTORS) * rings).sum(axis=0)[known]
        return found

    whole = swept(contours.diastole, before)
    found = np.full((len(CONVENTIONS), SEGMENTS), np.nan)
    for number, centre in enumerate((before, after, before + moved)):
        found[number, known] = 1.0 - np.sqrt(swept(contours.systole, centre) / whole)
    return found


def ring_of(place: Array) -> Array:
    """(slice, 17) how much a slice says about each segment by its place, 0 at the base; none about 17."""
    member = np.zeros((len(place), SEGMENTS))
    segment = 0
    for number, (_, count, _) in enumerate(RINGS):
        beside = place * len(RINGS) - (number + 0.5)
        beside = beside.clip(0.0 if number == 0 else -np.inf, 0.0 if number == len(RINGS) - 1 else np.inf)
        share = np.clip(1.5 - 2.0 * np.abs(beside), 0.0, 1.0)
        member[:, segment : segment + count] = share[:, None]
        segment += count
    return member


def _sectors() -> Array:
    """(ANGLES, 17) which of the image's directions belong to each segment's sector."""
    member = np.zeros((ANGLES, SEGMENTS))
    own = (pi - SEPTUM) - _TURNS  # the heart's angles
    segment = 0
    for _, count, start in RINGS:
        for step in range(count):
            away = (own - (start - step * tau / count) + pi) % tau - pi
            member[:, segment] = np.clip((0.5 * tau / count - np.abs(away)) / radians(5.0) + 0.5, 0.0, 1.0)
            segment += 1
    return member


SECTORS = _sectors()


def ejection_fraction(contours: Contours) -> float:
    """Of the slices that show both phases, which lie evenly."""
    first, _ = area_and_centre(contours.diastole)
    second, _ = area_and_centre(contours.systole)
    return float(1.0 - second.sum() / first.sum())


def thickening(cavity: Contours, wall: Contours) -> Array:
    """(17,) relative thickening, of the outer radius less that of the cavity; NaN where unknown."""
    found = np.full(SEGMENTS, np.nan)
    rings = ring_of(cavity.place)
    known = rings.any(axis=0)
    thick = []
    for inner, outer in ((cavity.diastole, wall.diastole), (cavity.systole, wall.systole)):
        _, centre = area_and_centre(inner)
        thick.append(((((radii(outer, centre) - radii(inner, centre)) @ SECTORS) * rings).sum(axis=0))[known])
    found[known] = thick[1] / np.maximum(thick[0], 1.0) - 1.0
    return found
