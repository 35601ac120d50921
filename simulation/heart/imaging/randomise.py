"""Domain randomisation: tissues in random greys, so that a model learns shapes rather than a scanner.

In the spirit of SynthSeg (Billot et al., Medical Image Analysis 2023): the maps are deformed (`deform.py`),
each tissue's mean and standard deviation are drawn uniformly, then follow a coil's shading, blur, noise, a
coarser resolution and a power law. What that paper has beyond it: free bias fields (here a coil's slope and
one slow texture), random slice thickness (here the scanner's). Here structures keep the partial volume of the
slices, and tissues that are the same thing (blood of both ventricles; muscle of all walls) may differ only a
little, so that no border is drawn that no scanner shows.
"""

from __future__ import annotations

import math

import numpy as np

from simulation.heart.imaging.artefacts import draw as draw_artefacts
from simulation.heart.imaging.look import Look
from simulation.heart.imaging.tissues import HEART, SURROUNDINGS

ALIKE = (
    ("lv_blood", "rv_blood", "atrial_blood", "aorta", "vessel"),
    ("myocardium", "rv_wall", "papillary", "rv_trabeculae"),
)
SPREAD = 0.07  # most of a tissue's standard deviation; means lie between 0 and 1.2
COARSEST = 2.5  # voxels a pixel
APART = 0.12  # least difference between blood and myocardium, so that there is something to see


def draw(random: np.random.Generator) -> Look:
    """How one patient looks: ranges wider than any scanner's, all assumed."""
    names = HEART + SURROUNDINGS
    signals = random.uniform(0.0, 1.2, size=len(names))
    spread = random.normal(0.0, 0.04, size=len(names))
    for group in ALIKE:
        members = [names.index(name) for name in group]
        signals[members] = np.abs(signals[members[0]] + spread[members])
    blood, muscle = (names.index(group[0]) for group in ALIKE)
    if abs(signals[blood] - signals[muscle]) < APART:
        members = [names.index(name) for name in ALIKE[0]]
        signals[members] += 3 * APART
    deviations = random.uniform(0.0, SPREAD, size=len(names))
    for group in ALIKE:
        members = [names.index(name) for name in group]
        deviations[members] = deviations[members[0]]
    pixel = random.uniform(1.0, COARSEST, size=2) if random.random() < 0.5 else np.ones(2)
    angle, strength = random.uniform(0, 2 * math.pi), random.uniform(0, 1.2)
    return Look(
        heart=signals[: len(HEART)],
        surroundings=signals[len(HEART) :],
        texture=float(random.uniform(0.0, 0.2)),
        coil=(strength * math.cos(angle), strength * math.sin(angle)),
        noise=float(random.uniform(0.0, 0.12)),
        gamma=math.exp(random.normal(0, 0.25)),
        blur=float(random.uniform(0.0, 1.2)),
        pixel=(float(pixel[0]), float(pixel[1])),
        heart_spread=deviations[: len(HEART)],
        around_spread=deviations[len(HEART) :],
        grained=float(random.uniform(0.0, 1.0)),
        artefacts=draw_artefacts(random, 3.0),
    )
