"""Digital hearts as patients of the heart tasks: made from recipes by `simulation.heart`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from simulation.heart.patient import Pairs, pairs
from simulation.heart.people import draw
from simulation.heart.picture import Protocol
from simulation.recipe import Recipe, write_recipes
from tasks.hearts import stored
from tasks.hearts.grey import as_images, scaled
from tasks.hearts.patients import BACKGROUND, LEFT, MYOCARDIUM, RIGHT, SIZE, SPACING, Heart, HeartPatients

# The simulator's labels: 1 right cavity, 2 myocardium, 3 left cavity.
OURS = np.array([BACKGROUND, RIGHT, MYOCARDIUM, LEFT], dtype=np.uint8)


def simulate(recipes: Sequence[Recipe]) -> HeartPatients:
    """One heart a recipe: half of them look like a scanner's, half have grey values at random.

    Which half a recipe is in follows from its seed, so that a heart does not depend on who is with it.
    """
    hearts: dict[int, Heart] = {}
    for randomise in (False, True):
        mine = [number for number, each in enumerate(recipes) if (each.seed % 2 == 1) == randomise]
        if mine:
            chosen = [recipes[number] for number in mine]
            made = pairs(chosen, Protocol(size=SIZE, spacing=SPACING, randomise=randomise))
            hearts |= {n: _heart(made, i, chosen[i]) for i, n in enumerate(mine)}
    return HeartPatients(tuple(hearts[number] for number in range(len(recipes))))


def export(recipes: list[Recipe], hospital: str, folder: Path) -> Path:
    """HOSPITAL.npz in our own layout, and HOSPITAL.recipes.jsonl, one recipe a line."""
    file = folder / f"{hospital}.npz"
    stored.write(file, simulate(recipes))
    write_recipes(recipes, folder / f"{hospital}.recipes.jsonl")
    return file


def _heart(made: Pairs, number: int, recipe: Recipe) -> Heart:
    mine = made.patient == number
    return Heart(
        images=as_images(scaled(made.images[mine])),
        labels=torch.from_numpy(OURS[made.labels[mine]]),
        phase=made.systole[mine].astype(np.int64),
        level=made.place[mine] - made.place[mine].min(),
        spacing=SPACING,
        gap=float(made.distance_mm[number]),
        group=draw(recipe).group,
    )
