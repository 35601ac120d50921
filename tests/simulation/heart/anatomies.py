"""Hearts for the tests: some patients of every group, in double precision."""

from functools import cache

import numpy as np
import torch

from simulation.heart.anatomy import population
from simulation.heart.anatomy.parameters import Parameters
from simulation.heart.anatomy.shape import Anatomy, build


def patients(group: str, count: int, seed: int = 0, **fixed: float) -> list[dict[str, float]]:
    return [population.draw(group, np.random.default_rng([seed, number]), fixed) for number in range(count)]


@cache
def some(count: int = 2, dtype: torch.dtype = torch.float64) -> Parameters:
    """`count` of each group."""
    everyone = [patient for group in population.GROUPS for patient in patients(group, count)]
    return population.stack(everyone, dtype)


@cache
def hearts(count: int = 2, dtype: torch.dtype = torch.float64) -> Anatomy:
    return build(some(count, dtype))


def points(anatomy: Anatomy, count: int, seed: int = 0) -> torch.Tensor:
    """(P, count, 3) mm, uniform in a box around the ventricles."""
    random = torch.Generator().manual_seed(seed)
    share = torch.rand(len(anatomy), count, 3, generator=random, dtype=torch.float64)
    right = (anatomy.rv + anatomy.rv_wall[:, None, None]).amax((1, 2))
    left = anatomy.epi.amax((1, 2))
    low = torch.stack([-left, -right, -anatomy.length], dim=1)[:, None]
    high = torch.stack([right, right, torch.zeros_like(left)], dim=1)[:, None]
    return low + share * (high - low)
