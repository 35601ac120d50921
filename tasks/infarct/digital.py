"""What a hospital would have measured of digital hearts: strains, and contours of the cavity in slices.

No image is made: the plane of a slice cuts the moved endocardium, which gives the contour at once. What
separates such a contour from one that a person draws is added: where the slices happen to lie, how they are
tilted and turned, a heart that moves as a whole, a phase beside end-systole, papillary muscles taken for
wall, and a hand that wavers.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from math import pi, radians, tau

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from simulation.heart import strata as hearts_strata
from simulation.heart.anatomy.segments import SEGMENTS
from simulation.heart.mechanics.beat import Beat
from simulation.heart.people import draw
from simulation.heart.physiology import Hearts, live
from simulation.heart.threads import one_thread
from simulation.recipe import Recipe
from tasks.infarct.cohort import STRATA, muscle
from tasks.infarct.excursion import ANGLES, CONVENTIONS, Array, Contours, area_and_centre, shortening
from tasks.infarct.inputs import InfarctPatients, examination

PHASES = 20
STEPS = 400  # of a beat: as `simulation.heart.patient.pairs`
BATCH = 128
INFARCTED = 0.25  # dead share of a segment's wall from which it counts as infarcted
LEAST_AREA = 50.0  # mm²: nobody contours less
LEAST_SLICES = 3
HAND = np.array([0.8, 0.5, 0.9, 0.9, 0.6, 0.35, 0.25, 0.15, 0.1])  # of a hand's error, by harmonic
PAPILLARY = (radians(40.0), radians(-60.0))  # where they stand in the image
ROWS = 128  # of the table of radii over height
BELOW = 1.02  # of the heart's length, where that table begins
# The phases whose motion is built: end-diastole, the one before end-systole, that one, and the one after.
SHOWN = ("diastole", "before", "systole", "after")
DIASTOLE, SYSTOLE = 0, 2
Points = npt.NDArray[np.complex128]
_TURNS = np.arange(ANGLES) * (tau / ANGLES)


@dataclass(frozen=True, eq=False)
class Beating:
    """One digital heart, as far as this task looks at it.

    Attributes:
        recipe: of whom.
        strains: (3, 17) circumferential, longitudinal, radial, at end-systole.
        peak: (17,) the greatest circumferential shortening of the beat, negative.
        late: (17,) by what share of the cycle it comes after end-systole.
        dead: (17,) share of each segment's wall.
        ejection: fraction, of the beat.
        volume_ml: at end-diastole.
        rotation, tilt: radians, of the slices.
        radius: (len(SHOWN), ROWS, ANGLES) mm, at heights `height`, NaN above the valve.
        height: (ROWS,) mm from below the apex to above the base at end-diastole.
        twist: (len(SHOWN),) rad.

    """

    recipe: Recipe
    strains: Array
    peak: Array
    late: Array
    dead: Array
    ejection: float
    volume_ml: float
    rotation: float
    radius: Array
    height: Array
    twist: Array


@one_thread()
def beating(recipes: Sequence[Recipe]) -> list[Beating]:
    """The hearts of some recipes; each is the same in any company but for rounding."""
    found: list[Beating] = []
    for first in range(0, len(recipes), BATCH):
        some = recipes[first : first + BATCH]
        uneven = [muscle(each) for each in some]
        hearts = live(
            [draw(each) for each in some],
            PHASES,
            electrophysiology=False,
            steps=STEPS,
            contractility=torch.stack([each.contractility for each in uneven]),
            delay_ms=torch.stack([each.delay_ms for each in uneven]),
            shown=_shown,
        )
        found += _each(hearts)
    return found


def _shown(beat: Beat) -> Tensor:
    """(P, 4) the phases of `SHOWN`."""
    around = (beat.end_systole[:, None] + torch.tensor([-1, 0, 1])).clamp(1, PHASES - 1)
    return torch.cat([torch.zeros_like(around[:, :1]), around], dim=1)


def _each(hearts: Hearts) -> list[Beating]:
    motion, beat = hearts.motion, hearts.beat
    strains = torch.stack(motion.strains(), dim=1)[:, :, SYSTOLE].double().numpy()
    squares, moved = motion.squares()[0].double().numpy(), motion.height.double().numpy()
    twist, dead = motion.twist.double().numpy(), hearts.infarct.fractions().double().numpy()
    peak, when = beat.strain_circumferential.double().min(dim=1)
    late = (when - beat.end_systole[:, None]).double() / PHASES
    found = []
    for i, person in enumerate(hearts.people):
        height = np.linspace(-BELOW * float(hearts.anatomy.length[i]), 0.0, ROWS)
        radius = [_table(moved[i, p], squares[i, p], height) for p in range(len(SHOWN))]
        found.append(
            Beating(
                recipe=person.recipe,
                strains=strains[i],
                peak=peak[i].numpy(),
                late=late[i].numpy(),
                dead=dead[i],
                ejection=float(beat.ejection_fraction[i]),
                volume_ml=float(hearts.lv_ml[i, 0]),
                rotation=person.measures["rotation_rad"],
                radius=np.stack(radius),
                height=height,
                twist=twist[i],
            )
        )
    return found


def _table(moved: Array, square: Array, height: Array) -> Array:
    """(ROWS, ANGLES) mm: radii at fixed heights, of a phase's table over material heights."""
    columns = [
        np.interp(height, moved[:, j], square[:, j], left=-1.0, right=np.nan) for j in range(moved.shape[1])
    ]
    table: Array = np.sqrt(np.clip(np.stack(columns, axis=1), 0.0, None))
    return table


