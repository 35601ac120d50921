"""The monodomain equation with Mitchell-Schaeffer cells, by operator splitting.

    ∂v/∂t = div(D grad v) + h v² (1 - v) / τ_in - v / τ_out + J,   D grad v · n = 0

Godunov splitting (order 1 in time): one explicit Euler step of diffusion, then one of the cells. Strang
splitting (G. Strang, SIAM Journal on Numerical Analysis 5 (1968) 506-517; order 2): half a step of the
cells, one Heun step of diffusion, half a step of the cells. Order 2 in space on a grid-aligned domain (see
`diffusion`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import inf
from typing import Literal

import torch
from torch import Tensor

from ground.errors import UsageError
from simulation.heart.electrophysiology.diffusion import Diffusion
from simulation.heart.electrophysiology.ionic import Cell, react_

Source = Callable[[float], Tensor]
Splitting = Literal["godunov", "strang"]


@dataclass(frozen=True)
class Excitation:
    """State at the end, and when each voxel fired."""

    v: Tensor  # (P, X, Y, Z) scaled potential
    h: Tensor  # (P, X, Y, Z) gate
    activation: Tensor  # (P, X, Y, Z) ms, when v first rose through the level; inf where it did not


def solve(
    operator: Diffusion,
    cell: Cell,
    v: Tensor,
    duration: float,
    step: float,
    h: Tensor | None = None,
    splitting: Splitting = "godunov",
    source: Source | None = None,
    level: float = 0.5,
    watch_every: int = 4,
) -> Excitation:
    """Runs from v (P, X, Y, Z) and h (1 where not given) for `duration` ms in steps of `step` ms.

    `source(t)` is the current J in 1/ms at time t, of the shape of v. Activation is looked for every
    `watch_every` steps and interpolated linearly in between; v and h given are not changed.
    """
    _check(operator, v, h, duration, step)
    v, h = v.clone(), torch.ones_like(v) if h is None else h.clone()
    activation = torch.where(v >= level, 0.0, torch.full_like(v, inf))
    before = v.clone()
    advance = _godunov if splitting == "godunov" else _strang
    steps = round(duration / step)
    for index in range(steps):
        v = advance(operator, cell, v, h, index * step, step, source)
        if (index + 1) % watch_every == 0 or index + 1 == steps:
            span = step * (index % watch_every + 1)
            _watch_(activation, before, v, level, (index + 1) * step, span)
            before.copy_(v)
    return Excitation(v, h, activation)


def _godunov(
    operator: Diffusion, cell: Cell, v: Tensor, h: Tensor, time: float, step: float, source: Source | None
) -> Tensor:
    v = operator.advance(v, step)
    if source is not None:
        v.add_(source(time), alpha=step)
    react_(v, h, cell, step, order=1)
    return v


def _strang(
    operator: Diffusion, cell: Cell, v: Tensor, h: Tensor, time: float, step: float, source: Source | None
) -> Tensor:
    react_(v, h, cell, step / 2, order=2)
    # The current rides with diffusion; the trapezoidal rule keeps order 2.
    first = operator.advance(v, step)
    if source is not None:
        first.add_(source(time), alpha=step)
    second = operator.advance(first, step)
    if source is not None:
        second.add_(source(time + step), alpha=step)
    v.add_(second).mul_(0.5)
    react_(v, h, cell, step / 2, order=2)
    return v


def _watch_(activation: Tensor, before: Tensor, v: Tensor, level: float, time: float, span: float) -> None:
    """Writes the time of the first upward crossing within the last `span` ms."""
    rising = (v >= level) & (activation == inf)
    share = (v - level) / (v - before)
    torch.where(rising, time - span * share, activation, out=activation)


def _check(operator: Diffusion, v: Tensor, h: Tensor | None, duration: float, step: float) -> None:
    if tuple(v.shape) != operator.shape or (h is not None and h.shape != v.shape):
        raise UsageError(
            f"monodomain: the state {tuple(v.shape)} is not of the grid's shape {operator.shape}"
        )
    if duration <= 0 or step <= 0:
        raise UsageError(f"monodomain: duration {duration} and step {step} must be > 0 ms")
    limit = operator.largest_step()
    if step > limit:
        raise UsageError(f"monodomain: a step of {step} ms is unstable here; give at most {limit:.3g} ms")
