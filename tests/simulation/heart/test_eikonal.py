from math import sqrt

import pytest
import torch

from ground.errors import UsageError
from simulation.heart.electrophysiology.eikonal import arrival_times
from simulation.heart.electrophysiology.tensors import along_fibres, form, inverse
from simulation.heart.electrophysiology.verification import distance, eikonal_error

TIMES = torch.zeros(1, 1, dtype=torch.float64)


def isotropic(speed, *shape):
    tensors = torch.zeros(*shape, 6, dtype=torch.float64)
    tensors[..., :3] = speed**2
    return tensors


def test_inverse_of_a_tensor_is_its_inverse():
    tensor = along_fibres(torch.tensor([0.6, 0.64, 0.48], dtype=torch.float64), 3.0, 0.7)
    assert torch.allclose(inverse(inverse(tensor)), tensor)
    assert form(tensor, (0.6, 0.64, 0.48)) == pytest.approx(3.0)
    assert form(inverse(tensor), (0.8, -0.6 * 0.8, 0.0)) > 0


def test_one_site_in_a_homogeneous_medium_is_exact():
    assert eikonal_error(11, "one site") < 1e-4


def test_two_sites_collide_within_a_fraction_of_a_voxel():
    assert eikonal_error(11, "two sites") < 0.2
    assert eikonal_error(21, "two sites") < 0.1


def test_a_front_without_a_site_has_order_1():
    coarse, fine = eikonal_error(11, "ball"), eikonal_error(21, "ball")
    assert coarse / fine == pytest.approx(2, abs=0.2)


def test_two_planes_collide_in_the_middle():
    speeds = along_fibres(torch.tensor([1.0, 0.0, 0.0], dtype=torch.float64), 0.36, 0.09).expand(
        1, 21, 5, 5, 6
    )
    start = torch.full((1, 21, 5, 5), float("inf"), dtype=torch.float64)
    start[:, 0], start[:, -1] = 0.0, 4.0
    times = arrival_times(speeds, torch.ones(1, 21, 5, 5), 0.5, start=start, tolerance=1e-9)
    x = torch.arange(21, dtype=torch.float64)[None, :, None, None] * 0.5
    exact = torch.minimum(x / 0.6, 4 + (10 - x) / 0.6)
    assert (times - exact).abs().max() < 1e-9


def test_single_precision_agrees_with_double():
    speeds = along_fibres(torch.tensor([0.6, 0.8, 0.0]), 0.36, 0.06).expand(1, 12, 12, 12, 6)
    mask, site = torch.ones(1, 12, 12, 12), torch.tensor([[[3.0, 4.0, 5.0]]])
    single = arrival_times(speeds, mask, 1.0, site, torch.zeros(1, 1))
    double = arrival_times(speeds.double(), mask, 1.0, site.double(), TIMES)
    assert single.dtype == torch.float32
    assert (single - double).abs().max() < 1e-2


def test_the_front_goes_round_an_obstacle():
    mask = torch.ones(1, 21, 21, 1, dtype=torch.bool)
    mask[:, 10, :16] = False
    site = torch.tensor([[[5.0, 2.0, 0.0]]], dtype=torch.float64)
    times = arrival_times(isotropic(1.0, *mask.shape), mask, 1.0, site, TIMES)
    way = sqrt(5**2 + 14**2) + sqrt(5**2 + 14**2)
    assert float(times[0, 15, 2, 0]) == pytest.approx(way, rel=0.04)
    assert torch.isinf(times[0, 10, 5, 0])


def test_an_oblique_barrier_of_one_voxel_blocks():
    mask = torch.ones(1, 9, 9, 1, dtype=torch.bool)
    mask[0, torch.arange(9), torch.arange(9)] = False
    site = torch.tensor([[[6.0, 1.0, 0.0]]], dtype=torch.float64)
    times = arrival_times(isotropic(1.0, *mask.shape), mask, 1.0, site, TIMES)[0, :, :, 0]
    below = torch.ones(9, 9).tril(-1).bool()
    assert torch.isfinite(times[below]).all()
    assert torch.isinf(times[~below]).all()


def test_slow_tissue_delays_what_lies_behind_it():
    speeds = isotropic(1.0, 1, 21, 1, 1)
    speeds[:, 8:12] = isotropic(0.25, 1, 4, 1, 1)
    site = torch.zeros(1, 1, 3, dtype=torch.float64)
    times = arrival_times(speeds, torch.ones(1, 21, 1, 1), 1.0, site, TIMES)
    assert float(times[0, 20, 0, 0]) == pytest.approx(16 + 4 / 0.25)


def test_a_site_between_voxels_starts_at_its_own_distance():
    site = torch.tensor([[[2.3, 0.0, 0.0]]], dtype=torch.float64)
    times = arrival_times(isotropic(0.5, 1, 6, 1, 1), torch.ones(1, 6, 1, 1), 1.0, site, TIMES + 7)
    x = torch.arange(6, dtype=torch.float64)
    assert (times[0, :, 0, 0] - 7 - (x - 2.3).abs() / 0.5).abs().max() < 1e-9


def test_a_patient_does_not_depend_on_the_batch():
    random = torch.Generator().manual_seed(5)
    fibres = torch.nn.functional.normalize(torch.randn(3, 8, 8, 8, 3, generator=random), dim=-1)
    speeds, mask = along_fibres(fibres, 0.45, 0.09), torch.rand(3, 8, 8, 8, generator=random) < 0.85
    sites = torch.rand(3, 2, 3, generator=random) * 6
    together = arrival_times(speeds, mask, 1.0, sites, torch.zeros(3, 2))
    alone = arrival_times(speeds[1:2], mask[1:2], 1.0, sites[1:2], torch.zeros(1, 2))
    assert torch.equal(together[1:2], alone)


def test_speeds_that_jump_at_random_settle_and_stay_above_the_fastest_way():
    random = torch.Generator().manual_seed(6)
    jumps = 0.05 + 4 * torch.rand(1, 12, 12, 12, generator=random).double() ** 4
    fibres = torch.nn.functional.normalize(torch.randn(1, 12, 12, 12, 3, generator=random).double(), dim=-1)
    speeds = along_fibres(fibres, jumps, 0.1 * jumps)
    site = torch.tensor([[[5.0, 6.0, 4.0]]], dtype=torch.float64)
    times = arrival_times(speeds, torch.ones(1, 12, 12, 12), 1.0, site, TIMES)
    grid = torch.stack(torch.meshgrid(*[torch.arange(12.0).double()] * 3, indexing="ij"), dim=-1)
    least = distance(isotropic(float(jumps.max().sqrt()), 1)[0], grid - site)
    assert torch.isfinite(times).all()
    assert (times[0] >= 0.5 * least).all()


def test_what_cannot_be_solved_is_refused():
    speeds, mask = isotropic(1.0, 1, 3, 3, 3), torch.ones(1, 3, 3, 3)
    with pytest.raises(UsageError, match="nothing starts"):
        arrival_times(speeds, mask, 1.0)
    with pytest.raises(UsageError, match="not positive"):
        arrival_times(0 * speeds, mask, 1.0, torch.zeros(1, 1, 3), TIMES)
    with pytest.raises(UsageError, match="do not fit"):
        arrival_times(speeds, mask[0], 1.0, torch.zeros(1, 1, 3), TIMES)
