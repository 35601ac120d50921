"""How one patient's tissues shine under one scanner: everything of a picture that is drawn per patient."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ground.errors import UsageError
from simulation.heart.imaging.artefacts import NONE, Artefacts
from simulation.heart.imaging.artefacts import draw as draw_artefacts
from simulation.heart.imaging.scanner import Scanner
from simulation.heart.imaging.signal import cine_signals, late_signals
from simulation.heart.imaging.tissues import HEART, SURROUNDINGS

LATE_CYCLE = 1600.0  # ms between inversions, every second beat: assumed
LATE_TE = 1.5  # ms: assumed
SPREAD = 0.06  # patient's own standard deviation of the log of each tissue's signal: assumed


@dataclass(frozen=True)
class Look:
    """How one patient's tissues shine under one scanner: relative to LV blood, with the patient's variation.

    Attributes:
        heart: (len(HEART),) signal of each heart channel.
        surroundings: (len(SURROUNDINGS),) signal of each tissue round it.
        texture: relative strength of slow variations inside tissues.
        heart_spread, around_spread: standard deviation of each of those signals from voxel to voxel; None: 0.
        grained: share of that variance that is slow; the rest differs in every voxel.
        coil: direction (x, y) of the coil in the image times its strength, log per 100 mm.
        noise: standard deviation in each channel.
        gamma: exponent on the magnitude (1 for physics).
        blur: further blur, voxels, standard deviation.
        pixel: (y, x) side of the pixels that were taken before they were resampled, in voxels.
        artefacts: bands and ghosts.

    """

    heart: np.ndarray
    surroundings: np.ndarray
    texture: float
    coil: tuple[float, float]
    noise: float
    gamma: float = 1.0
    blur: float = 0.0
    pixel: tuple[float, float] = (1.0, 1.0)
    heart_spread: np.ndarray | None = None
    around_spread: np.ndarray | None = None
    grained: float = 0.0
    artefacts: Artefacts = NONE


def draw(random: np.random.Generator, scanner: Scanner, contrast: str = "cine") -> Look:
    """How this patient looks in "cine" or "late" (enhancement) on that scanner."""
    if contrast not in ("cine", "late"):
        raise UsageError(f"unknown contrast {contrast!r}: choose cine or late")
    names = HEART + SURROUNDINGS
    if contrast == "cine":
        signals = cine_signals(names, scanner.field, scanner.flip, scanner.tr, scanner.te)
    else:
        signals = late_signals(names, scanner.field, LATE_CYCLE, LATE_TE)
    varied = signals / abs(signals[0]) * np.exp(SPREAD * random.normal(size=len(names)))
    muscle = [names.index(name) for name in ("myocardium", "rv_wall", "papillary", "rv_trabeculae")]
    varied[muscle] = varied[muscle[0]]
    varied[0] = 1.0
    angle = math.radians(random.uniform(80, 150))  # the chest lies up and to the left
    strength = scanner.coil * random.uniform(0.6, 1.4)
    noise = scanner.noise if contrast == "cine" else scanner.late_noise
    return Look(
        heart=varied[: len(HEART)],
        surroundings=varied[len(HEART) :],
        texture=random.uniform(0.03, 0.10),
        coil=(strength * math.cos(angle), strength * math.sin(angle)),
        noise=noise * math.exp(random.normal(0, 0.25)),
        artefacts=draw_artefacts(random, scanner.field) if contrast == "cine" else NONE,
    )
