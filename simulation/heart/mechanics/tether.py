"""What holds neighbouring segments together: springs between segments that share an edge.

Segments that share only a pressure would slide past each other freely: a segment activated 20 ms early would
collapse, a dead one balloon. Continuous tissue does not let them, so neighbours i and j carry an energy

    E = ½ K V̄_w Σ_ij A_ij ((ε_i − ε_i0) − (ε_j − ε_j0))²,   A_ij = ¼ where i and j share an edge, else 0

which adds the fibre stress K (V̄_w/V_w,i) Σ_j A_ij (...) to segment i. ε_0 is passive end-diastole, V̄_w the
mean wall of a segment. Form and modulus (`passive.Wall.tether`) are assumed.
"""

from __future__ import annotations

import torch
from torch import Tensor


def edges() -> list[tuple[int, int]]:
    """Pairs of AHA segments (1 to 17) that share an edge, each once.

    Cerqueira et al. (2002, Circulation 105:539): six basal, six mid, four apical segments and the apex.
    """
    basal = [(s, s % 6 + 1) for s in range(1, 7)]
    mid = [(s + 6, t + 6) for s, t in basal]
    apical = [(13, 14), (14, 15), (15, 16), (16, 13)]
    upper = [(s, s + 6) for s in range(1, 7)]
    lower = [(7, 13), (8, 14), (9, 14), (10, 15), (11, 16), (12, 16)]
    return basal + mid + apical + upper + lower + [(s, 17) for s in range(13, 17)]


def neighbours(device: torch.device | str = "cpu") -> Tensor:
    """(17, 5) the neighbours of each segment, counted from 0; itself where it has fewer than five."""
    rows: list[list[int]] = [[] for _ in range(17)]
    for s, t in edges():
        rows[s - 1].append(t - 1)
        rows[t - 1].append(s - 1)
    return torch.tensor([row + [s] * (5 - len(row)) for s, row in enumerate(rows)], device=device)


def differences(strain: Tensor, near: Tensor) -> Tensor:
    """Σ_j A_ij (ε_i − ε_j) of strains (P, 17), by the table of `neighbours`.

    A look-up and not a matrix product, because a product this small wakes threads that cost more than it.
    """
    around = torch.index_select(strain, 1, near.flatten()).reshape(-1, 17, 5).sum(2)
    return 0.25 * (5 * strain - around)


def degree(near: Tensor) -> Tensor:
    """Σ_j A_ij, (17,)."""
    return 0.25 * (near != torch.arange(17, device=near.device)[:, None]).sum(1)