def cut(heart: Beating, phase: int, planes: Array, tilt: tuple[float, float], turn: float) -> Points:
    """(slice, ANGLES) mm: contours in planes that cross the axis at heights `planes`; NaN above the valve."""
    table = heart.radius[phase]
    length = -heart.height[0] / BELOW
    own = np.broadcast_to(_TURNS, (len(planes), ANGLES))
    lean = tilt[0] * np.cos(_TURNS) + tilt[1] * np.sin(_TURNS)
    radius = np.zeros((len(planes), ANGLES))
    for _ in range(5):
        z = planes[:, None] + np.nan_to_num(radius, nan=20.0) * lean
        share = np.clip(-z / length, 0.0, 1.0)
        radius = _read(table, heart.height, z, own - heart.twist[phase] * share)
    # The heart's angle a is the image's angle π − (a − rotation): see `imaging.slices`.
    place: Points = radius * np.exp(1j * (pi - (own - turn)))
    return place[:, ::-1]


def _read(table: Array, height: Array, z: Array, angle: Array) -> Array:
    """Bilinear, periodic in the angle; NaN where the table is."""
    row = np.clip((z - height[0]) / (height[1] - height[0]), 0, len(height) - 1)
    low = np.minimum(row.astype(int), len(height) - 2)
    column = (angle % tau) * (table.shape[1] / tau)
    left = column.astype(int) % table.shape[1]
    right = (left + 1) % table.shape[1]
    up, on = row - low, column - np.floor(column)
    below = table[low, left] * (1 - on) + table[low, right] * on
    above = table[low + 1, left] * (1 - on) + table[low + 1, right] * on
    read: Array = np.where(up > 0, below * (1 - up) + above * up, below)
    return np.where(z > 0, np.nan, read)


@dataclass(frozen=True)
class Degraded:
    """How far what a hospital has lies from the truth: standard deviations unless said otherwise.

    Chosen so that all digital hearts together look like all of Sunnybrook's together, diagnoses unseen
    (`benchmarks/infarct.py --domain` prints both). Every stratum is degraded alike.
    """

    turn: float = radians(12.0)
    tilt: float = radians(5.0)
    noise_mm: float = 0.6  # a hand's error, of each contour, at each of the first harmonics
    oval: float = 0.035  # second harmonic of a heart's outline, share of its radius
    oval_change: float = 0.025  # of that between the phases
    slip_mm: float = 1.0  # of a slice's centre between the phases
    carried_mm: complex = complex(-2.5, 0.0)  # mean movement of the heart's middle in systole
    carried: float = 1.2  # mm
    rocking_mm: complex = complex(4.5, 3.0)  # mean of how much more the apex moves than the base
    rocking: float = 2.5  # mm
    apex: float = 0.15  # how much smaller the apex is at end-systole than the model's, and the base larger
    apex_spread: float = 0.15
    papillary: float = 0.4  # chance
    papillary_mm: float = 3.0  # deepest
    phase: float = 0.3  # chance of one beside end-systole
    gap_mm: tuple[float, float] = (8.0, 10.5)


