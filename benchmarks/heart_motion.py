"""What the moving anatomy is worth: volume kept, cavities and strains met, and pictures that hold as much.

    python benchmarks/heart_motion.py --count 3

Hearts are drawn from the simulator's own strata (the infarcts healed, so that their walls are thinned
unevenly) with seeds 0 to count − 1, beat without electrophysiology, in double precision. Printed as markdown.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence

import torch
from torch import Tensor

from simulation.heart.anatomy import volumes
from simulation.heart.anatomy.coordinates import LEFT, Coordinates, locate, place
from simulation.heart.anatomy.population import GROUPS
from simulation.heart.imaging.raster import LV, MYOCARDIUM, RV, rasterise
from simulation.heart.imaging.slices import Stack, short_axis
from simulation.heart.imaging.tissues import HEART
from simulation.heart.motion import Motion
from simulation.heart.people import draw
from simulation.heart.physiology import Hearts, live
from simulation.heart.strata import recipes

Table = tuple[str, Sequence[str], Sequence[Sequence[str]]]

PHASES = 8
POINTS = 4000  # of each wall
AXIS = 2.0  # mm; the map is a square root near the axis of a closing cavity, where differences say nothing
VOXEL = 1.5  # mm
SPACING, THICKNESS = 1.4, 8.0  # mm, of pictures
PARTS = ((1, 1, 1), (1, 1, 2), (1, 1, 4), (1, 1, 8), (2, 2, 4))


def beating(group: str, count: int) -> Hearts:
    """`count` hearts of a group."""
    stratum = f"group={group}" + (",age=scar" if group == "infarct" else "")
    people = [draw(recipes(stratum, 1, seed)[0]) for seed in range(count)]
    return live(people, PHASES, electrophysiology=False, dtype=torch.float64)


def wall_points(motion: Motion) -> Tensor:
    """(P, POINTS, 3) mm in the walls of the LV, from the endocardial apex to the base."""
    share = torch.rand(len(motion.anatomy), POINTS, 3, generator=torch.Generator().manual_seed(0)).double()
    across, along, around = (0.01 + 0.98 * share).unbind(-1)
    left = torch.full(share.shape[:2], LEFT)
    return place(motion.anatomy, Coordinates(across, along, 2 * torch.pi * around, left))


def determinants(motion: Motion, points: Tensor, phase: int, step: float = 0.05) -> Tensor:
    """(points that stay off the axis,) det F by central differences over `step` mm."""
    around = points[:, :, None] + 0.5 * step * torch.cat([torch.eye(3), -torch.eye(3)]).to(points)
    carried = motion.carry(around.flatten(1, 2), phase).view(around.shape)
    clear = carried[..., :2].norm(dim=-1).amin(2) > AXIS
    volume: Tensor = torch.linalg.det((carried[:, :, :3] - carried[:, :, 3:]) / step)
    return volume[clear]


def counted(motion: Motion, phase: int) -> tuple[Tensor, Tensor]:
    """Wall and cavity (P,) mL in voxels of VOXEL mm: a point at random in each is asked where it was.

    Points at random, because the middles of voxels miss or meet the flat base all at once.
    """
    random = torch.Generator().manual_seed(phase)
    walls, cavities = [], []
    for one in (motion[i : i + 1] for i in range(len(motion.anatomy))):
        wide = float(one.squares()[1].amax()) ** 0.5 + VOXEL
        low, high = -float(one.anatomy.length) - VOXEL, float(one.height.amax()) + VOXEL
        aside = torch.arange(-wide - VOXEL, wide, VOXEL, dtype=torch.float64)
        up = torch.arange(low, high, VOXEL, dtype=torch.float64)
        box = torch.cartesian_prod(aside, aside, up)
        box = box + VOXEL * torch.rand(box.shape, generator=random, dtype=torch.float64)
        box = box[box[:, :2].norm(dim=1) < wide][None]
        was = one.pull_back(box, phase)
        where = locate(one.anatomy, was)
        under = (was[..., 2] <= 0) & (was[..., 2] >= -one.anatomy.length)
        walls.append((where.ventricle == LEFT).sum())
        cavities.append(((where.transmural < 0) & under).sum())
    voxel = VOXEL**3 / 1000
    return torch.stack(walls) * voxel, torch.stack(cavities) * voxel


def preservation(hearts: dict[str, Hearts]) -> Table:
    """Largest errors over hearts, phases and points."""
    rows = []
    for group, each in hearts.items():
        motion = each.motion
        points = wall_points(motion)
        apart, back = torch.zeros(()).double(), torch.zeros(()).double()
        walls, cavities = [], []
        for phase in range(PHASES):
            apart = torch.maximum(apart, (determinants(motion, points, phase) - 1).abs().amax())
            returned = motion.pull_back(motion.carry(points, phase), phase)
            back = torch.maximum(back, (returned - points).abs().amax())
            wall, cavity = counted(motion, phase)
            walls.append(_relative(wall, volumes.wall(motion.anatomy)))
            cavities.append(_relative(cavity, motion.volumes()[0][:, phase]))
        edv = volumes.cavity(motion.anatomy)
        asked = each.beat.volume * (edv / each.beat.volume[:, 0])[:, None]
        left, right = motion.volumes()
        rows.append(
            [
                group,
                f"{float(apart):.1e}",
                f"{float(back):.1e}",
                _percent(walls[0]),
                _percent(torch.stack(walls)),
                _percent(torch.stack(cavities)),
                f"{float(_relative(left, asked).abs().max()):.1e}",
                f"{float(_relative(right, each.rv_ml).abs().max()):.1e}",
            ]
        )
    count = len(next(iter(hearts.values())).people)
    return (
        f"Volume kept by the motion of {count} hearts a group over {PHASES} phases: largest errors. "
        f"Voxels of {VOXEL:g} mm; at end-diastole nothing has moved and what is left is the counting's own",
        (
            *("group", "det F − 1", "there and back, mm", "wall in voxels, end-diastole"),
            *("wall in voxels, all phases", "cavity in voxels", "LV against the beat", "RV against the beat"),
        ),
        rows,
    )


def strains(hearts: dict[str, Hearts]) -> Table:
    """Of the beat (given) and of the moved wall (measured), at end-systole, segments 1 to 16."""
    rows = []
    for group, each in hearts.items():
        kept = each.beat
        given = (kept.strain_circumferential, kept.strain_longitudinal, kept.strain_radial)
        instants = torch.arange(len(kept.volume))
        names = ("circumferential", "longitudinal", "radial")
        for name, asked, found in zip(names, given, each.motion.strains(), strict=True):
            asked, found = (values[instants, kept.end_systole][:, :16] for values in (asked, found))
            away = found - asked
            both = torch.stack([asked, found]) - torch.stack([asked, found]).mean(2, keepdim=True)
            likeness = (both[0] * both[1]).sum(1) / (both[0].norm(dim=1) * both[1].norm(dim=1))
            numbers = (
                asked.mean(),
                found.mean(),
                away.square().mean().sqrt(),
                away.abs().max(),
                likeness.min(),
            )
            rows.append([group, name, *(f"{float(number):.3f}" for number in numbers)])
    return (
        "Strain at end-systole: given by the beat, measured in the moved wall",
        (
            *("group", "strain", "given, mean", "measured, mean", "difference, root mean square"),
            *("difference, largest", "correlation over segments, lowest"),
        ),
        rows,
    )


def convergence(hearts: dict[str, Hearts]) -> Table:
    """Volumes of the raster against those of the surfaces, for several supersamplings."""
    rows = []
    for parts in PARTS:
        shares, labels, seconds = [], [], 0.0
        for each in hearts.values():
            one, phases = each.motion[0:1], [0, int(each.beat.end_systole[0])]
            start = time.perf_counter()
            seen = rasterise(one, _tilted(one.anatomy.length), phases, parts)
            seconds += time.perf_counter() - start
            voxel = SPACING**2 * THICKNESS / 1000
            left, right = (values[0, phases] for values in one.volumes())
            true = torch.stack([volumes.wall(one.anatomy).expand(2), left, right])
            part = {name: seen.fractions[0, :, :, i].sum((0, 2, 3)) * voxel for i, name in enumerate(HEART)}
            mine = torch.stack([part["myocardium"], part["lv_blood"] + part["papillary"], part["rv_blood"]])
            drawn = [(seen.labels[0] == kind).sum((0, 2, 3)) * voxel for kind in (MYOCARDIUM, LV, RV)]
            shares.append(_relative(mine, true))
            labels.append(_relative(torch.stack(drawn), true))
        worst = [torch.stack(errors).abs().amax((0, 2)) for errors in (shares, labels)]
        numbers = [f"{100 * float(number):.2f} %" for each in worst for number in each]
        rows.append(["×".join(map(str, parts)), *numbers, f"{1000 * seconds / len(hearts) / 2:.0f}"])
    return (
        f"Volume in the raster against the surfaces', largest error of one heart a group at end-diastole and "
        f"end-systole; tilted slices without gaps, {SPACING:g}² × {THICKNESS:g} mm",
        (
            *("sub-voxels (rows × columns × depth)", "wall, shares", "LV, shares", "RV, shares"),
            *("wall, labels", "LV, labels", "RV, labels", "ms a volume"),
        ),
        rows,
    )


def _tilted(length: Tensor) -> Stack:
    """Slices, from below the apex to above the base."""
    angle = torch.full_like(length, 0.1)
    still = torch.zeros(1, 17, 3, dtype=length.dtype)
    return short_axis(length, angle, (angle, -angle), still, (144, 144), SPACING, THICKNESS, THICKNESS)


def _relative(found: Tensor, true: Tensor) -> Tensor:
    return (found - true) / true


def _percent(errors: Tensor) -> str:
    return f"{100 * float(errors.abs().max()):.2f} %"


def tables(count: int = 3) -> list[Table]:
    """Preservation, strains and convergence, as (title, header, rows)."""
    hearts = {group: beating(group, count) for group in GROUPS}
    return [preservation(hearts), strains(hearts), convergence(hearts)]


def main() -> None:
    """Prints every table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=3, help="hearts a group")
    count = parser.parse_args().count
    torch.set_num_threads(1)
    for title, header, rows in tables(count):
        print(f"\n{title}\n")
        print("| " + " | ".join(header) + " |")
        print("|" + "---|" * len(header))
        for row in rows:
            print("| " + " | ".join(row) + " |")


if __name__ == "__main__":
    main()
