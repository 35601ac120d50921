"""The heart that is fitted: known anatomy, seven unknown numbers, and what was known of them before.

Which ones, and from what. `benchmarks/personalise.py --information` prints the Fisher information of a volume
curve and two cuff pressures at hearts of the population, by differences:

- Contractility and resistance not from volumes alone: a ridge, since volumes hold no scale of pressure. The
  cuff ends it.
- Filling pressure and stiffness from filling. Stiffness also decides how long the fibres are when they pull,
  which is an effect that contractility has too, so the errors of these two are correlated, and of the five
  stiffness is the one that hangs most on its prior.
- Onset is the time, from the curve's own zero, at which force begins, averaged over the wall. Electrical
  activation and the delay behind it appear in a volume curve only as their sum.
- Compliance comes from the cuff's pulse pressure and the stroke volume, so no better than the pulse pressure;
  it is fitted because it must not be taken as known, and so is the end-diastolic volume.

All else is taken as given: heart rate, relaxation, atrial kick, duration of contraction, impedance, valves.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from ground.errors import UsageError
from simulation.heart.mechanics import function as functions
from simulation.heart.mechanics.beat import beat
from simulation.heart.mechanics.function import MMHG, Function
from simulation.personalise.measurement import Array

FITTED = ("contractility", "stiffness", "resistance", "onset", "filling_pressure", "compliance", "edv")
ACTIVATION = 0.15  # standard deviation of the mean activation about what is expected, assumed


@dataclass(frozen=True)
class Curves:
    """What N candidates for each of P patients would have shown."""

    volumes: Tensor  # (P, N, T) mL at the times asked for
    systolic: Tensor  # (P, N) mmHg
    diastolic: Tensor  # (P, N) mmHg


class Forward(Protocol):
    """Any model of a beating ventricle."""

    def __call__(self, parameters: Tensor, times: Tensor) -> Curves:
        """Curves of parameters (P, N, K), in the order of the prior's names, at times (P, T) in ms."""
        ...


@dataclass(frozen=True)
class Prior:
    """Log-normal and independent: what is known of P patients before anything is measured.

    names: K of them. centre: (P, K), medians. spread: (P, K), standard deviation of the logarithm.
    """

    names: tuple[str, ...]
    centre: Array
    spread: Array

    def __post_init__(self) -> None:
        if self.centre.shape != self.spread.shape or self.centre.shape[1:] != (len(self.names),):
            raise UsageError(
                f"personalise: a prior of {len(self.names)} names needs centre and spread (P, K)"
            )
        if not ((self.centre > 0).all() and (self.spread > 0).all()):
            raise UsageError(
                "personalise: centre or spread of the prior is not above 0; give positive numbers"
            )

    def parameters(self, scores: Array) -> Array:
        """Values (P, ..., K) of standard scores (P, ..., K)."""
        shape = (len(self.centre), *(1,) * (scores.ndim - 2), len(self.names))
        return self.centre.reshape(shape) * np.exp(self.spread.reshape(shape) * scores)

    def of(self, patient: int) -> Prior:
        """The same for one patient."""
        return replace(self, centre=self.centre[[patient]], spread=self.spread[[patient]])