TYPICAL = Degraded()
EXACT = Degraded(0, 0, 0, 0, 0, 0, 0j, 0, 0j, 0, 0, 0, 0, 0, 0, (8.0, 8.0))


def contours(heart: Beating, random: np.random.Generator, how: Degraded = TYPICAL) -> Contours | None:
    """The contours of one examination of a heart; None where fewer than three slices show both phases."""
    gap = random.uniform(*how.gap_mm)
    planes: Array = -gap * (
        random.uniform(0.1, 1.0) + np.arange(int(-heart.height[0] / gap) + 1, dtype=float)
    )
    lean = random.normal(0.0, how.tilt, 2) if how.tilt else np.zeros(2)
    tilt = (float(lean[0]), float(lean[1]))
    turn = heart.rotation + (random.normal(0.0, how.turn) if how.turn else 0.0)
    beside = int(random.choice((-1, 1))) if random.random() < how.phase else 0
    both = []
    for when in (DIASTOLE, SYSTOLE + beside):
        drawn = cut(heart, when, planes, tilt, turn)
        open_share = np.isnan(drawn).mean(axis=1)
        drawn = _filled(drawn)
        area, _ = area_and_centre(drawn)
        both.append((drawn, (open_share < 0.3) & (np.abs(area) > LEAST_AREA)))
    (first, seen), (second, seen_too) = both
    shown = np.flatnonzero(seen & seen_too)
    if len(shown) < LEAST_SLICES:
        return None
    place = (shown - shown[0] + 0.5) / (np.flatnonzero(seen)[-1] - shown[0] + 1)
    muscles = random.random() < how.papillary
    depth = random.uniform(0.0, how.papillary_mm, (2, 2)) * muscles
    oval = complex(*random.normal(0.0, 1.0, 2)) * how.oval
    changed = oval + complex(*random.normal(0.0, 1.0, 2)) * how.oval_change
    first = _by_hand(first[shown], random, how, depth[0], oval)
    second = _by_hand(second[shown], random, how, depth[1], changed)
    middle = place - 0.5
    smaller = 1.0 - (how.apex + how.apex_spread * random.standard_normal()) * middle
    carried, rocking = random.normal(0.0, 1.0, (2, 2))
    shift = how.carried_mm + how.carried * complex(*carried)
    shift = shift + (how.rocking_mm + how.rocking * complex(*rocking)) * middle
    slips = random.normal(0.0, 1.0, (2, len(shown))) * how.slip_mm
    _, centre = area_and_centre(second)
    second = centre[:, None] + smaller[:, None] * (second - centre[:, None])
    return Contours(first, second + (shift + slips[0] + 1j * slips[1])[:, None], place)


def _filled(drawn: Points) -> Points:
    """Contours with what lies above the valve closed by the mean radius of the rest."""
    hole = np.isnan(drawn)
    radius = np.abs(np.where(hole, 0.0, drawn))
    mean = radius.sum(1) / np.maximum((~hole).sum(1), 1)
    turns = np.angle(np.where(hole, 1.0, drawn))
    # The angle of a hole is that of its place in the row.
    full = np.arange(ANGLES) * (tau / ANGLES)
    known = ~hole
    offset = np.angle(np.where(known, np.exp(1j * (turns - full)), 0).sum(1))
    angle = np.where(hole, full + offset[:, None], turns)
    filled: Points = np.where(hole, mean[:, None], radius) * np.exp(1j * angle)
    return filled


