from dataclasses import fields, replace
from math import pi

import pytest
import torch
from anatomies import hearts, patients, points, some

from ground.errors import UsageError
from simulation.heart.anatomy import population, volumes
from simulation.heart.anatomy.coordinates import LEFT, locate
from simulation.heart.anatomy.shape import build
from simulation.heart.anatomy.tables import lookup, radius


def test_volumes_and_mass_are_those_asked_for():
    parameters, anatomy = some(), hearts()
    assert torch.allclose(volumes.cavity(anatomy), parameters.edv_ml, rtol=1e-9)
    assert torch.allclose(volumes.mass(anatomy), parameters.mass_g, rtol=1e-8)
    assert torch.allclose(volumes.rv_cavity(anatomy), parameters.rv_edv_ml, rtol=1e-9)


def test_volumes_agree_with_counted_voxels():
    """Nothing shared with `volumes`: points of a fine regular grid, inside or not by radii read alone."""
    anatomy = hearts()[3:8:4]
    side = 2.0
    axes = [torch.arange(low, high, side, dtype=torch.float64) for low, high in ((-70, 130), (-110, 110))]
    deep = torch.arange(-150, 0, side, dtype=torch.float64) + side / 2
    grid = torch.stack(torch.meshgrid(*axes, deep, indexing="ij"), dim=-1).reshape(1, -1, 3)
    x, y, z = grid.expand(len(anatomy), -1, -1).unbind(-1)
    angle, distance = torch.atan2(y, x), torch.hypot(x, y)
    inside = (z > -anatomy.length[:, None]) & (z < 0)
    endo, epi, rv = (radius(table, z, angle, anatomy) for table in (anatomy.endo, anatomy.epi, anatomy.rv))

    def counted(mask):
        return (mask & inside).double().sum(1) * side**3 / 1000

    assert torch.allclose(counted(distance < endo), volumes.cavity(anatomy), rtol=0.01)
    assert torch.allclose(counted((distance >= endo) & (distance < epi)), volumes.wall(anatomy), rtol=0.01)
    assert torch.allclose(counted((distance >= epi) & (distance < rv)), volumes.rv_cavity(anatomy), rtol=0.01)


def test_volumes_agree_with_random_points_by_coordinates():
    anatomy = hearts()
    count = 40_000
    cloud = points(anatomy, count)
    box = (cloud.amax(1) - cloud.amin(1)).prod(-1) / 1000
    share = (locate(anatomy, cloud).ventricle == LEFT).double().mean(1)
    error = box * (share * (1 - share) / count).sqrt()
    assert ((share * box - volumes.wall(anatomy)).abs() < 4 * error + 0.005 * volumes.wall(anatomy)).all()


def test_a_changed_surface_changes_the_volume():
    """The volumes above are measured on the tables, not copied from the parameters."""
    anatomy = hearts()
    wider = replace(anatomy, endo=1.1 * anatomy.endo)
    assert torch.allclose(volumes.cavity(wider), 1.21 * volumes.cavity(anatomy), rtol=1e-3)


def test_an_even_round_wall_has_the_volume_of_two_ellipsoids_nearly():
    """A sphere's half, R = 40, with 10 mm of wall: the closed formula 2π/3 (50³ - 40³)."""
    hemisphere = 2 * pi / 3 * 40**3 / 1000
    wall = 2 * pi / 3 * (50**3 - 40**3) / 1000
    fixed = {f"wall_{segment}": 1.0 for segment in range(1, 18)} | {"ovality": 0.0, "flattening": 0.0}
    fixed |= {"edv_ml": hemisphere, "mass_g": 1.05 * wall, "endo_length_mm": 40.0, "truncation": 0.0}
    anatomy = build(population.stack(patients("normal", 1, **fixed), torch.float64))
    assert torch.allclose(anatomy.length, torch.full((1,), 50.0, dtype=torch.float64), atol=0.01)
    assert torch.allclose(anatomy.endo[0, -1], torch.full((72,), 40.0, dtype=torch.float64), atol=0.02)
    assert torch.allclose(anatomy.epi[0, -1], torch.full((72,), 50.0, dtype=torch.float64), atol=0.02)


def test_surfaces_lie_in_order():
    anatomy = hearts(4)
    assert (anatomy.endo >= 0).all()
    assert (anatomy.epi[:, 1:] > anatomy.endo[:, 1:] + 1).all()
    assert (anatomy.rv >= anatomy.epi).all()
    assert (anatomy.epi[:, 0] == 0).all()


