"""Tables over height and angle, read between their entries: linear in both, periodic in the angle.

Radii are read through their squares: those of an ellipsoid are smooth at its apex, where the radius itself is
not, and the volume inside a surface whose square is linear between rows is the trapezoidal rule's, exactly.
"""

from __future__ import annotations

from math import pi
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from simulation.heart.anatomy.shape import Anatomy


def lookup(table: Tensor, z: Tensor, angle: Tensor, anatomy: Anatomy) -> Tensor:
    """Bilinear values of a table at places (z, angle); heights outside the table take its first or last row.

    table: (P, H, N), or (P, K, H, N) for K tables read at once. z: (P, ...) mm. angle: (P, ...) radians.
    Returns (P, ...) or (P, K, ...).
    """
    several = table if table.ndim == 4 else table[:, None]
    share = 1 + z / anatomy.length.view(-1, *[1] * (z.ndim - 1))
    values = read(several, share, angle)
    return values if table.ndim == 4 else values[:, 0]


def radius(table: Tensor, z: Tensor, angle: Tensor, anatomy: Anatomy) -> Tensor:
    """Like `lookup`, for a table of radii (mm): read through their squares; a negative square is radius 0."""
    return lookup(table * table, z, angle, anatomy).clamp(min=0).sqrt()


def read(tables: Tensor, share: Tensor, angle: Tensor) -> Tensor:
    """Bilinear values of tables (P, K, H, N) at relative heights (0 first row, 1 last row) and angles.

    share, angle: (P, ...). Returns (P, K, ...).
    """
    patients, kinds, rows, columns = tables.shape
    row = (share.reshape(patients, -1) * (rows - 1)).clamp(0, rows - 1)
    column = torch.remainder(angle.reshape(patients, -1) * (columns / (2 * pi)), columns)
    low = row.long().clamp(max=rows - 2)
    left = column.long().clamp(max=columns - 1)
    right = torch.where(left == columns - 1, 0, left + 1)
    up = (row - low)[:, None]
    on = (column - left)[:, None]
    flat = tables.reshape(patients, kinds, rows * columns)

    def entry(index: Tensor) -> Tensor:
        return flat.gather(2, index[:, None].expand(-1, kinds, -1))

    below = torch.lerp(entry(low * columns + left), entry(low * columns + right), on)
    above = torch.lerp(entry((low + 1) * columns + left), entry((low + 1) * columns + right), on)
    return torch.lerp(below, above, up).reshape(patients, kinds, *share.shape[1:])
