"""The same hearts as another day, another scanner and another table position would have shown them.

Bounds were chosen by looking at digital patients and at the training patients of Sunnybrook.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

TURN = 0.35  # rad, either way
ZOOM = 0.4  # of the logarithm, either way
STRETCH = 0.15  # of the logarithm of one axis against the other
SHIFT = 0.2  # of the half image, either way
GAMMA = 0.3  # of the logarithm
BIAS = 0.2  # of the logarithm of the brightness, at the knots of a coarse grid
NOISE = 0.03  # of the span of grey values
KNOTS = 4


def augment(inputs: Tensor, targets: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Moved and shone on anew, each by herself: inputs (patient, 1, Y, X), targets (patient, Y, X)."""
    inputs, targets = _moved(inputs, targets, generator)
    return _shone(inputs, generator), targets


def _spread(shape: tuple[int, ...], most: float, generator: torch.Generator) -> Tensor:
    """Uniform from −most to most."""
    return (2 * torch.rand(shape, generator=generator) - 1) * most


def _moved(inputs: Tensor, targets: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    count = len(inputs)
    turn = _spread((count,), TURN, generator)
    zoom, stretch = _spread((count,), ZOOM, generator), _spread((count,), STRETCH, generator)
    across, down = (zoom + stretch).exp(), (zoom - stretch).exp()
    shift = _spread((count, 2), SHIFT, generator)
    matrix = torch.stack(
        [
            torch.stack([across * turn.cos(), -down * turn.sin(), shift[:, 0]], 1),
            torch.stack([across * turn.sin(), down * turn.cos(), shift[:, 1]], 1),
        ],
        1,
    )
    grid = functional.affine_grid(matrix, list(inputs.shape), align_corners=False)
    moved = functional.grid_sample(inputs, grid, padding_mode="zeros", align_corners=False)
    # Labels are names, not numbers: nearest. Outside the picture, what a border pixel is.
    names = functional.grid_sample(
        targets[:, None].to(inputs.dtype), grid, mode="nearest", padding_mode="border", align_corners=False
    )
    return moved, names[:, 0].to(targets.dtype)


def _shone(inputs: Tensor, generator: torch.Generator) -> Tensor:
    count = len(inputs)
    gamma = _spread((count, 1, 1, 1), GAMMA, generator).exp()
    knots = _spread((count, 1, KNOTS, KNOTS), BIAS, generator)
    bias = functional.interpolate(knots, inputs.shape[2:], mode="bicubic", align_corners=True).exp()
    noise = NOISE * torch.rand((count, 1, 1, 1), generator=generator)
    shone = inputs.clamp_min(0.0).pow(gamma) * bias
    return shone + noise * torch.randn(inputs.shape, generator=generator)