def test_the_rv_lies_on_the_septal_side_above_the_apex():
    anatomy = hearts(4)
    gap = anatomy.rv - anatomy.epi
    columns = anatomy.rv.shape[2]
    lateral = slice(columns * 3 // 8, columns * 5 // 8)
    assert (gap[:, :, lateral] == 0).all()
    assert (gap[:, :2] == 0).all()
    assert (gap[:, -1, 0] > 15).all()


def test_one_patient_is_the_same_alone_and_among_others():
    parameters, anatomy = some(2, torch.float32), hearts(2, torch.float32)
    alone = build(type(parameters)(**{f.name: getattr(parameters, f.name)[3:4] for f in fields(parameters)}))
    for field in fields(anatomy):
        assert torch.equal(getattr(alone, field.name), getattr(anatomy, field.name)[3:4])


def test_the_same_parameters_give_the_same_bits():
    once, again = build(some(2, torch.float32)), build(some(2, torch.float32))
    assert all(torch.equal(getattr(once, field.name), getattr(again, field.name)) for field in fields(once))


def test_single_precision_agrees_with_double():
    single, double = hearts(2, torch.float32), hearts(2, torch.float64)
    assert single.endo.dtype == torch.float32
    assert torch.allclose(single.epi.double(), double.epi, atol=2e-2)
    assert torch.allclose(volumes.mass(single).double(), volumes.mass(double), rtol=1e-4)


def test_finer_tables_have_the_same_volumes_and_length():
    parameters = some()
    fine, coarse = build(parameters, heights=128, angles=144), hearts()
    assert torch.allclose(volumes.rv_cavity(fine), volumes.rv_cavity(coarse), rtol=1e-9)
    assert torch.allclose(fine.length, coarse.length, rtol=1e-3)


def test_thinning_by_segment_keeps_the_cavities_and_thins_there():
    parameters, before = some(), hearts()
    factor = torch.ones(len(before), 17, dtype=torch.float64)
    factor[:, 9] = 0.5  # segment 10, mid inferior
    after = build(parameters, factor)
    assert torch.allclose(volumes.cavity(after), parameters.edv_ml, rtol=1e-9)
    assert torch.allclose(volumes.rv_cavity(after), parameters.rv_edv_ml, rtol=1e-9)
    assert (volumes.mass(after) < parameters.mass_g).all()
    z, inferior = -before.endo_length[:, None] / 2, torch.full((len(before), 1), -pi / 2, dtype=torch.float64)

    def thickness(anatomy, angle):
        return radius(anatomy.epi, z, angle, anatomy) - radius(anatomy.endo, z, angle, anatomy)

    assert torch.allclose(thickness(after, inferior), 0.5 * thickness(before, inferior), rtol=0.05)
    assert torch.allclose(thickness(after, -inferior), thickness(before, -inferior), rtol=1e-6)


def test_thinning_by_table_is_thinning_by_segment_where_both_say_the_same():
    parameters, before = some(), hearts()
    table = torch.full_like(before.endo, 0.7)
    by_table = build(parameters, table)
    by_segment = build(parameters, torch.full((len(before), 17), 0.7, dtype=torch.float64))
    assert torch.allclose(by_table.epi, by_segment.epi, atol=1e-6)


def test_a_table_is_read_at_its_entries_and_around_the_circle():
    anatomy = hearts()
    z = anatomy.heights()[:, 10:11].expand(-1, 2)
    angle = torch.tensor([0.0, 2 * pi], dtype=torch.float64).expand(len(anatomy), 2)
    values = lookup(anatomy.epi, z, angle, anatomy)
    assert torch.allclose(values, anatomy.epi[:, 10, :1].expand(-1, 2))
    between = lookup(anatomy.epi, z[:, :1], angle[:, 1:] - pi / anatomy.epi.shape[2], anatomy)
    assert torch.allclose(between[:, 0], (anatomy.epi[:, 10, 0] + anatomy.epi[:, 10, -1]) / 2)


def test_a_table_may_have_several_layers():
    anatomy = hearts()
    z, angle = (
        anatomy.heights()[:, ::5],
        torch.linspace(-9, 9, 13, dtype=torch.float64).expand(len(anatomy), -1),
    )
    both = lookup(torch.stack([anatomy.endo, anatomy.epi], dim=1), z, angle, anatomy)
    assert torch.equal(both[:, 1], lookup(anatomy.epi, z, angle, anatomy))


def test_tables_that_are_too_coarse_are_refused():
    with pytest.raises(UsageError, match="too coarse"):
        build(some(), heights=4)


def test_a_heart_moves_to_another_precision_and_is_cut_by_patient():
    anatomy = hearts()
    assert anatomy.to(torch.float32).rv.dtype == torch.float32
    assert len(anatomy[2:5]) == 3
