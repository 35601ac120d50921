"""Who a recipe is: everything that is drawn, before anything is computed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from ground.errors import UsageError
from simulation.heart.anatomy import population
from simulation.heart.imaging.scanner import SCANNERS
from simulation.heart.infarct import TERRITORIES, Lesion, dead_share, dilation
from simulation.heart.infarct import draw as draw_lesion
from simulation.heart.mechanics.function import UNITS
from simulation.heart.strata import PARAMETERS, Stratum, check
from simulation.recipe import Recipe

# How often each artery is the culprit where the stratum does not say; assumed.
CULPRITS: Mapping[str, float] = {"LAD": 0.45, "RCA": 0.35, "LCX": 0.20}
# One generator for each purpose, so that drawing one thing more moves nothing else. New ones are added last.
PURPOSES = (
    "who", "anatomy", "function", "infarct", "breathing", "thorax", "look", "noise", "late",
    "trabeculae", "deformation",
)  # fmt: skip


@dataclass(frozen=True)
class Person:
    """A recipe's draws.

    Attributes:
        recipe: as given.
        group: of `anatomy.population.GROUPS`.
        scanner: the name of a preset.
        measures: of the anatomy, by `population.KEYS`.
        works: what is fixed of the function; the rest is drawn once volumes are known.
        lesion: None where there is no infarct.
        territory: LAD, RCA, LCX, "segments", or "" without an infarct.
        dilation: how many times larger the LV's cavity is than before the infarct.
        dead: share of the LV's wall that the infarct has killed.
        random: a generator for each of `PURPOSES`.

    """

    recipe: Recipe
    group: str
    scanner: str
    measures: Mapping[str, float]
    works: Mapping[str, float]
    lesion: Lesion | None
    territory: str
    dilation: float
    dead: float
    random: Mapping[str, np.random.Generator]

    def again(self, purpose: str) -> np.random.Generator:
        """A generator for a purpose that starts from the beginning, for what is drawn more than once."""
        return _generators(self.recipe)[purpose]


def draw(recipe: Recipe) -> Person:
    """The person of a recipe; raises UsageError where it cannot be followed."""
    stratum = check(recipe)
    shape, works, lesion = _sorted(recipe.parameters)
    if lesion and stratum.group not in (None, "infarct"):
        raise UsageError(
            f"heart: {next(iter(lesion))} is of an infarct, which group={stratum.group} has not; "
            "leave it out, or ask for group=infarct"
        )
    random = _generators(recipe)
    who = random["who"]
    any_group = population.GROUPS[int(who.integers(len(population.GROUPS)))]
    any_scanner = tuple(SCANNERS)[int(who.integers(len(SCANNERS)))]
    any_culprit = str(who.choice(list(CULPRITS), p=list(CULPRITS.values())))
    group = stratum.group or any_group
    territory = _territory(stratum, group, any_culprit)
    segments = stratum.segments or TERRITORIES.get(territory, ())
    struck = draw_lesion(segments, stratum.age, random["infarct"], lesion) if segments else None
    larger = dilation(struck)
    return Person(
        recipe=recipe,
        group=group,
        scanner=stratum.scanner or any_scanner,
        measures=population.draw(group, random["anatomy"], shape, larger),
        works=works,
        lesion=struck,
        territory=territory,
        dilation=larger,
        dead=dead_share(struck),
        random=random,
    )


def _generators(recipe: Recipe) -> dict[str, np.random.Generator]:
    """Those of the recipe without its parameters: what is fixed leaves the luck of the rest as it was."""
    seeds = np.random.SeedSequence(replace(recipe, parameters={}).entropy()).spawn(len(PURPOSES))
    return {name: np.random.Generator(np.random.PCG64(s)) for name, s in zip(PURPOSES, seeds, strict=True)}


def _territory(stratum: Stratum, group: str, culprit: str) -> str:
    if group != "infarct":
        return ""
    return "segments" if stratum.segments else stratum.territory or culprit


def _sorted(parameters: Mapping[str, float]) -> tuple[dict[str, float], dict[str, float], dict[str, float]]:
    """A recipe's parameters by whom they concern: anatomy, function, infarct."""
    parts: tuple[dict[str, float], dict[str, float], dict[str, float]] = ({}, {}, {})
    for name, value in parameters.items():
        for known, part in zip((population.KEYS, UNITS, PARAMETERS), parts, strict=True):
            if name in known:
                part[name] = value
                break
        else:
            known_names = ", ".join((*PARAMETERS, *UNITS, *population.KEYS))
            raise UsageError(f"heart: unknown parameter {name!r} in the recipe; fix one of {known_names}")
    return parts
