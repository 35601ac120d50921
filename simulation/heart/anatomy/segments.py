"""The 17 segments of the American Heart Association (Cerqueira et al. 2002, Circulation 105:539).

Basal, mid and apical thirds of the LV cavity's length hold 6, 6 and 4 segments; what lies below the cavity is
segment 17. Segment k stands at index k - 1 of every last dimension of 17.
"""

from __future__ import annotations

from itertools import pairwise
from math import pi, radians
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from simulation.heart.anatomy.shape import Anatomy

SEGMENTS = 17
RINGS: tuple[tuple[float, int, float], ...] = (
    # longitudinal centre, how many segments, angle of the first one; the others follow at falling angles
    (5 / 6, 6, radians(90)),  # basal: 1 to 6
    (1 / 2, 6, radians(90)),  # mid: 7 to 12
    (1 / 6, 4, radians(90)),  # apical: 13 to 16
)
# (longitudinal, angle in radians) of every segment's centre; the apex has no angle, so 0.
CENTRES: tuple[tuple[float, float], ...] = (
    *((centre, first - k * 2 * pi / count) for centre, count, first in RINGS for k in range(count)),
    (0.0, 0.0),
)
LOWEST = -0.5  # no apical wall is as thick as half a cavity's length
NAMES: tuple[str, ...] = (
    *("basal anterior", "basal anteroseptal", "basal inferoseptal"),
    *("basal inferior", "basal inferolateral", "basal anterolateral"),
    *("mid anterior", "mid anteroseptal", "mid inferoseptal"),
    *("mid inferior", "mid inferolateral", "mid anterolateral"),
    *("apical anterior", "apical septal", "apical inferior", "apical lateral", "apex"),
)


def segment_of(longitudinal: Tensor, angle: Tensor) -> Tensor:
    """The segment, 1 to 17, of each place; 0 above the base and far below the apex.

    longitudinal: any shape, 0 at the endocardial apex, 1 at the base. angle: same shape, radians.
    """
    longitudinal, angle = longitudinal + 0 * angle, angle + 0 * longitudinal
    sector = torch.remainder(torch.floor((radians(120) - angle) / radians(60)), 6).long()
    quarter = torch.remainder(torch.floor((radians(135) - angle) / radians(90)), 4).long()
    segment = torch.where(longitudinal >= 2 / 3, 1 + sector, 7 + sector)
    segment = torch.where(longitudinal >= 1 / 3, segment, 13 + quarter)
    segment = torch.where(longitudinal >= 0, segment, 17)
    return torch.where((longitudinal <= 1) & (longitudinal >= LOWEST), segment, 0)


def weights(longitudinal: Tensor, angle: Tensor) -> Tensor:
    """How much each segment says about a place: smooth, periodic, not negative, summing to one.

    One at the segment's own centre, one half on the border between neighbours of a ring and between rings.
    Only the apex differs: it takes over between the centre of the apical ring and the end of the cavity, so
    that nothing depends on the angle where the angle has no meaning.

    Returns (..., 17) for arguments of shape (...).
    """
    longitudinal, angle = longitudinal + 0 * angle, angle + 0 * longitudinal
    levels = [centre for centre, _, _ in RINGS] + [0.0]
    steps = [_smooth((longitudinal - low) / (high - low)) for high, low in pairwise(levels)]
    shares = [steps[0], *((1 - above) * below for above, below in pairwise(steps))]
    parts = []
    for share, (_, count, first) in zip(shares, RINGS, strict=True):
        width = 2 * pi / count
        centres = first - width * torch.arange(count, dtype=angle.dtype, device=angle.device)
        away = torch.remainder(angle[..., None] - centres + pi, 2 * pi) - pi
        parts.append(share[..., None] * _smooth(1 - away.abs() / width))
    parts.append((1 - steps[-1])[..., None])
    return torch.cat(parts, dim=-1)


def spread(values: Tensor, anatomy: Anatomy) -> Tensor:
    """Values by segment (P, ..., 17) as tables over the anatomy's heights and angles (P, ..., H, N)."""
    longitudinal = anatomy.longitudinal()[:, :, None]
    weight = weights(longitudinal, anatomy.angles()).to(values)
    return torch.einsum("p...s,phns->p...hn", values, weight)


def _smooth(share: Tensor) -> Tensor:
    """3t² - 2t³ held between 0 and 1: flat at both ends."""
    share = share.clamp(0, 1)
    return share * share * (3 - 2 * share)
