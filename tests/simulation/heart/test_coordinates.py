from dataclasses import replace

import torch
from anatomies import hearts, points

from simulation.heart.anatomy import coordinates
from simulation.heart.anatomy.coordinates import LEFT, OUTSIDE, RIGHT, Coordinates, locate, place
from simulation.heart.anatomy.tables import radius


def test_points_come_back_from_their_coordinates():
    anatomy = hearts()
    cloud = points(anatomy, 20_000)
    where = locate(anatomy, cloud)
    back = (place(anatomy, where) - cloud).norm(dim=-1)
    for ventricle in (LEFT, RIGHT):
        inside = where.ventricle == ventricle
        assert inside.sum() > 500
        assert back[inside].max() < 1e-9


def test_coordinates_come_back_from_their_points():
    anatomy = hearts()
    random = torch.Generator().manual_seed(1)
    transmural, longitudinal, angle = torch.rand(3, len(anatomy), 5000, generator=random, dtype=torch.float64)
    wanted = Coordinates(transmural, longitudinal, 6.2 * angle - 3.1, torch.full_like(angle, LEFT).long())
    found = locate(anatomy, place(anatomy, wanted))
    assert torch.allclose(found.transmural, wanted.transmural, atol=1e-9)
    assert torch.allclose(found.longitudinal, wanted.longitudinal, atol=1e-12)
    assert torch.allclose(found.angle, wanted.angle, atol=1e-9)


def test_single_precision_comes_back_within_a_hundredth_of_a_millimetre():
    anatomy = hearts().to(torch.float32)
    cloud = points(hearts(), 5000).float()
    where = locate(anatomy, cloud)
    inside = where.ventricle != OUTSIDE
    assert (place(anatomy, where) - cloud).norm(dim=-1)[inside].max() < 0.01


def test_transmural_is_zero_on_the_endocardium_and_one_on_the_epicardium():
    anatomy = hearts()
    z = -anatomy.endo_length[:, None] * torch.linspace(0.02, 0.98, 30, dtype=torch.float64)
    angle = torch.linspace(-3, 3, 30, dtype=torch.float64).expand_as(z)
    for table, expected in ((anatomy.endo_square(), 0.0), (anatomy.epi**2, 1.0)):
        distance = coordinates.lookup(table, z, angle, anatomy).sqrt()
        cloud = torch.stack([distance * angle.cos(), distance * angle.sin(), z], dim=-1)
        assert torch.allclose(locate(anatomy, cloud).transmural, torch.full_like(z, expected), atol=1e-9)


def test_transmural_goes_from_zero_to_one_along_the_axis_of_the_apical_wall():
    anatomy = hearts()
    share = torch.linspace(0.001, 0.999, 50, dtype=torch.float64)
    z = -anatomy.endo_length[:, None] - share * (anatomy.length - anatomy.endo_length)[:, None]
    on_axis = torch.stack([torch.zeros_like(z), torch.zeros_like(z), z], dim=-1)
    where = locate(anatomy, on_axis)
    assert (where.ventricle == LEFT).all()
    assert (where.transmural.diff(dim=1) > 0).all()
    assert where.transmural[:, 0].max() < 0.02
    assert where.transmural[:, -1].min() > 0.98
    assert (where.longitudinal < 0).all()


def test_transmural_is_nearly_the_share_of_the_wall_at_the_same_height():
    anatomy = hearts()
    z = -anatomy.endo_length[:, None] * torch.linspace(0.02, 0.7, 20, dtype=torch.float64)
    angle = torch.linspace(-3, 3, 20, dtype=torch.float64).expand_as(z)
    inner, outer = (radius(table, z, angle, anatomy) for table in (anatomy.endo, anatomy.epi))
    middle = (inner + outer) / 2
    cloud = torch.stack([middle * angle.cos(), middle * angle.sin(), z], dim=-1)
    assert (locate(anatomy, cloud).transmural - 0.5).abs().max() < 0.05


def test_cavities_and_the_world_are_no_wall():
    anatomy = hearts()
    septum = (anatomy.epi[:, -8, 0] + anatomy.rv[:, -8, 0]) / 2  # the middle of the RV cavity
    zero = torch.zeros_like(septum)
    z = anatomy.heights()[:, -8]
    cloud = torch.stack(
        [
            torch.stack([zero, zero, z], dim=-1),
            torch.stack([septum, zero, z], dim=-1),
            torch.stack([zero, zero, zero + 5], dim=-1),
            torch.stack([zero - 90, zero, z], dim=-1),
        ],
        dim=1,
    )
    assert (locate(anatomy, cloud).ventricle == OUTSIDE).all()


def test_a_shifted_epicardium_is_noticed():
    """The round trip above reads the anatomy given, not one remembered."""
    anatomy = hearts()
    cloud = points(anatomy, 2000)
    thicker = replace(anatomy, epi=anatomy.epi + 2)
    before, after = locate(anatomy, cloud), locate(thicker, cloud)
    inside = before.ventricle == LEFT
    assert (after.transmural[inside] < before.transmural[inside] + 1e-12).all()
