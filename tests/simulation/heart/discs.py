"""Hearts of discs: what the pictures' tests need, without an anatomy."""

import numpy as np
import torch

from simulation.heart.imaging import look, surroundings
from simulation.heart.imaging.scanner import SCANNERS
from simulation.heart.imaging.tissues import HEART

SIZE, SPACING = 64, 2.8


def discs(patients=1, slices=3, phases=2, dtype=torch.float64):
    """Shares (P, S, T, len(HEART), Y, X) of a ring beside a disc, narrow at the apex, and heights (P, S)."""
    axis = (torch.arange(SIZE, dtype=dtype) - (SIZE - 1) / 2) * SPACING
    x, y = axis[None, :], -axis[:, None]
    taper = torch.linspace(1.0, 0.4, slices, dtype=dtype)[:, None, None, None]
    beat = 1 - 0.3 * torch.linspace(0, 1, phases, dtype=dtype)[:, None, None]

    def disc(at, radius):
        return (0.5 - (torch.sqrt((x - at) ** 2 + y**2) - radius) / SPACING).clamp(0, 1)

    inner, outer = disc(10.0, 25 * taper * beat), disc(10.0, 35 * taper).expand(-1, phases, -1, -1)
    right = disc(-15.0, 34 * taper).expand(-1, phases, -1, -1) * (1 - outer)
    channels = torch.zeros(slices, phases, len(HEART), SIZE, SIZE, dtype=dtype)
    channels[:, :, 0], channels[:, :, 1], channels[:, :, 2] = inner, outer - inner, right
    heights = torch.linspace(0, -80, slices, dtype=dtype)
    return channels.expand(patients, -1, -1, -1, -1, -1).clone(), heights.expand(patients, -1).clone()


def scene(seeds, scanner="a", contrast="cine", **shape):
    """What `render` takes for one patient per seed."""
    fractions, heights = discs(len(seeds), **shape)
    randoms = [np.random.default_rng(seed) for seed in seeds]
    thoraxes = [surroundings.draw(random) for random in randoms]
    looks = [look.draw(random, SCANNERS[scanner], contrast) for random in randoms]
    around = surroundings.build(thoraxes, fractions[:, :, 0].sum(2), heights, SPACING)
    return fractions, around, looks, SCANNERS[scanner], randoms, SPACING
