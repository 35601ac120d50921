"""From people to beating hearts: anatomy, infarct, activation, a beat, motion; a batch at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from ground.errors import UsageError
from simulation.heart.anatomy import population, volumes
from simulation.heart.anatomy.shape import Anatomy, build
from simulation.heart.anatomy.shares import by_segment
from simulation.heart.electrophysiology.conduction import Activation, activate
from simulation.heart.infarct import Infarct, place
from simulation.heart.mechanics import function
from simulation.heart.mechanics.beat import Beat, beat
from simulation.heart.motion import Motion, build_motion
from simulation.heart.people import Person

# How much of the ejection fraction a dead share of the wall takes: 1.18 of 0.6 (Ugander et al. 2008, Scand
# Cardiovasc J 42:137). It is only what vessels expect; what is ejected comes from the beat.
EJECTED_LESS = 2.0
# Share of the usual differences in activation that muscle makes up for: of healthy hearts the lateral wall,
# activated last, begins to shorten no later than the septum (Zwanenburg et al. 2004, Am J Physiol 286:H1872).
# What is unusual, as behind a scar, it does not. The number is assumed.
ACCUSTOMED = 0.7
STRAYED = 0.01  # of the end-diastolic volume: more than that and the beat is not this anatomy's
RV_MOST = 0.75  # share of its volume that the RV can eject; beyond it the two ventricles would not agree


@dataclass(frozen=True)
class Hearts:
    """P people's hearts.

    Attributes:
        people: whose they are.
        anatomy: at end-diastole, scars thinned.
        infarct: of all; empty where somebody has none.
        activation: on a grid, or None where only typical times were used.
        segments_ms: (P, 17) activation of each segment.
        works: parameters of the function, by name, for each.
        beat: the periodic one.
        lv_ml: (P, T) mL, the beat's volume at the anatomy's end-diastole.
        rv_ml: (P, T) mL.
        motion: of both ventricles, at every phase or at those that were asked for.

    """

    people: Sequence[Person]
    anatomy: Anatomy
    infarct: Infarct
    activation: Activation | None
    segments_ms: Tensor
    works: Sequence[dict[str, float]]
    beat: Beat
    lv_ml: Tensor
    rv_ml: Tensor
    motion: Motion


def live(
    people: Sequence[Person],
    phases: int,
    *,
    electrophysiology: bool = True,
    steps: int = 800,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str = "cpu",
    contractility: Tensor | None = None,
    delay_ms: Tensor | None = None,
    shown: Callable[[Beat], Tensor] | None = None,
) -> Hearts:
    """Compute the hearts of some people.

    Without `electrophysiology` every heart is activated as a typical one is (`typical_activation`), which an
    infarct then does not delay; that is what training images need, and it takes a tenth of the time.
    `contractility` (P, 17) multiplies that of the segments, whatever an infarct leaves of it, and `delay_ms`
    (P, 17) is added to their activation: unevenness that has nothing to do with an infarct. `shown` gives the
    phases (P, K) of a beat at which the motion is built; it takes most of the time without electrophysiology.
    """
    parameters = population.stack([each.measures for each in people], dtype, device)
    healthy = build(parameters)
    infarct = place([each.lesion for each in people], dtype, device)
    anatomy = build(parameters, infarct.thickness(healthy))
    # Shares of the healthy wall: an anatomical scar does not take cavity from its neighbours.
    whole, cavity = by_segment(healthy)
    wall, _ = by_segment(anatomy)
    edv, healthy_wall = volumes.cavity(anatomy), volumes.wall(healthy)
    works = [_works(each, volume, mass) for each, volume, mass in zip(people, edv, healthy_wall, strict=True)]
    activation = activate(anatomy, infarct.density) if electrophysiology else None
    if activation is None:
        typical = torch.tensor(typical_activation(), dtype=dtype, device=device)
        segments = typical.expand(len(people), -1)
    else:
        segments = activation.segments
    # Muscle has adapted to the load of its place, but not to the infarct.
    living = infarct.contractility() * function.adapted(cavity, whole)
    if contractility is not None:
        living = living * contractility.to(living)
    if delay_ms is not None:
        segments = segments + delay_ms.to(segments)
    usual = torch.tensor(typical_activation(), dtype=dtype, device=device)
    pulls = segments - ACCUSTOMED * (usual - usual.mean())
    kept = beat(
        function.stack(works, dtype, device), edv, wall, cavity, pulls,
        living, infarct.stiffness(), phases=phases, steps=steps,
    )  # fmt: skip
    _settled(people, kept, edv)
    # The beat fills to the anatomy's volume within a tolerance; what moves is the anatomy.
    lv = kept.volume * (edv[:, None] / kept.volume[:, :1])
    rv = _right(volumes.rv_cavity(anatomy), lv)
    around, along, twist = kept.strain_circumferential, kept.strain_longitudinal, kept.twist
    chosen = torch.arange(phases, device=device).expand(len(people), -1) if shown is None else shown(kept)
    row = torch.arange(len(people), device=device)[:, None]
    motion = build_motion(anatomy, *(each[row, chosen] for each in (around, along, twist, lv, rv)))
    return Hearts(people, anatomy, infarct, activation, segments, works, kept, lv, rv, motion)


def _works(person: Person, edv_ml: Tensor, wall_ml: Tensor) -> dict[str, float]:
    """How a person's heart works, of a wall not yet thinned: as before the infarct, but for the infarct."""
    return function.draw(
        person.group,
        person.again("function"),
        person.works,
        float(edv_ml) / person.dilation,
        float(wall_ml) / population.hypertrophy(person.dilation),
        person.measures["body_surface_m2"],
        person.dilation * (1.0 - EJECTED_LESS * person.dead),
    )


def _settled(people: Sequence[Person], kept: Beat, edv: Tensor) -> None:
    """Raise UsageError where a beat does not repeat itself at the anatomy's volume: a recipe too wild."""
    strayed = (kept.end_diastolic_volume / edv - 1.0).abs()
    wrong = ~(
        (strayed < STRAYED) & (kept.periodicity.abs() < STRAYED * edv) & (kept.stroke_volume > 0.02 * edv)
    )
    if bool(wrong.any()):
        person = people[int(wrong.int().argmax())]
        fixed = ", ".join(f"{name}={value:g}" for name, value in person.recipe.parameters.items()) or "none"
        raise UsageError(
            f"heart: no steady beat for seed {person.recipe.seed} of {person.recipe.stratum!r} "
            f"(parameters fixed: {fixed}); give milder ones"
        )


@lru_cache(maxsize=1)
def typical_activation() -> tuple[float, ...]:
    """Activation (ms) of the 17 segments of one normal heart, as `activate` gives it."""
    measures = population.draw("normal", np.random.Generator(np.random.PCG64(0)))
    found = activate(build(population.stack([measures])))
    return tuple(float(each) for each in found.segments[0])


def _right(rv_ml: Tensor, lv_ml: Tensor) -> Tensor:
    """(P, T) mL of the RV: it ejects what the LV does, beat by beat, up to RV_MOST of what it holds."""
    ejected = lv_ml[:, :1] - lv_ml
    stroke = ejected.amax(1, keepdim=True)
    share = (RV_MOST * rv_ml[:, None] / stroke).clamp(max=1.0)
    return rv_ml[:, None] - share * ejected
