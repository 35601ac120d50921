"""div(D grad u) on a voxel grid with an arbitrary mask, no flux through its surface, order 2 inside.

The operator is the gradient of an energy. At each of the eight corners of a voxel the gradient is made of the
differences to the three neighbours on that corner's side, and the energy is the mean over corners and voxels
of ½ gᵀ D g, with D of the voxel. Where a neighbour is missing, its difference takes the value that minimises
the energy, which is the condition of no flux through that face (a Schur complement of D). So the operator is
symmetric, conserves the integral of u, and never makes energy, whatever the mask; on a full grid it is the
usual stencil of 19 points. A surface oblique to the grid is a staircase: there the order is 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import torch
from torch import Tensor

from ground.errors import UsageError
from simulation.heart.electrophysiology.tensors import PLACE

Shift = tuple[int, int, int]


@dataclass(frozen=True)
class Diffusion:
    """(L u)_i = Σ_j w_ij (u_j - u_i), w in 1/ms; a link joins a voxel to the one `jump` places on, flat."""

    shape: tuple[int, ...]  # (P, X, Y, Z)
    links: tuple[tuple[int, Tensor], ...]  # (jump, weights (P X Y Z - jump,))
    diagonal: Tensor  # (P X Y Z,) Σ_j w_ij

    def apply(self, u: Tensor) -> Tensor:
        """div(D grad u) in units of u per ms; u has shape (P, X, Y, Z)."""
        flat = u.reshape(-1)
        return self._links(torch.mul(flat, -self.diagonal), flat, self.links).view(self.shape)

    def advance(self, u: Tensor, step: float) -> Tensor:
        """U + step div(D grad u)."""
        flat = u.reshape(-1)
        moved = flat.addcmul(flat, self.diagonal, value=-step)
        for jump, weights in self.links:
            moved[:-jump].addcmul_(weights, flat[jump:], value=step)
            moved[jump:].addcmul_(weights, flat[:-jump], value=step)
        return moved.view(self.shape)

    @staticmethod
    def _links(total: Tensor, flat: Tensor, links: tuple[tuple[int, Tensor], ...]) -> Tensor:
        for jump, weights in links:
            total[:-jump].addcmul_(weights, flat[jump:])
            total[jump:].addcmul_(weights, flat[:-jump])
        return total

    def largest_step(self) -> float:
        """The longest explicit step in ms that is surely stable, from Gershgorin's circles."""
        radius = self._links(
            self.diagonal.clone(),
            torch.ones_like(self.diagonal),
            tuple((jump, weights.abs()) for jump, weights in self.links),
        )
        largest = float(radius.max())
        return 2 / largest if largest > 0 else float("inf")


def diffusion(tensors: Tensor, mask: Tensor, spacing: float) -> Diffusion:
    """The operator for tensors (P, X, Y, Z, 6) in mm²/ms, a mask (P, X, Y, Z) and a spacing in mm.

    A grid of two dimensions, or of one, has an axis, or two, of one voxel.
    """
    shape = tuple(mask.shape)
    if tensors.shape != (*shape, 6) or mask.dim() != 4 or spacing <= 0:
        raise UsageError(
            f"diffusion: tensors {tuple(tensors.shape)}, mask {shape}, spacing {spacing} do not fit; "
            "give (P, X, Y, Z, 6), (P, X, Y, Z) and a spacing > 0"
        )
    inside = mask.bool()
    if bool((tensors[inside][:, :3] <= 0).any()):
        raise UsageError(
            "diffusion: a tensor in the mask is not positive; cut blocked tissue out of the mask"
        )
    weights: dict[Shift, Tensor] = {}
    for x, y, z in product((-1, 1), repeat=3):
        _add_corner(weights, tensors, inside, (x, y, z))
    strides = (shape[2] * shape[3], shape[3], 1)
    scale = 1 / spacing**2
    diagonal = torch.zeros(mask.numel(), dtype=tensors.dtype, device=tensors.device)
    links = []
    for shift, weight in sorted(weights.items()):
        jump = sum(stride * step for stride, step in zip(strides, shift, strict=True))
        flat = weight.reshape(-1)[: weight.numel() - jump].mul(scale)
        if bool(flat.any()):
            links.append((jump, flat.contiguous()))
            diagonal[:-jump] += flat
            diagonal[jump:] += flat
    return Diffusion(shape, tuple(links), diagonal)


def _add_corner(weights: dict[Shift, Tensor], tensors: Tensor, inside: Tensor, signs: Shift) -> None:
    """Adds what one corner of every voxel gives to the links, in mm²/ms."""
    steps = [tuple(signs[a] if a == b else 0 for b in range(3)) for a in range(3)]
    present = [inside & shifted(inside, (step[0], step[1], step[2])) for step in steps]
    reduced = [component / 8 for component in tensors.unbind(-1)]
    for axis in range(3):
        reduced = _without(reduced, axis, inside & ~present[axis])
    reduced = [torch.where(inside, component, 0) for component in reduced]
    ends = [_shift(*step) for step in steps]
    for axis in range(3):
        _add_link(weights, reduced[axis], (0, 0, 0), ends[axis])
    # 2 d (A - u)(B - u) = d ((A - u)² + (B - u)² - (A - B)²): three links for each mixed component.
    for a, b in ((0, 1), (0, 2), (1, 2)):
        mixed = signs[a] * signs[b] * reduced[PLACE[a][b]]
        _add_link(weights, mixed, (0, 0, 0), ends[a])
        _add_link(weights, mixed, (0, 0, 0), ends[b])
        _add_link(weights, -mixed, ends[a], ends[b])


def _without(components: list[Tensor], axis: int, missing: Tensor) -> list[Tensor]:
    """The tensor left when the gradient along `axis` is free: D - D e eᵀ D / (eᵀ D e) where `missing`."""
    pivot = torch.where(components[axis] > 0, components[axis], 1)
    result = list(components)
    for a, b in ((0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2)):
        less = components[PLACE[a][axis]] * components[PLACE[b][axis]] / pivot
        value = components[PLACE[a][b]] - less
        if axis in (a, b):
            value = torch.zeros_like(value)
        result[PLACE[a][b]] = torch.where(missing, value, components[PLACE[a][b]])
    return result


def _add_link(weights: dict[Shift, Tensor], weight: Tensor, first: Shift, second: Shift) -> None:
    """Adds `weight`, given at the voxel, to the link between its neighbours `first` and `second`."""
    low, high = sorted((first, second))
    shift = _shift(*(b - a for a, b in zip(low, high, strict=True)))
    if shift not in weights:
        weights[shift] = torch.zeros_like(weight)
    weights[shift] += shifted(weight, _shift(*(-a for a in low)))


def _shift(x: int, y: int, z: int) -> Shift:
    return x, y, z


def shifted(field: Tensor, shift: Shift) -> Tensor:
    """`field` (P, X, Y, Z) with its neighbour at `shift` in each place; zero, or False, beyond the grid."""
    result = torch.zeros_like(field)
    to, of = zip(
        *(_overlap(step, size) for step, size in zip(shift, field.shape[1:], strict=True)), strict=True
    )
    result[(slice(None), *to)] = field[(slice(None), *of)]
    return result


def _overlap(step: int, size: int) -> tuple[slice, slice]:
    count = max(size - abs(step), 0)
    here, there = max(-step, 0), max(step, 0)
    return slice(here, here + count), slice(there, there + count)
