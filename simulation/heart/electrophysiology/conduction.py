"""From an anatomy and a scar to when every part of the ventricles is activated.

Excitation starts where the conduction system ends. D. Durrer et al., "Total excitation of the isolated human
heart", Circulation 41 (1970) 899-912, saw three areas of the LV endocardium active within the first 5 ms:
high on the anterior wall beside the septum, in the middle of the septum's left surface, and on the inferior
wall beside the septum, a third of the way from apex to base; the RV followed 5 to 10 ms after, near the
insertion of its anterior papillary muscle. The LV's two areas beside the septum stand here for the roots of
both papillary muscles. From there the front follows the eikonal equation: along fibres at 0.67 and across at
0.30 mm/ms (B. J. Caldwell et al., Circulation: Arrhythmia and Electrophysiology 2 (2009) 433-440), and
faster in a thin layer under the endocardium that stands for the Purkinje network (its thickness and speed
are assumed).

What it is not: a His-Purkinje tree; fronts that return into the network; a wall whose sheets matter.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import inf, radians

import torch
from torch import Tensor

from ground.errors import UsageError
from simulation.heart.anatomy.coordinates import LEFT, OUTSIDE, RIGHT, Coordinates, locate, place
from simulation.heart.anatomy.fibres import fibres
from simulation.heart.anatomy.segments import CENTRES, SEGMENTS, segment_of
from simulation.heart.anatomy.shape import Anatomy
from simulation.heart.electrophysiology.eikonal import arrival_times
from simulation.heart.electrophysiology.tensors import along_fibres

Density = Callable[[Tensor, Tensor, Tensor], Tensor]
BLOCKS = ("none", "left", "right")  # which bundle branch does not conduct


@dataclass(frozen=True)
class Site:
    """Where the conduction system ends, in ventricular coordinates, and when, in ms."""

    name: str
    branch: str
    transmural: float
    longitudinal: float
    angle: float
    ventricle: int
    time: float


SITES: tuple[Site, ...] = (
    Site("LV mid septum", "left", 0.05, 0.50, 0.0, LEFT, 0.0),
    Site("LV anterior paraseptal wall", "left", 0.05, 0.65, radians(50), LEFT, 0.0),
    Site("LV inferior paraseptal wall", "left", 0.05, 0.40, radians(-50), LEFT, 0.0),
    Site("RV septum", "right", 0.95, 0.40, 0.0, LEFT, 5.0),
    Site("RV moderator band", "right", 0.50, 0.50, radians(20), RIGHT, 5.0),
)


@dataclass(frozen=True)
class Speeds:
    """Conduction speeds in mm/ms, and what scar does to them (all but the first two assumed)."""

    along: float = 0.67
    across: float = 0.30
    layer: float = 1.5  # under the endocardium, while its bundle branch conducts
    entered: float = 0.8  # the same layer where its branch is blocked and the front enters it from muscle
    layer_depth: float = 0.15  # of the wall's thickness
    slowing: float = 0.8  # share of the speed that is lost per unit of scar density
    blocking: float = 0.7  # scar density from which on nothing conducts


@dataclass(frozen=True)
class Activation:
    """Activation of the ventricles on a grid of voxels whose centres are whole multiples of the spacing.

    Attributes:
        times: (P, X, Y, Z) ms after the first site fired; inf outside the wall and where nothing arrives.
        segments: (P, 17) ms, mean over the LV wall that is activated; a segment in which nothing is (scar, or
            an apex thinner than a voxel) takes the time of the activated voxel nearest to its centre.
        wall: (P, X, Y, Z) all tissue, scar as well; places below are of its voxels.
        ventricle, transmural, longitudinal, angle: (P, X, Y, Z) as in `anatomy.coordinates`.
        density: (P, X, Y, Z) of scar.
        origin: (3,) mm, centre of the first voxel, in the heart's frame.
        spacing: mm.

    """

    times: Tensor
    segments: Tensor
    wall: Tensor
    ventricle: Tensor
    transmural: Tensor
    longitudinal: Tensor
    angle: Tensor
    density: Tensor
    origin: Tensor
    spacing: float

    def total(self) -> Tensor:
        """(P,) ms from the first site to the last voxel activated."""
        return torch.where(torch.isfinite(self.times), self.times, -inf).flatten(1).amax(1)


def activate(
    anatomy: Anatomy,
    scar: Density | None = None,
    block: str | Sequence[str] = "none",
    speeds: Speeds | None = None,
    spacing: float = 2.5,
    sites: Sequence[Site] = SITES,
) -> Activation:
    """Activation times of P patients; `block` names for all, or for each, the bundle branch that fails.

    scar(transmural, longitudinal, angle), of (P, M) each, gives the density of scar, 0 to 1; it acts on the
    LV.
    """
    speeds = speeds or Speeds()
    blocks = _blocks(block, len(anatomy))
    origin, shape = _grid(anatomy, spacing)
    points = _points(origin, shape, spacing).expand(len(anatomy), -1, -1)
    where = locate(anatomy, points)
    wall = where.ventricle != OUTSIDE
    density = torch.zeros_like(where.transmural)
    full = (len(anatomy), *shape)
    lining = _around(where.ventricle == LEFT, full) & (where.transmural < 0) & ~wall
    bridged = wall | lining | _around(where.ventricle == RIGHT, full)
    left = (where.ventricle == LEFT) | lining
    if scar is not None:
        depth = where.transmural.clamp(min=0)
        density = torch.where(left, scar(depth, where.longitudinal, where.angle), density)
    tensors = _tensors(anatomy, points, where, left, bridged, density, blocks, speeds)
    conducting = bridged & (density < speeds.blocking)
    positions, starts = _starts(anatomy, sites, blocks, points, wall, conducting)
    times = arrival_times(
        tensors.view(*full, 6), conducting.view(full), spacing, positions - origin, starts, tolerance=0.01
    ).flatten(1)
    times = torch.where(wall, times, inf)
    density = torch.where(wall, density, 0)
    segments = _by_segment(anatomy, times, where, points)
    fields = (times, wall, where.ventricle, where.transmural, where.longitudinal, where.angle, density)
    times, wall, *places, density = (field.reshape(full) for field in fields)
    return Activation(
        times, segments, wall, places[0], places[1], places[2], places[3], density, origin, spacing
    )


def _blocks(block: str | Sequence[str], patients: int) -> list[str]:
    blocks = [block] * patients if isinstance(block, str) else list(block)
    if len(blocks) != patients or any(each not in BLOCKS for each in blocks):
        raise UsageError(f"conduction: block {block!r}: give one of {', '.join(BLOCKS)}, or one per patient")
    return blocks


def _grid(anatomy: Anatomy, spacing: float) -> tuple[Tensor, tuple[int, int, int]]:
    """Origin (3,) and shape of the smallest grid that holds all walls and one voxel around them."""
    if spacing <= 0:
        raise UsageError(f"conduction: spacing {spacing} must be > 0 mm")
    outer = torch.maximum(anatomy.epi, anatomy.rv + anatomy.rv_wall[:, None, None])
    angle = anatomy.angles()
    x, y = outer * angle.cos(), outer * angle.sin()
    low = torch.stack([x.min(), y.min(), -anatomy.length.max()])
    high = torch.stack([x.max(), y.max(), torch.zeros_like(x.max())])
    first = torch.floor(low / spacing) - 1
    counts = (torch.ceil(high / spacing) + 2 - first).long().tolist()
    return first * spacing, (counts[0], counts[1], counts[2])


def _around(voxels: Tensor, shape: tuple[int, ...]) -> Tensor:
    """`voxels` (P, M) and all that touch them.

    Layers about one voxel thick (the RV's free wall, the network under the LV's endocardium) hang together
    badly on a grid; the voxels beside them conduct as well, though they count as no tissue otherwise.
    """
    grid = voxels.view(shape[0], 1, *shape[1:]).to(torch.float32)
    return torch.nn.functional.max_pool3d(grid, 3, stride=1, padding=1).view(voxels.shape) > 0


def _points(origin: Tensor, shape: tuple[int, int, int], spacing: float) -> Tensor:
    axes = [torch.arange(size, dtype=origin.dtype, device=origin.device) * spacing for size in shape]
    return torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1).view(1, -1, 3) + origin


def _tensors(
    anatomy: Anatomy,
    points: Tensor,
    where: Coordinates,
    left: Tensor,
    wall: Tensor,
    density: Tensor,
    blocks: list[str],
    speeds: Speeds,
) -> Tensor:
    """Squared speeds (P, M, 6); ones outside the wall, where fibres are not worked out."""
    # The same number of places for every patient, walls first.
    order = torch.argsort(wall.to(torch.int8), dim=1, descending=True, stable=True)
    order = order[:, : int(wall.sum(1).max())]
    packed = points.gather(1, order[..., None].expand(-1, -1, 3))
    direction = fibres(anatomy, packed)
    left = left.gather(1, order)  # else the RV's free wall and what bridges it
    broken = {name: torch.tensor([each == name for each in blocks], device=points.device) for name in BLOCKS}
    network = torch.where(left, ~broken["left"][:, None], ~broken["right"][:, None])
    # The RV's free wall is about as thin as the voxels: all of it takes part in the layer's conduction.
    layer = ~left | (where.transmural.gather(1, order) < speeds.layer_depth)
    fast = torch.where(network, speeds.layer, speeds.entered)
    slowed = (1 - speeds.slowing * density.gather(1, order)).clamp(min=0.05)
    along = torch.where(layer, fast, speeds.along) * slowed
    across = torch.where(layer, fast, speeds.across) * slowed
    tensors = torch.zeros(*wall.shape, 6, dtype=points.dtype, device=points.device)
    tensors[..., :3] = 1
    values = along_fibres(direction, along**2, across**2)
    return tensors.scatter(1, order[..., None].expand(-1, -1, 6), values)


def _starts(
    anatomy: Anatomy,
    sites: Sequence[Site],
    blocks: list[str],
    points: Tensor,
    wall: Tensor,
    conducting: Tensor,
) -> tuple[Tensor, Tensor]:
    """Positions (P, S, 3) mm at the wall's voxels nearest to the sites, and times (P, S) ms.

    A site whose branch is blocked, or whose place is scar, never fires.
    """
    columns = {
        name: torch.tensor([[getattr(site, name) for site in sites]], device=points.device).expand(
            len(blocks), -1
        )
        for name in ("transmural", "longitudinal", "angle", "ventricle", "time")
    }
    transmural, longitudinal, angle = (
        columns[name].to(points.dtype) for name in ("transmural", "longitudinal", "angle")
    )
    wanted = place(anatomy, Coordinates(transmural, longitudinal, angle, columns["ventricle"]))
    away = (points[:, None] - wanted[:, :, None]).square().sum(-1)
    nearest = torch.where(wall[:, None], away, inf).argmin(-1)
    positions = points.gather(1, nearest[..., None].expand(-1, -1, 3))
    blocked = torch.tensor(
        [[site.branch == block for site in sites] for block in blocks], device=points.device
    )
    silent = blocked | ~conducting.gather(1, nearest)
    return positions, torch.where(silent, inf, columns["time"].to(points.dtype))


def _by_segment(anatomy: Anatomy, times: Tensor, where: Coordinates, points: Tensor) -> Tensor:
    """(P, 17) ms: means over activated voxels; without any, the time of the voxel nearest to the centre."""
    reached = torch.isfinite(times) & (where.ventricle == LEFT)
    number = torch.where(reached, segment_of(where.longitudinal, where.angle), 0)
    values = torch.where(reached, times, 0)
    empty = torch.zeros(len(times), SEGMENTS + 1, dtype=times.dtype, device=times.device)
    total = empty.scatter_add(1, number, values)[:, 1:]
    count = empty.scatter_add(1, number, reached.to(times.dtype))[:, 1:]
    centres = torch.tensor(CENTRES, dtype=times.dtype, device=times.device).expand(len(times), -1, -1)
    along, angle = centres.unbind(-1)
    middle = Coordinates(torch.full_like(along, 0.5), along, angle, torch.full_like(along, LEFT))
    away = (points[:, None] - place(anatomy, middle)[:, :, None]).square().sum(-1)
    nearest = torch.where(reached[:, None], away, inf).argmin(-1)
    return torch.where(count > 0, total / count.clamp(min=1), times.gather(1, nearest))
