from functools import cache
from typing import cast

import pytest
import torch
from torch import Tensor

from simulation.heart.anatomy import volumes
from simulation.heart.anatomy.coordinates import LEFT, locate
from simulation.heart.infarct import TERRITORIES
from simulation.heart.motion import Motion, build_motion
from tests.simulation.heart.anatomies import hearts, points

ED, HALF, ES = 0, 1, 2
EJECTED = (0.5, 0.32)  # of even and odd patients: what their strains amount to, about


def given() -> tuple[Tensor, Tensor]:
    """Strains (P, 3, 17): odd patients bulge where the LAD supplies them."""
    count = len(hearts())
    now = torch.tensor([0.0, 0.5, 1.0], dtype=torch.float64)[None, :, None]
    around = torch.full((count, 1, 17), -0.17, dtype=torch.float64)
    along = torch.full((count, 1, 17), -0.15, dtype=torch.float64)
    bulging = torch.tensor([segment - 1 for segment in TERRITORIES["LAD"]])
    around[1::2, :, bulging] = 0.05
    along[1::2, :, bulging] = 0.04
    return around * now, along * now


def remaining() -> Tensor:
    """(P, 3) share of a cavity's volume."""
    ejected = torch.tensor(EJECTED, dtype=torch.float64).repeat(len(hearts()) // 2)
    return 1 - ejected[:, None] * torch.tensor([0.0, 0.5, 1.0], dtype=torch.float64)


@cache
def moved() -> Motion:
    anatomy = hearts()
    now = torch.tensor([0.0, 0.5, 1.0], dtype=torch.float64)
    around, along = given()
    left = volumes.cavity(anatomy)[:, None] * remaining()
    right = volumes.rv_cavity(anatomy)[:, None] * remaining()
    return build_motion(anatomy, around, along, 0.2 * now.expand(len(anatomy), -1), left, right)


def wall() -> tuple[Tensor, Tensor]:
    """Points (P, M, 3) and which of them lie in the LV's wall (P, M)."""
    anatomy = hearts()
    random = points(anatomy, 4000, seed=3)
    return random, locate(anatomy, random).ventricle == LEFT


def determinants(motion: Motion, phase: int) -> Tensor:
    """det ∂(carried)/∂(point) of points in the wall."""
    place, inside = wall()
    place = place.requires_grad_()
    carried = motion.carry(place, phase)
    rows = [torch.autograd.grad(carried[..., k].sum(), place, retain_graph=True)[0] for k in range(3)]
    return cast(Tensor, torch.linalg.det(torch.stack(rows, dim=-2))[inside])


@pytest.mark.parametrize("phase", [HALF, ES])
def test_no_volume_is_gained_or_lost_anywhere_in_the_wall(phase: int) -> None:
    assert (determinants(moved(), phase) - 1).abs().max() < 1e-9


def finite(motion: Motion, step: float = 0.1) -> Tensor:
    """det F of every wall by central differences over `step` mm, from the endocardial to the epicardial apex.

    The map is a square root where a point nears the axis of the closed cavity; there differences over a tenth
    of a millimetre say nothing, so points that end up within 2 mm of the axis are left to `determinants`.
    """
    place, inside = wall()
    around = place[:, :, None] + 0.5 * step * torch.cat([torch.eye(3), -torch.eye(3)]).to(place)
    inside = inside & (locate(hearts(), around.flatten(1, 2)).ventricle == LEFT).view(around.shape[:3]).all(2)
    carried = motion.carry(around.flatten(1, 2), ES).view(around.shape)
    inside = inside & (carried[..., :2].norm(dim=-1).amin(2) > 2)
    slopes = (carried[:, :, :3] - carried[:, :, 3:]) / step
    assert inside.sum() > 2000
    return cast(Tensor, torch.linalg.det(slopes)[inside])


def test_no_volume_is_gained_or_lost_by_finite_differences() -> None:
    assert (finite(moved()) - 1).abs().max() < 0.01


def test_the_map_does_not_tear_where_rows_of_the_tables_meet() -> None:
    anatomy = hearts()
    height = anatomy.heights()[:, 4:-1, None].expand(-1, -1, anatomy.epi.shape[2])
    radius = 0.5 * (anatomy.endo + anatomy.epi)[:, 4:-1]
    across = torch.stack([radius * anatomy.angles().cos(), radius * anatomy.angles().sin(), height], dim=-1)
    nodes, little = across.flatten(1, 2), torch.tensor([1e-7, 1e-7, 1e-7], dtype=torch.float64)
    apart = moved().carry(nodes + little, ES) - moved().carry(nodes - little, ES)
    assert apart.norm(dim=-1).max() < 1e-5


def test_the_surfaces_that_are_drawn_are_where_the_wall_is_carried() -> None:
    motion, anatomy = moved(), hearts()
    for surface, radius in enumerate((anatomy.endo, anatomy.epi)):
        x, y = radius * anatomy.angles().cos(), radius * anatomy.angles().sin()
        z = anatomy.heights()[:, :, None].expand_as(radius)
        carried = motion.carry(torch.stack([x, y, z], dim=-1).flatten(1, 2), ES)
        drawn = motion.squares()[surface, :, ES].clamp(min=0).sqrt().flatten(1)
        assert (carried[..., :2].norm(dim=-1) - drawn).abs().max() < 1e-4  # mm
        assert (carried[..., 2] - motion.height[:, ES].flatten(1)).abs().max() < 1e-9


class Inflated(Motion):
    """Forgets that what is squeezed along the axis must widen."""

    def _read(self, z: Tensor, angle: Tensor, phase: int) -> tuple[Tensor, Tensor, Tensor]:
        stretch, height, shift = super()._read(z, angle, phase)
        return torch.ones_like(stretch), height, shift


def test_a_map_that_loses_volume_is_caught() -> None:
    motion = moved()
    wrong = Inflated(
        motion.anatomy, motion.stretch, motion.height, motion.closing, motion.twist, motion.widening
    )
    assert (determinants(wrong, ES) - 1).abs().median() > 0.01
    assert (finite(wrong) - 1).abs().median() > 0.01


def test_the_wall_counted_in_voxels_keeps_its_volume() -> None:
    motion = moved()[0:2]
    grid = torch.linspace(-59, 59, 60, dtype=torch.float64)
    up = torch.linspace(-109, 9, 60, dtype=torch.float64)
    box = torch.stack(torch.meshgrid(grid, grid, up, indexing="ij"), dim=-1).view(1, -1, 3)
    box = box[:, box[0, :, :2].norm(dim=-1) < 59].expand(2, -1, -1)

    def counted(phase: int) -> Tensor:
        where = locate(motion.anatomy, motion.pull_back(box, phase))
        return (where.ventricle == LEFT).sum(1) * 8 / 1000

    before = volumes.wall(motion.anatomy)
    for phase in (ED, HALF, ES):
        assert ((counted(phase) - before) / before).abs().max() < 0.01


def test_what_was_carried_is_pulled_back() -> None:
    place, inside = wall()
    motion = moved()
    back = motion.pull_back(motion.carry(place, ES), ES)
    assert (back - place)[inside].abs().max() < 1e-6


def test_nothing_moves_without_strain() -> None:
    place, inside = wall()
    assert (moved().carry(place, ED) - place)[inside].abs().max() < 1e-6  # mm
    assert (moved().squares()[0, :, ED] - hearts().endo_square()).abs().max() < 1e-6


def test_both_cavities_have_the_volumes_asked_for() -> None:
    left, right = moved().volumes()
    assert torch.allclose(left, volumes.cavity(hearts())[:, None] * remaining(), rtol=1e-6)
    assert torch.allclose(right, volumes.rv_cavity(hearts())[:, None] * remaining(), rtol=1e-6)


def test_a_cavity_that_ejects_nearly_everything_stays_open() -> None:
    anatomy = hearts()
    around, along = (2 * each for each in given())
    left = volumes.cavity(anatomy)[:, None] * torch.tensor([1.0, 0.5, 0.15], dtype=torch.float64)
    right = volumes.rv_cavity(anatomy)[:, None].expand(-1, 3)
    motion = build_motion(anatomy, around, along, torch.zeros_like(left), left, right)
    endo = motion.squares()[0]
    assert bool((endo[(anatomy.endo > 0)[:, None].expand_as(endo)] > 0).all())
    assert torch.allclose(motion.volumes()[0], left, rtol=1e-6)


def test_the_base_descends_and_the_apex_stays() -> None:
    motion = moved()
    assert bool((motion.height[:, ES, -1].mean(1) < -3).all())
    assert bool((motion.height[:, :, 0] + motion.anatomy.length[:, None, None]).abs().max() < 1e-9)


def test_even_strain_is_measured_as_given_but_for_what_the_volume_decides() -> None:
    around, along, _ = (each[::2, ES, :16] for each in moved().strains())
    wanted = [each[::2, ES, :16] for each in given()]
    # One volume decides the mean around the ring.
    assert (around - around.mean(1, keepdim=True)).abs().max() < 0.015
    assert (along - wanted[1]).abs().max() < 0.01


def test_uneven_strain_is_measured_smoothed_but_in_its_segments() -> None:
    for measured, wanted in zip(moved().strains()[:2], given(), strict=True):
        found, asked = measured[1::2, ES, :16], wanted[1::2, ES, :16]
        both = torch.stack([found, asked]) - torch.stack([found, asked]).mean(-1, keepdim=True)
        correlation = (both[0] * both[1]).sum(-1) / (both[0].norm(dim=-1) * both[1].norm(dim=-1))
        assert correlation.min() > 0.95
        assert (both[0].norm(dim=-1) / both[1].norm(dim=-1)).min() > 0.75


def test_strains_are_of_tissue_that_keeps_its_volume() -> None:
    """Followed point by point: the ring halfway through the wall of even hearts, and what is left across."""
    motion = moved()
    around, along, across = (each[::2, ES, 6:12] for each in motion.strains())
    assert ((1 + around) * (1 + along) * (1 + across) - 1).abs().max() < 0.01
    ed, row = motion.anatomy, motion.anatomy.endo.shape[1] // 2
    radius = 0.5 * (ed.endo + ed.epi)[:, row]
    ring = torch.stack([radius * ed.angles().cos(), radius * ed.angles().sin()], -1)
    points = torch.cat([ring, ed.heights()[:, row, None, None].expand_as(ring[..., :1])], -1)
    carried = motion.carry(points, ES)

    def length(of: torch.Tensor) -> torch.Tensor:
        return (of - of.roll(1, 1))[..., :2].norm(dim=-1).sum(1)

    ratio = length(carried) / length(points) - 1
    assert (ratio[::2] - around.mean(1)).abs().max() < 0.01


def test_the_whole_wall_thickens_more_than_its_middle() -> None:
    motion = moved()
    middle, whole = motion.strains()[2][::2, ES, :16], motion.thickening()[::2, ES, :16]
    assert bool((whole > middle).all())
    assert bool((whole < middle + 0.1).all())


def test_where_the_wall_bulges_it_gets_thinner_and_elsewhere_thicker() -> None:
    thickening = moved().strains()[2][1::2, ES]
    bulging = torch.zeros(17, dtype=torch.bool)
    bulging[[segment - 1 for segment in TERRITORIES["LAD"]]] = True
    assert bool((thickening[:, bulging].mean(1) < 0).all())
    assert bool((thickening[:, ~bulging].mean(1) > 0.1).all())


def test_a_patient_does_not_depend_on_the_batch() -> None:
    anatomy, (around, along) = hearts(), given()
    left = volumes.cavity(anatomy)[:, None] * remaining()
    right = volumes.rv_cavity(anatomy)[:, None] * remaining()
    turn = 0.2 * torch.tensor([0.0, 0.5, 1.0], dtype=torch.float64).expand(len(anatomy), -1)
    one = slice(3, 4)
    alone = build_motion(anatomy[one], around[one], along[one], turn[one], left[one], right[one])
    for name in ("stretch", "height", "closing", "twist", "widening"):
        assert torch.allclose(getattr(alone, name), getattr(moved()[one], name), rtol=0, atol=1e-12), name


def test_single_precision_moves_the_wall_to_the_same_place() -> None:
    anatomy, (around, along) = hearts(), given()
    motion = moved()
    left, right = motion.volumes()
    single = build_motion(
        anatomy.to(torch.float32), *(each.float() for each in (around, along, motion.twist, left, right))
    )
    place, inside = wall()
    apart = single.carry(place.float(), ES).double() - motion.carry(place, ES)
    assert apart.norm(dim=-1)[inside].max() < 0.02  # mm
    assert torch.allclose(single.volumes()[0].double(), left, rtol=1e-5)
