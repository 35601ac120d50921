"""The Mitchell-Schaeffer ionic model: two currents, one gate, and what is known about it in closed form.

C. C. Mitchell and D. G. Schaeffer, "A two-current model for the dynamics of cardiac membrane potential",
Bulletin of Mathematical Biology 65 (2003) 767-793, equations 1-4::

    dv/dt = h v² (1 - v) / τ_in - v / τ_out + J
    dh/dt = (1 - h) / τ_open   where v < v_gate,   -h / τ_close   elsewhere

The potential v is scaled: 0 at rest, 1 at the peak. The gate h is 1 at rest. Times are in ms.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, log, sqrt

import torch
from torch import Tensor

from ground.errors import UsageError


@dataclass(frozen=True)
class Cell:
    """Time constants in ms and the gate's threshold, as in Mitchell and Schaeffer 2003, table 1."""

    tau_in: float = 0.3
    tau_out: float = 6.0
    tau_open: float = 120.0
    tau_close: float = 150.0
    gate: float = 0.13

    def __post_init__(self) -> None:
        if min(self.tau_in, self.tau_out, self.tau_open, self.tau_close) <= 0 or not 0 < self.gate < 1:
            raise UsageError("cell: a time constant or the gate is out of range; give τ > 0 and 0 < gate < 1")
        if 4 * self.tau_in >= self.tau_out:
            raise UsageError(f"cell: tau_out {self.tau_out} cannot fire; give more than 4 tau_in")


def plateaus(cell: Cell) -> tuple[float, float]:
    """v₋ and v₊ at h = 1: the threshold and the excited state, roots of v (1 - v) = τ_in / τ_out."""
    root = sqrt(1 - 4 * cell.tau_in / cell.tau_out)
    return (1 - root) / 2, (1 + root) / 2


def front_speed(diffusivity: float, cell: Cell) -> float:
    """Speed in mm/ms of a plane front at h = 1 in a medium of diffusivity D in mm²/ms.

    c = √(D / (2 τ_in)) (v₊ - 2 v₋): the travelling wave of a cubic with roots 0, v₋, v₊ (J. D. Murray,
    Mathematical Biology I, 2002, section 13.5).
    """
    threshold, excited = plateaus(cell)
    return sqrt(diffusivity / (2 * cell.tau_in)) * (excited - 2 * threshold)


def diffusivity_for(speed: float, cell: Cell) -> float:
    """Diffusivity in mm²/ms at which a plane front runs at `speed` in mm/ms: the inverse of `front_speed`."""
    return (speed / front_speed(1.0, cell)) ** 2


def leading_duration(cell: Cell) -> float:
    """Action potential duration in ms to leading order, τ_close ln(τ_out / (4 τ_in)) (equation 10, h = 1).

    It leaves out the upstroke and the decline after the plateau is lost; `action_potential` has them.
    """
    return cell.tau_close * log(cell.tau_out / (4 * cell.tau_in))


def rates(v: Tensor, h: Tensor, cell: Cell) -> tuple[Tensor, Tensor]:
    """dv/dt and dh/dt in 1/ms, of the shape of `v`, without external current."""
    current = h * v * v * (1 - v) / cell.tau_in - v / cell.tau_out
    return current, torch.where(v < cell.gate, (1 - h) / cell.tau_open, -h / cell.tau_close)


def react_(v: Tensor, h: Tensor, cell: Cell, step: float, order: int) -> None:
    """One step of `step` ms of the cells alone, in place.

    Order 1: forward Euler for v, then the gate exactly at the new v. Order 2: half a step of the gate, one
    midpoint step of v at fixed gate, half a step of the gate (a symmetric, hence second-order composition
    wherever v does not cross the gate's threshold within the step).
    """
    if order == 1:
        v.add_(_current(v, h, cell), alpha=step)
        _gate_(v, h, cell, step)
        return
    _gate_(v, h, cell, step / 2)
    middle = torch.add(v, _current(v, h, cell), alpha=step / 2)
    v.add_(_current(middle, h, cell), alpha=step)
    _gate_(v, h, cell, step / 2)


def _current(v: Tensor, h: Tensor, cell: Cell) -> Tensor:
    """dv/dt; few passes over memory, because this is what the monodomain model does most after diffusion."""
    inward = v * v
    inward.mul_(h).addcmul_(inward, v, value=-1)
    return inward.mul_(1 / cell.tau_in).add_(v, alpha=-1 / cell.tau_out)


def _gate_(v: Tensor, h: Tensor, cell: Cell, step: float) -> None:
    """The gate's linear equation, exactly, at fixed v: h relaxes to 1 below the threshold, else to 0."""
    opening, closing = exp(-step / cell.tau_open), exp(-step / cell.tau_close)
    open_ = torch.lt(v, cell.gate, out=torch.empty_like(v))
    h.addcmul_(h, open_, value=opening / closing - 1).mul_(closing).add_(open_, alpha=1 - opening)


def action_potential(
    cell: Cell, start: float = 0.2, duration: float = 450.0, step: float = 0.05
) -> tuple[Tensor, Tensor]:
    """Times in ms and v, both (T,) in float64, of one cell from v = `start`, h = 1 (Runge-Kutta, order 4)."""

    def slope(v: float, h: float) -> tuple[float, float]:
        current = h * v * v * (1 - v) / cell.tau_in - v / cell.tau_out
        return current, (1 - h) / cell.tau_open if v < cell.gate else -h / cell.tau_close

    v, h = start, 1.0
    values = [v]
    for _ in range(round(duration / step)):
        v1, h1 = slope(v, h)
        v2, h2 = slope(v + step / 2 * v1, h + step / 2 * h1)
        v3, h3 = slope(v + step / 2 * v2, h + step / 2 * h2)
        v4, h4 = slope(v + step * v3, h + step * h3)
        v += step / 6 * (v1 + 2 * v2 + 2 * v3 + v4)
        h += step / 6 * (h1 + 2 * h2 + 2 * h3 + h4)
        values.append(v)
    return torch.arange(len(values), dtype=torch.float64) * step, torch.tensor(values, dtype=torch.float64)


def duration(times: Tensor, v: Tensor, level: float) -> float:
    """Time in ms that an action potential (T,) spends above `level`, by linear interpolation.

    A potential which is already above `level` at its first sample counts from there.
    """
    above = (v >= level).nonzero().flatten()
    if len(above) == 0 or int(above[-1]) == len(v) - 1:
        raise UsageError(f"action potential: never rises above {level} or has not ended; give a longer one")

    def crossing(low: int) -> float:
        share = (level - v[low]) / (v[low + 1] - v[low])
        return float(times[low] + share * (times[low + 1] - times[low]))

    first, last = int(above[0]), int(above[-1])
    return crossing(last) - (float(times[0]) if first == 0 else crossing(first - 1))
