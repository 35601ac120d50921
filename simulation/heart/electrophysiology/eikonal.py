"""Arrival times of a front whose speed depends on place and direction: √(∇Tᵀ D ∇T) = 1.

D is the tensor of squared speeds (mm²/ms²), so a homogeneous medium has T = √(xᵀ D⁻¹ x). Voxels whose
neighbourhood changed are updated all at once (the fast iterative method of W.-K. Jeong and R. T. Whitaker,
SIAM Journal on Scientific Computing 30 (2008) 2512-2534, here with Jacobi sweeps), each from the 26
neighbours, 72 triangles and 48 tetrahedra around it, T linear on every base (J. Sethian and A. Vladimirsky,
SIAM Journal on Numerical Analysis 41 (2003) 325-363). The fixed point does not depend on the order of
updates.

A linear base cuts off the curvature of a round front. That is put back: each time carries the position of
the site from which it came, and the part of a distance (in the metric of the voxel) that is not linear is
taken off its neighbours' times. So one site in a homogeneous medium is exact, and fronts without a site
(given as a `start` field) are of order 1; where D varies, or a front bends around an obstacle, the order is
1 too. Where D jumps close to a site the correction could outrun the front; a time is therefore taken only if
it is later than the earliest neighbour that it stands on, which also bounds all times from below, so that
the sweeps settle.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ground.errors import UsageError
from simulation.heart.electrophysiology.simplices import (
    HALF,
    LENGTH,
    NEIGHBOURS,
    tetrahedron_tables,
    triangle_tables,
)
from simulation.heart.electrophysiology.tensors import form, inverse

FAR = 1e6  # ms: later than anything, and its square is still a number
CHUNK = 2048  # voxels updated together on a CPU: their hundred or so numbers each stay in its cache
LEAST = 0.1  # of the time to cross a voxel


@dataclass(frozen=True)
class _Medium:
    """Voxels in the mask, packed; lengths in mm, times in ms."""

    neighbours: Tensor  # (26, V) packed indices; V where there is none
    speeds: Tensor  # (6, V) D in voxels²/ms²
    metric: Tensor  # (6, V) D⁻¹ in ms²/voxel²
    squares: Tensor  # (13, V) lengths² of the neighbours' steps, ms²
    places: Tensor  # (3, V) position in voxels


def arrival_times(
    speeds: Tensor,
    mask: Tensor,
    spacing: float,
    sites: Tensor | None = None,
    times: Tensor | None = None,
    start: Tensor | None = None,
    tolerance: float = 1e-3,
    sweeps: int = 2000,
) -> Tensor:
    """Arrival times (P, X, Y, Z) in ms, infinite where nothing arrives.

    speeds: (P, X, Y, Z, 6) squared speeds in mm²/ms², components as in `tensors`. mask: (P, X, Y, Z).
    spacing: mm between voxel centres. sites: (P, S, 3) mm from the first voxel's centre, between voxels or
    on them, and times: (P, S) ms at which they fire (infinite: never). start: (P, X, Y, Z) ms, known times
    of whole fronts, infinite elsewhere. A change below `tolerance` ms is not passed on. A barrier one voxel
    thick blocks, even where it is oblique: a diagonal step needs a way round through faces.
    """
    _check(speeds, mask, spacing, sites, times, start)
    inside = mask.bool()
    medium = _pack(speeds, inside, spacing)
    packed = medium.speeds.shape[1]
    arrival = torch.full((packed + 1,), FAR, dtype=speeds.dtype, device=speeds.device)
    # Where the front came from, in voxels; infinite: not from a site, so without curvature.
    origin = torch.full((3, packed + 1), float("inf"), dtype=speeds.dtype, device=speeds.device)
    if start is not None:
        arrival[:-1] = start[inside].clamp(max=FAR)
    if sites is not None and times is not None:
        _ignite_(arrival, origin, medium, inside, sites / spacing, times)
    _sweep_(arrival, origin, medium, tolerance, sweeps)
    result = torch.full(mask.shape, float("inf"), dtype=speeds.dtype, device=speeds.device)
    known = arrival[:-1]
    result[inside] = torch.where(known < FAR / 2, known, float("inf"))
    return result


def _pack(speeds: Tensor, inside: Tensor, spacing: float) -> _Medium:
    tensors = speeds[inside] / spacing**2
    count = len(tensors)
    number = torch.full(tuple(size + 2 * (axis > 0) for axis, size in enumerate(inside.shape)), count)
    number = number.to(inside.device)
    middle = number[:, 1:-1, 1:-1, 1:-1]
    middle[inside] = torch.arange(count, device=inside.device)
    patient, x, y, z = inside.nonzero().unbind(1)
    table = torch.stack([number[patient, x + 1 + i, y + 1 + j, z + 1 + k] for i, j, k in NEIGHBOURS])
    table = torch.where(_reachable(table < count), table, count)
    metric = inverse(tensors)
    squares = torch.stack([form(metric, (float(i), float(j), float(k))) for i, j, k in HALF])
    places = torch.stack([x, y, z]).to(speeds.dtype)
    return _Medium(table, tensors.T.contiguous(), metric.T.contiguous(), squares, places)


def _reachable(open_: Tensor) -> Tensor:
    """Neighbours (26, V) to which a way through faces leads inside the block of 2 x 2 x 2 voxels."""
    result = open_.clone()
    for index, shift in enumerate(NEIGHBOURS):
        axes = [axis for axis in range(3) if shift[axis]]
        if len(axes) == 1:
            continue
        # The last step of the way leaves out one axis; for corners the edge neighbour was itself reachable.
        ways = torch.zeros_like(open_[index])
        for axis in axes:
            last = list(shift)
            last[axis] = 0
            ways |= (
                result[NEIGHBOURS.index((last[0], last[1], last[2]))]
                if len(axes) == 2
                else _edge(open_, last)
            )
        result[index] = open_[index] & ways
    return result


def _edge(open_: Tensor, shift: list[int]) -> Tensor:
    """Whether the neighbour across an edge is open and a face neighbour on the way to it is."""
    axes = [axis for axis in range(3) if shift[axis]]
    ways = torch.zeros_like(open_[0])
    for axis in axes:
        first = [0, 0, 0]
        first[axis] = shift[axis]
        ways |= open_[NEIGHBOURS.index((first[0], first[1], first[2]))]
    return ways & open_[NEIGHBOURS.index((shift[0], shift[1], shift[2]))]


def _ignite_(
    arrival: Tensor, origin: Tensor, medium: _Medium, inside: Tensor, sites: Tensor, times: Tensor
) -> None:
    """Exact times at the eight voxels around every site that lie in the mask."""
    number = torch.full(inside.shape, -1, device=inside.device)
    number[inside] = torch.arange(medium.speeds.shape[1], device=inside.device)
    sizes = torch.tensor(inside.shape[1:], device=inside.device)
    patients = torch.arange(len(sites), device=inside.device)[:, None]
    for site in range(sites.shape[1]):
        position, fires = sites[:, site], times[:, site]
        corners = torch.tensor(
            [[i, j, k] for i in (0, 1) for j in (0, 1) for k in (0, 1)], device=sites.device
        )
        voxels = position.floor().long()[:, None] + corners
        valid = ((voxels >= 0) & (voxels < sizes)).all(-1)
        clamped = torch.minimum(voxels.clamp(min=0), sizes - 1)
        packed = number[patients, clamped[..., 0], clamped[..., 1], clamped[..., 2]]
        valid &= (packed >= 0) & torch.isfinite(fires)[:, None]
        chosen = packed[valid]
        away = medium.places[:, chosen].T - position[:, None].expand(-1, 8, -1)[valid]
        time = fires[:, None].expand(-1, 8)[valid] + _norm(medium.metric[:, chosen].T, away)
        earlier = time < arrival[chosen]
        arrival[chosen[earlier]] = time[earlier]
        origin[:, chosen[earlier]] = position[:, None].expand(-1, 8, -1)[valid][earlier].T


def _norm(metric: Tensor, vector: Tensor) -> Tensor:
    """√(vᵀ G v) for G (N, 6) and v (N, 3)."""
    xx, yy, zz, xy, xz, yz = metric.unbind(-1)
    x, y, z = vector.unbind(-1)
    return (xx * x * x + yy * y * y + zz * z * z + 2 * (xy * x * y + xz * x * z + yz * y * z)).sqrt()


def _sweep_(arrival: Tensor, origin: Tensor, medium: _Medium, tolerance: float, sweeps: int) -> None:
    """Updates all voxels whose neighbours changed, until nothing changes by more than the tolerance."""
    count = medium.speeds.shape[1]
    chunk = CHUNK if arrival.device.type == "cpu" else count
    waiting = torch.zeros(count + 1, dtype=torch.bool, device=arrival.device)
    waiting[medium.neighbours[:, arrival[:-1] < FAR / 2].flatten()] = True
    for _ in range(sweeps):
        waiting[count] = False
        active = waiting.nonzero().flatten()
        if len(active) == 0:
            return
        parts = [_update(arrival, origin, medium, part) for part in torch.split(active, chunk)]
        best, giver = (torch.cat(each) for each in zip(*parts, strict=True))
        improved = best < arrival[active] - tolerance
        changed = active[improved]
        arrival[changed] = best[improved]
        origin[:, changed] = origin[:, giver[improved]]
        waiting.zero_()
        waiting[medium.neighbours[:, changed].flatten()] = True
    raise UsageError(f"eikonal: not settled after {sweeps} sweeps; give more sweeps or a larger tolerance")


def _update(arrival: Tensor, origin: Tensor, medium: _Medium, active: Tensor) -> tuple[Tensor, Tensor]:
    """Earliest times (A,) at the active voxels, and the neighbours (A,) whose site they come from."""
    neighbours = medium.neighbours[:, active]
    squares = medium.squares[:, active]
    length = torch.tensor(LENGTH, device=active.device)
    squares_26 = squares[length]
    bends = _curvature(origin, medium, active, neighbours, squares_26)
    raw = arrival[neighbours]
    times = raw - bends
    # The least time to cross one layer of voxels; a share of it must pass between neighbour and voxel.
    least = LEAST / medium.speeds[:3, active].amax(0).sqrt()
    lines = times + torch.maximum(squares_26.sqrt(), bends + least)
    best, giver = lines.min(0)
    first, second, gap = (table.to(active.device) for table in triangle_tables())
    value, nearer = _triangles(times, squares_26, squares, first, second, gap)
    floor = torch.minimum(raw[first], raw[second]) + least
    value = torch.where(value >= floor, value, FAR)
    place = value.argmin(0, keepdim=True)
    value = value.gather(0, place)[0]
    side = torch.where(nearer.gather(0, place)[0], second[place[0]], first[place[0]])
    giver = torch.where(value < best, side, giver)
    best = torch.minimum(best, value)
    value, corner = _tetrahedra(raw, times, medium.speeds[:, active], least)
    giver = torch.where(value < best, corner, giver)
    best = torch.minimum(best, value)
    return best, neighbours.gather(0, giver[None])[0]


def _curvature(
    origin: Tensor, medium: _Medium, active: Tensor, neighbours: Tensor, squares: Tensor
) -> Tensor:
    """|r + v| - |r| - r·v / |r|, (26, A) ms: by how much a distance exceeds its tangent at the voxel.

    r leads from the neighbour's site to the voxel, v from the voxel to the neighbour, in the voxel's metric.
    """
    ways = medium.places[:, None, active] - origin[:, neighbours]
    known = torch.isfinite(ways[0])
    x, y, z = torch.where(known, ways, 1.0).unbind(0)
    xx, yy, zz, xy, xz, yz = medium.metric[:, active].unbind(0)
    gx, gy, gz = xx * x + xy * y + xz * z, xy * x + yy * y + yz * z, xz * x + yz * y + zz * z
    steps = torch.tensor(NEIGHBOURS, dtype=x.dtype, device=x.device)
    along = gx * steps[:, :1] + gy * steps[:, 1:2] + gz * steps[:, 2:]
    square = x * gx + y * gy + z * gz
    distance = square.clamp(min=1e-12).sqrt()
    beyond = (square + 2 * along + squares).clamp(min=0).sqrt()
    bend = (beyond - distance - along / distance).clamp(min=0)
    return torch.where(known & (square > 1e-12), bend, 0.0)


def _triangles(
    times: Tensor, squares_26: Tensor, squares: Tensor, first: Tensor, second: Tensor, gap: Tensor
) -> tuple[Tensor, Tensor]:
    """Times (72, A) through the inside of every triangle, FAR where the ray misses it; is the second nearer.

    With the point (1 - s) i + s j: minimum over s of T_i + s Δ + √(A s² + 2 B s + C).
    """
    early = times[first]
    difference = times[second] - early
    a, c = squares[gap], squares_26[first]
    b = (squares_26[second] - c - a) / 2
    room = a - difference * difference
    open_ = room > 0
    root = ((a * c - b * b) / torch.where(open_, room, 1.0)).clamp(min=0).sqrt()
    share = (-difference * root - b) / a
    value = early + share * difference + root
    return torch.where(open_ & (share > 0) & (share < 1), value, FAR), share > 0.5


def _tetrahedra(raw: Tensor, times: Tensor, speeds: Tensor, least: Tensor) -> tuple[Tensor, Tensor]:
    """Earliest time (A,) through the inside of a tetrahedron, and the neighbour (A,) that owns its ray.

    The base gives two components of the gradient; the equation gives the third. The ray -D∇T must point
    back through the base: its components, along the three steps that make up the base, must not increase.
    """
    corners, signs, parts = (table.to(times.device) for table in tetrahedron_tables())
    one, two, three = times[corners[0]], times[corners[1]], times[corners[2]]
    # Components along the signed axes, so that mixed ones carry the product of two signs.
    s = signs.to(times.dtype)[:, :, None]
    aa, bb, cc = speeds[parts[0]], speeds[parts[1]], speeds[parts[2]]
    ab, ac, bc = (
        speeds[parts[3]] * (s[0] * s[1]),
        speeds[parts[4]] * (s[0] * s[2]),
        speeds[parts[5]] * (s[1] * s[2]),
    )
    pb, pc = two - one, three - two
    half = ab * pb + ac * pc
    rest = bb * pb * pb + 2 * bc * pb * pc + cc * pc * pc - 1
    inner = half * half - aa * rest
    pa = (-half - inner.clamp(min=0).sqrt()) / aa
    ray_a = -(aa * pa + half)
    ray_b = -(ab * pa + bb * pb + bc * pc)
    ray_c = -(ac * pa + bc * pb + cc * pc)
    good = (inner > 0) & (ray_a >= ray_b) & (ray_b >= ray_c) & (ray_c >= 0)
    floor = torch.minimum(torch.minimum(raw[corners[0]], raw[corners[1]]), raw[corners[2]]) + least
    value = one - pa
    value, place = torch.where(good & (value >= floor), value, FAR).min(0)
    shares = torch.stack([ray_a - ray_b, ray_b - ray_c, ray_c]).gather(1, place.expand(3, 1, -1))[:, 0]
    owner = corners[:, place].gather(0, shares.argmax(0, keepdim=True))[0]
    return value, owner


def _check(
    speeds: Tensor,
    mask: Tensor,
    spacing: float,
    sites: Tensor | None,
    times: Tensor | None,
    start: Tensor | None,
) -> None:
    if mask.dim() != 4 or speeds.shape != (*mask.shape, 6) or spacing <= 0:
        raise UsageError(
            f"eikonal: speeds {tuple(speeds.shape)}, mask {tuple(mask.shape)}, spacing {spacing} do not fit; "
            "give (P, X, Y, Z, 6), (P, X, Y, Z) and a spacing > 0"
        )
    if (sites is None) != (times is None) or (sites is None and start is None):
        raise UsageError("eikonal: nothing starts; give sites and their times, or a start field")
    if bool((speeds[mask.bool()][:, :3] <= 0).any()):
        raise UsageError("eikonal: a tensor in the mask is not positive; cut blocked tissue out of the mask")