def _by_hand(
    drawn: Points, random: np.random.Generator, how: Degraded, depth: Array, oval: complex
) -> Points:
    """Contours as hearts have them and persons draw them: oval, wavering, papillary muscles left outside."""
    _, centre = area_and_centre(drawn)
    away = drawn - centre[:, None]
    turns, lengths = np.angle(away), np.abs(away)
    error = lengths * (oval.real * np.cos(2 * turns) + oval.imag * np.sin(2 * turns))
    waves = random.normal(0.0, 1.0, (2, len(drawn), len(HAND))) * how.noise_mm * HAND
    for k in range(len(HAND)):
        error += waves[0, :, k, None] * np.cos(k * turns) + waves[1, :, k, None] * np.sin(k * turns)
    for middle, deep in zip(PAPILLARY, depth, strict=True):
        off = (turns - middle + pi) % tau - pi
        error -= deep * np.exp(-0.5 * (off / radians(18.0)) ** 2)
    limit = 0.35 * lengths
    changed: Points = centre[:, None] + away / lengths * (lengths + np.clip(error, -limit, limit))
    return changed


VIEWS = ("strains", "curves", "labels", *("masks",) * 4)
OF_STRAIN, OF_TIMING, OF_THICKENING = 0.02, 0.05, 0.12  # deviation of an error of measurement; assumed


def examined(heart: Beating, seed: int, how: Degraded = TYPICAL) -> npt.NDArray[np.float32]:
    """(view, 17, 2 × CHANNELS): a heart's examinations by `VIEWS`, with the errors that each kind has."""
    bare = replace(heart.recipe, parameters={})
    random = np.random.Generator(np.random.PCG64([bare.entropy(), 3, seed]))
    tables = []
    for view in VIEWS:
        known: dict[str, Array] = {}
        if view in ("strains", "curves"):
            error = random.normal(0.0, OF_STRAIN, (4, SEGMENTS)) * np.array([[2.5], [1.0], [1.0], [1.0]])
            known |= dict(
                zip(("circumferential", "longitudinal"), heart.strains[:2] + error[1:3], strict=True)
            )
            known["radial"] = heart.strains[2] + error[0]
            if view == "curves":
                known["peak"] = heart.peak + error[3]
                known["late"] = heart.late + random.normal(0.0, OF_TIMING, SEGMENTS)
        else:
            drawn = contours(heart, random, how)
            if drawn is not None:
                known |= dict(zip(CONVENTIONS, shortening(drawn), strict=True))
            if view == "labels":
                known["thickening"] = heart.strains[2] + random.normal(0.0, OF_THICKENING, SEGMENTS)
                known["thickening"][16] = np.nan
        tables.append(examination(known))
    return np.stack(tables)


def targets(heart: Beating) -> npt.NDArray[np.float32]:
    """(1 + 17,) whether there is an infarct, and in which segments."""
    segments = heart.dead >= INFARCTED
    return np.concatenate([[heart.dead.max() > 0], segments]).astype(np.float32)


def simulate(recipes: Sequence[Recipe]) -> InfarctPatients:
    """The digital patients of some recipes, each examined in every way of `VIEWS`."""
    return _simulated(tuple(each.canonical() for each in recipes))


@lru_cache(maxsize=16)
def _simulated(recipes: tuple[str, ...]) -> InfarctPatients:
    """By the recipes' texts: a comparison asks for the same patients once for each of its arms."""
    return patients_of(beating([Recipe(**json.loads(each)) for each in recipes]))


def patients_of(hearts: Sequence[Beating], how: Degraded = TYPICAL, seed: int = 0) -> InfarctPatients:
    """Hearts, examined."""
    return InfarctPatients(
        views=torch.from_numpy(np.stack([examined(each, seed, how) for each in hearts])),
        targets=torch.from_numpy(np.stack([targets(each) for each in hearts])),
        strata=np.array([STRATA.index(str(hearts_strata.check(each.recipe).group)) for each in hearts]),
    )
