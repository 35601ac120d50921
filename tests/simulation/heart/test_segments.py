from math import pi

import torch
from anatomies import hearts

from simulation.heart.anatomy import segments


def mesh(rows: int = 400, columns: int = 720) -> tuple[torch.Tensor, torch.Tensor]:
    longitudinal = (torch.arange(rows, dtype=torch.float64)[:, None] + 0.5) / rows
    angle = (torch.arange(columns, dtype=torch.float64) + 0.5) * 2 * pi / columns - pi
    return longitudinal.expand(rows, columns), angle.expand(rows, columns)


def test_each_centre_lies_in_its_segment():
    longitudinal, angle = torch.tensor(segments.CENTRES, dtype=torch.float64).T
    found = segments.segment_of(longitudinal, angle)
    assert found[:16].tolist() == list(range(1, 17))
    assert segments.segment_of(torch.tensor([-0.05]), torch.tensor([2.0])).item() == 17


def test_walls_stand_where_anatomists_put_them():
    places = {1: (0.9, pi / 2), 3: (0.9, -pi / 6), 4: (0.9, -pi / 2), 5: (0.9, -5 * pi / 6)}
    places |= {12: (0.5, 5 * pi / 6), 14: (0.2, 0.0), 16: (0.2, pi)}
    for segment, (longitudinal, angle) in places.items():
        assert segments.segment_of(torch.tensor(longitudinal), torch.tensor(angle)).item() == segment


def test_segments_partition_the_wall_by_area():
    longitudinal, angle = mesh()
    share = torch.bincount(segments.segment_of(longitudinal, angle).flatten(), minlength=18).double()
    share /= share.sum()
    expected = torch.tensor([0.0] + [1 / 18] * 12 + [1 / 12] * 4 + [0.0], dtype=torch.float64)
    assert torch.allclose(share, expected, atol=0.002)


def test_nothing_outside_the_heart_has_a_segment():
    outside = torch.tensor([1.01, 2.0, -0.9, float("nan")])
    assert (segments.segment_of(outside, torch.zeros(4)) == 0).all()


def test_segments_do_not_care_how_often_the_angle_went_round():
    longitudinal, angle = mesh(40, 70)
    once, again = segments.segment_of(longitudinal, angle), segments.segment_of(longitudinal, angle + 4 * pi)
    assert torch.equal(once, again)


def test_weights_sum_to_one_and_are_not_negative():
    longitudinal, angle = mesh(60, 90)
    weight = segments.weights(2 * longitudinal - 0.5, angle)
    assert torch.allclose(weight.sum(-1), torch.ones_like(longitudinal))
    assert (weight >= 0).all()


def test_weights_are_one_at_their_own_centre():
    longitudinal, angle = torch.tensor(segments.CENTRES, dtype=torch.float64).T
    assert torch.allclose(
        segments.weights(longitudinal, angle), torch.eye(17, dtype=torch.float64), atol=1e-12
    )


def test_weights_are_periodic_and_without_jumps():
    longitudinal, angle = mesh(90, 1440)
    weight = segments.weights(longitudinal, angle)
    assert torch.allclose(weight, segments.weights(longitudinal, angle - 2 * pi), atol=1e-9)
    assert (weight - weight.roll(1, 1)).abs().max() < 0.02
    assert (weight[1:] - weight[:-1]).abs().max() < 0.12


def test_a_weight_above_one_half_is_that_of_the_place_itself():
    """But for the apex, whose weight reaches into the apical ring."""
    longitudinal, angle = mesh(200, 360)
    weight, heaviest = segments.weights(longitudinal, angle).max(-1)
    certain = (weight > 0.5) & (heaviest < 16)
    assert certain.double().mean() > 0.3
    assert torch.equal(heaviest[certain] + 1, segments.segment_of(longitudinal, angle)[certain])


def test_nothing_depends_on_the_angle_in_the_apical_wall():
    weight = segments.weights(torch.tensor([[0.0], [-0.05]]), torch.linspace(0, 6, 7))
    assert torch.equal(weight[..., 16], torch.ones(2, 7))


def test_equal_values_spread_to_an_even_table():
    anatomy = hearts()
    values = torch.arange(1.0, 4.0, dtype=torch.float64).view(1, 3, 1).expand(len(anatomy), 3, 17)
    table = segments.spread(values, anatomy)
    assert table.shape == (len(anatomy), 3, *anatomy.endo.shape[1:])
    assert torch.allclose(table, values[..., :1, None].expand_as(table))
