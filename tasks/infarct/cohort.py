"""Digital patients of the task: recipes by stratum, and the unevenness of muscle that no infarct explains.

A classifier of digital hearts learns whatever tells their strata apart. Were the failing hearts without an
infarct rounder, larger, weaker or more even than those with one, it would learn that, and meet in hospitals
dilated hearts that are uneven too. So those who fail are drawn alike with and without an infarct: one law of
end-diastolic volume, one range of ejection fractions (`benchmarks/infarct.py` prints the AUC of both), and
muscle that is uneven without an infarct: a smooth random field, a weak or late septum as in left bundle
branch block. All numbers here are assumed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import exp
from types import MappingProxyType

import numpy as np
import torch
from torch import Tensor

from ground.errors import UsageError
from simulation.heart import strata as hearts
from simulation.heart.anatomy.segments import CENTRES
from simulation.heart.infarct import TERRITORIES
from simulation.recipe import Recipe

STRATA = ("infarct", "dilated", "hypertrophic", "normal")
# An occlusion's territory: a vessel's own, an anterior one that wraps round the apex, or two vessels'.
_WRAPPED = (1, 2, 7, 8, 13, 14, 15, 16, 17)
TERRITORY: Mapping[str, tuple[tuple[int, ...], float]] = MappingProxyType(
    {
        "LAD": (TERRITORIES["LAD"], 0.25),
        "LAD round the apex": (_WRAPPED, 0.25),
        "RCA": (TERRITORIES["RCA"], 0.2),
        "LCX": (TERRITORIES["LCX"], 0.15),
        "LAD and RCA": (tuple(sorted({*_WRAPPED, *TERRITORIES["RCA"]})), 0.075),
        "RCA and LCX": (tuple(sorted({*TERRITORIES["RCA"], *TERRITORIES["LCX"]})), 0.075),
    }
)
FAILING = 0.7  # of those with an infarct
VOLUME, VOLUME_SPREAD = 225.0, 0.27  # mL, of a failing ventricle at end-diastole: median, log-normal
SMALLEST, LARGEST = 120.0, 420.0  # mL
# Infarcts that are seen in motion: large, through most of the wall.
LESION: Mapping[str, tuple[float, float]] = MappingProxyType(
    {"extent": (0.6, 1.0), "transmurality": (0.65, 1.0), "severity": (0.85, 1.0)}
)
SEPTUM = (2, 3, 8, 9, 14)
LATERAL = (5, 6, 11, 12, 16)


@dataclass(frozen=True)
class Muscle:
    """How a patient's muscle differs from a model heart's, segment by segment.

    Attributes:
        contractility: (17,) factor.
        delay_ms: (17,) added to activation.

    """

    contractility: Tensor
    delay_ms: Tensor


def recipes(stratum: str, count: int, seed: int) -> list[Recipe]:
    """Recipes of `count` independent hearts of a stratum; the first ones do not depend on `count`."""
    if stratum not in STRATA:
        raise UsageError(f"infarct: no stratum {stratum!r}; choose one of {', '.join(STRATA)}")
    return [_placed(each) for each in hearts.recipes(f"group={stratum}", count, seed)]


def fails(recipe: Recipe) -> bool:
    """Whether the heart is drawn as a failing one."""
    return "edv_ml" in recipe.parameters


def _placed(recipe: Recipe) -> Recipe:
    """The recipe with what this task fixes: the volume of a failing heart, the territory of an infarct."""
    random = _generator(recipe, 1)
    failing = random.random() < FAILING
    volume = float(np.clip(VOLUME * exp(VOLUME_SPREAD * random.standard_normal()), SMALLEST, LARGEST))
    segments, chances = zip(*TERRITORY.values(), strict=True)
    chosen = segments[int(random.choice(len(segments), p=chances))]
    group = recipe.stratum.removeprefix("group=")
    shares = random.random(3)
    if group == "dilated":
        return replace(recipe, parameters={"edv_ml": volume})
    if group != "infarct":
        return recipe
    parameters = {name: low + (high - low) * float(share)
                  for (name, (low, high)), share in zip(LESION.items(), shares, strict=True)}  # fmt: skip
    where = "+".join(map(str, chosen))
    return replace(
        recipe,
        stratum=f"group=infarct,segments={where}",
        parameters=parameters | ({"edv_ml": volume} if failing else {}),
    )


def muscle(recipe: Recipe) -> Muscle:
    """The unevenness of a recipe's muscle: the same whenever it is asked for."""
    group = hearts.check(recipe).group
    random = _generator(recipe, 2)
    weak, spread, block = random.random(), random.random(), random.random()
    field = _field(random)
    septal, late = random.random(2)
    if group == "dilated":
        strength, uneven, blocked = 0.5 + 1.0 * weak, 0.05 + 0.2 * spread, block < 0.4
    elif group == "infarct" and fails(recipe):
        strength, uneven, blocked = 0.6 + 1.0 * weak, 0.05 + 0.1 * spread, block < 0.15
    elif group == "infarct":
        strength, uneven, blocked = 0.9 + 0.35 * weak, 0.05 + 0.1 * spread, False
    else:
        strength, uneven, blocked = 0.9 + 0.2 * weak, 0.05 + 0.1 * spread, False
    factor = strength * torch.exp(uneven * field)
    delay = torch.zeros(len(CENTRES))
    if blocked:
        for segment in SEPTUM:
            factor[segment - 1] *= 0.65 + 0.35 * septal
        for segment in LATERAL:
            delay[segment - 1] = 20.0 + 50.0 * late
    return Muscle(factor.clamp(0.2, 1.8), delay)


def _field(random: np.random.Generator) -> Tensor:
    """(17,) a smooth random field over the segments, of mean about 0 and deviation about 1."""
    along = torch.tensor([each[0] for each in CENTRES], dtype=torch.float32) * 2.0 - 1.0
    angle = torch.tensor([each[1] for each in CENTRES], dtype=torch.float32)
    first, second, third, fourth, fifth = (float(each) for each in random.standard_normal(5))
    own = torch.from_numpy(random.standard_normal(len(CENTRES))).float()
    smooth = first * along + second * angle.cos() + third * angle.sin()
    return 0.6 * smooth + 0.4 * (fourth * (2 * angle).cos() + fifth * (2 * angle).sin()) + 0.35 * own


def _generator(recipe: Recipe, purpose: int) -> np.random.Generator:
    """One for a purpose of this task; what is fixed in the recipe leaves it as it was."""
    bare = replace(recipe, stratum=hearts.check(recipe).group or "any", parameters={})
    return np.random.Generator(np.random.PCG64([bare.entropy(), purpose]))
