"""Smooth random fields in the patient's space: B-splines on a lattice of normal numbers.

A value depends on where in mm a voxel lies, not on how many slices are cut or how fine the picture is.
"""

from __future__ import annotations

import torch
from torch import Tensor

# Root mean square of a cubic B-spline's four weights, averaged over where between two knots one stands:
# 151/315 is the integral of the squared kernel.
RMS = (151 / 315) ** 0.5


def weights(places: Tensor, step: float, knots: int) -> Tensor:
    """Cubic B-spline weights (..., N, knots) of places (..., N) in mm, knots `step` mm apart, periodic."""
    position = places / step
    left = position.floor()
    t = position - left
    parts = torch.stack(
        [(1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3], dim=-1
    )
    index = (left[..., None].long() + torch.arange(-1, 3, device=places.device)) % knots
    result = torch.zeros(*places.shape, knots, dtype=places.dtype, device=places.device)
    return result.scatter_add_(-1, index, parts / 6)


def field(lattice: Tensor, heights: Tensor, y: Tensor, x: Tensor, step: float) -> Tensor:
    """Fields (P, C, S, Y, X) of unit variance from lattices (P, C, D, H, W) of standard normal numbers.

    Args:
        lattice: one lattice per patient and channel.
        heights: (P, S) mm.
        y: (Y,) mm.
        x: (X,) mm.
        step: mm between knots.

    """
    depth, rows, columns = lattice.shape[-3:]
    along_x = torch.einsum("pcdhw,xw->pcdhx", lattice, weights(x, step, columns))
    along_y = torch.einsum("pcdhx,yh->pcdyx", along_x, weights(y, step, rows))
    return torch.einsum("pcdyx,psd->pcsyx", along_y, weights(heights, step, depth)) / RMS**3