@dataclass(frozen=True)
class Heart:
    """The lumped ventricle of `simulation.heart.mechanics`, of P patients whose anatomy is known.

    Attributes:
        function: what is not fitted is taken from here; the fields in `FITTED` are ignored.
        wall_volume: (P, 17) mL.
        cavity_share: (P, 17), any unit.
        activation_ms: (P, 17); only the differences between segments count, onset is the mean.
        contractility_factor, stiffness_factor: (P, 17), infarct; None is none.
        steps: of a beat, a multiple of 8. A user fits with fewer than she would simulate with.
        extrapolate: take twice the curves of `steps` less those of half as many: the error of a step is of
            first order and would otherwise move the fit, the filling pressure most.

    """

    function: Function
    wall_volume: Tensor
    cavity_share: Tensor
    activation_ms: Tensor
    contractility_factor: Tensor | None = None
    stiffness_factor: Tensor | None = None
    steps: int = 400
    extrapolate: bool = True

    def __call__(self, parameters: Tensor, times: Tensor) -> Curves:
        """Curves of parameters (P, N, 7), in the order of `FITTED`, at times (P, T); see `Forward`."""
        patients, candidates = parameters.shape[:2]
        if patients != len(self.wall_volume):
            raise UsageError(
                f"personalise: {patients} patients, {len(self.wall_volume)} hearts; give as many"
            )
        flat = parameters.to(self.wall_volume).flatten(0, 1)
        when = self._each(times.to(self.wall_volume), candidates)
        shown = self._shown(flat, when, self.steps)
        if self.extrapolate:
            shown = 2 * shown - self._shown(flat, when, self.steps // 2)
        shown = shown.reshape(patients, candidates, -1)
        return Curves(shown[..., :-2], shown[..., -2], shown[..., -1])

    @torch.no_grad()
    def _shown(self, flat: Tensor, times: Tensor, steps: int) -> Tensor:
        """(B, T+2): volumes at times (B, T), mL, systolic and diastolic pressure, mmHg, of flat (B, 7)."""
        candidates = len(flat) // len(self.wall_volume)
        value = dict(zip(FITTED, flat.unbind(1), strict=True))
        edv = value.pop("edv")
        names = [field.name for field in fields(Function)]
        shared = {name: self._each(getattr(self.function, name), candidates) for name in names}
        played = beat(
            Function(**(shared | value)),
            edv,
            self._each(self.wall_volume, candidates),
            self._each(self.cavity_share, candidates),
            self._each(self.activation_ms - self.mean_activation(), candidates),
            self._maybe(self.contractility_factor, candidates),
            self._maybe(self.stiffness_factor, candidates),
            phases=1,
            steps=steps,
        )
        volumes = _at(played.trajectory.volumes.sum(-1), played.cycle_ms, times)
        pressures = torch.stack([played.systolic_pressure, played.diastolic_pressure], 1)
        return torch.cat([volumes, pressures / MMHG], 1)

    def truth(self, edv: Tensor) -> Array:
        """(P, 7): the parameters in `FITTED` of `function` itself, onset as it is meant here."""
        values = {name: getattr(self.function, name) for name in FITTED if name != "edv"}
        values |= {"edv": edv, "onset": values["onset"] + self.mean_activation()[:, 0]}
        truth: Array = torch.stack([values[name] for name in FITTED], 1).double().cpu().numpy()
        return truth

    def mean_activation(self) -> Tensor:
        """(P, 1) ms, over the wall."""
        share = self.wall_volume / self.wall_volume.sum(1, keepdim=True)
        return (share * self.activation_ms).sum(1, keepdim=True)

    @classmethod
    def _maybe(cls, factor: Tensor | None, candidates: int) -> Tensor | None:
        return None if factor is None else cls._each(factor, candidates)

    @staticmethod
    def _each(tensor: Tensor, candidates: int) -> Tensor:
        return tensor.repeat_interleave(candidates, 0)


def _at(volumes: Tensor, cycle: Tensor, times: Tensor) -> Tensor:
    """A periodic curve (B, N+1) over cycles (B,) ms, read at times (B, T), linear between instants."""
    steps = volumes.shape[1] - 1
    place = torch.remainder(times, cycle[:, None]) / cycle[:, None] * steps
    left = place.long().clamp(max=steps - 1)
    return torch.lerp(volumes.gather(1, left), volumes.gather(1, left + 1), place - left)


def population_prior(
    groups: Sequence[str],
    edv: Sequence[float],
    activation_ms: Sequence[float],
    widen: float = 1.0,
    draws: int = 256,
) -> Prior:
    """What is known of patients of these groups: medians and spreads of `draws` of the population.

    edv: a first reading of each one's end-diastolic volume, mL, here uncertain by a tenth. activation_ms:
    mean activation of the wall that one expects, uncertain by `ACTIVATION`. `widen` multiplies the spreads;
    with 1 much of an estimate is the prior, since a group of the population is narrow.
    """
    rows = []
    for group, volume, activation in zip(groups, edv, activation_ms, strict=True):
        random = np.random.default_rng(0)
        drawn = [functions.draw(group, random, edv_ml=volume) for _ in range(draws)]
        columns = {name: np.array([d[name] for d in drawn]) for name in FITTED[:-1]}
        columns["onset"] += activation * (1 + ACTIVATION * random.uniform(-(3**0.5), 3**0.5, draws))
        rows.append(np.log(np.stack(list(columns.values()))))
    table = np.stack(rows)
    centre = np.concatenate([np.exp(np.median(table, 2)), np.asarray(edv, dtype=np.float64)[:, None]], 1)
    spread = np.concatenate([table.std(2), np.full((len(table), 1), 0.1)], 1)
    return Prior(FITTED, centre, widen * spread)
