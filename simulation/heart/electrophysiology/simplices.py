"""The 26 neighbours of a voxel and the 72 triangles and 48 tetrahedra that they make around it.

A tetrahedron's base has a neighbour across a face (step s_a e_a), one across an edge (+ s_b e_b) and one
across a corner (+ s_c e_c): three axes in some order and three signs. Triangles are its sides that touch the
centre.
"""

from __future__ import annotations

from functools import cache
from itertools import permutations, product

import torch
from torch import Tensor

Shift = tuple[int, int, int]
NEIGHBOURS: tuple[Shift, ...] = tuple(
    (x, y, z) for x, y, z in product((-1, 0, 1), repeat=3) if (x, y, z) != (0, 0, 0)
)
# One of each pair of opposite neighbours: their lengths are the same in any metric.
HALF: tuple[Shift, ...] = tuple(shift for shift in NEIGHBOURS if shift > (0, 0, 0))
LENGTH: tuple[int, ...] = tuple(
    HALF.index(shift if shift > (0, 0, 0) else (-shift[0], -shift[1], -shift[2])) for shift in NEIGHBOURS
)


def _tetrahedra() -> list[tuple[tuple[int, int, int], Shift, tuple[Shift, Shift, Shift]]]:
    found = []
    for order in permutations(range(3)):
        for signs in product((-1, 1), repeat=3):
            at = [0, 0, 0]
            base = []
            for axis in order:
                at[axis] = signs[axis]
                base.append((at[0], at[1], at[2]))
            turned = (signs[order[0]], signs[order[1]], signs[order[2]])
            found.append(((order[0], order[1], order[2]), turned, (base[0], base[1], base[2])))
    return found


TETRAHEDRA = _tetrahedra()
TRIANGLES: tuple[tuple[Shift, Shift], ...] = tuple(
    sorted({(base[i], base[j]) for _, _, base in TETRAHEDRA for i, j in ((0, 1), (0, 2), (1, 2))})
)


@cache
def triangle_tables() -> tuple[Tensor, Tensor, Tensor]:
    """Indices, each (72,): first and second neighbour, and the length of their difference among HALF."""
    first = [NEIGHBOURS.index(a) for a, _ in TRIANGLES]
    second = [NEIGHBOURS.index(b) for _, b in TRIANGLES]
    gaps = [NEIGHBOURS.index((b[0] - a[0], b[1] - a[1], b[2] - a[2])) for a, b in TRIANGLES]
    return torch.tensor(first), torch.tensor(second), torch.tensor([LENGTH[gap] for gap in gaps])


@cache
def tetrahedron_tables() -> tuple[Tensor, Tensor, Tensor]:
    """Neighbours (3, 48), signs (3, 48), components aa, bb, cc, ab, ac, bc of a symmetric tensor (6, 48)."""
    place = ((0, 3, 4), (3, 1, 5), (4, 5, 2))
    corners = [[NEIGHBOURS.index(base[k]) for _, _, base in TETRAHEDRA] for k in range(3)]
    signs = [[turned[k] for _, turned, _ in TETRAHEDRA] for k in range(3)]
    pairs = ((0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2))
    parts = [[place[order[i]][order[j]] for order, _, _ in TETRAHEDRA] for i, j in pairs]
    return torch.tensor(corners), torch.tensor(signs), torch.tensor(parts)
