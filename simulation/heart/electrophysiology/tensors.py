"""Symmetric 3 x 3 tensors on a grid, as six planes, and what conduction along fibres makes of them.

Component order: xx, yy, zz, xy, xz, yz, along the last axis. A tensor of squared speeds (mm²/ms²) drives the
eikonal equation, a tensor of diffusivities (mm²/ms) the monodomain equation.
"""

from __future__ import annotations

import torch
from torch import Tensor

PAIRS = ((0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2))
PLACE = ((0, 3, 4), (3, 1, 5), (4, 5, 2))  # PLACE[a][b]: where the component a, b stands


def along_fibres(fibres: Tensor, along: Tensor | float, across: Tensor | float) -> Tensor:
    """Tensors (..., 6), `along` the unit fibres (..., 3) and `across` them: k_t I + (k_l - k_t) f fᵀ.

    `along` and `across` are numbers or tensors of shape (...).
    """
    excess = torch.as_tensor(along - across, dtype=fibres.dtype, device=fibres.device)
    outer = torch.stack([fibres[..., a] * fibres[..., b] for a, b in PAIRS], dim=-1)
    scaled = outer * excess[..., None]
    base = torch.as_tensor(across, dtype=fibres.dtype, device=fibres.device)
    scaled[..., :3] += base[..., None]
    return scaled


def inverse(tensors: Tensor) -> Tensor:
    """Inverses of tensors (..., 6), by cofactors."""
    xx, yy, zz, xy, xz, yz = tensors.unbind(-1)
    cofactors = torch.stack(
        [
            yy * zz - yz * yz,
            xx * zz - xz * xz,
            xx * yy - xy * xy,
            xz * yz - xy * zz,
            xy * yz - xz * yy,
            xy * xz - xx * yz,
        ],
        dim=-1,
    )
    determinant = xx * cofactors[..., 0] + xy * cofactors[..., 3] + xz * cofactors[..., 4]
    return cofactors / determinant[..., None]


def form(tensors: Tensor, vector: tuple[float, float, float]) -> Tensor:
    """vᵀ A v of tensors (..., 6) with one vector: shape (...)."""
    weights = [(1 if a == b else 2) * vector[a] * vector[b] for a, b in PAIRS]
    return tensors @ torch.tensor(weights, dtype=tensors.dtype, device=tensors.device)
