from dataclasses import replace

import torch

from simulation.heart.anatomy import volumes
from simulation.heart.anatomy.segments import SEGMENTS
from simulation.heart.anatomy.shape import build
from simulation.heart.anatomy.shares import SMALLEST, by_segment
from tests.simulation.heart.anatomies import hearts, some


def test_walls_of_the_segments_sum_to_the_wall() -> None:
    wall, _ = by_segment(hearts())
    whole = volumes.wall(hearts())
    assert ((wall.sum(1) - whole) / whole).abs().max() < 0.005


def test_shares_of_the_segments_sum_to_the_cavity() -> None:
    _, cavity = by_segment(hearts())
    whole = volumes.cavity(hearts())
    assert ((cavity.sum(1) - whole) / whole).abs().max() < 0.005


def test_every_segment_has_some_wall_and_some_cavity() -> None:
    wall, cavity = by_segment(hearts())
    assert wall.shape == cavity.shape == (len(hearts()), SEGMENTS)
    assert wall.min() >= 0.1
    assert bool((cavity >= 0.99 * SMALLEST * volumes.cavity(hearts())[:, None]).all())


def test_a_segment_that_has_no_cavity_is_given_a_little() -> None:
    above = (hearts().longitudinal() > 0.5)[:, :, None]
    shut = replace(hearts(), endo=torch.where(above, hearts().endo, 0.0))
    _, cavity = by_segment(shut)
    without_floor = cavity[:, :12].sum(1)
    assert bool((cavity[:, 16] > 0).all())
    assert torch.allclose(cavity[:, 16], SMALLEST * without_floor, rtol=0.1)


def test_basal_and_mid_segments_hold_more_than_apical_ones_and_those_more_than_the_apex() -> None:
    wall, cavity = by_segment(hearts())
    for part in (wall, cavity):
        # The weights pass between the centres of rings; the basal ring reaches half a ring less far.
        assert bool((part[:, 6:12].sum(1) > part[:, 12:16].sum(1)).all())
        assert bool((part[:, 0:6].sum(1) > part[:, 12:16].sum(1)).all())
        assert bool((part[:, 12:16].sum(1) > part[:, 16]).all())


def test_a_thicker_segment_has_more_wall_and_its_cavity_is_as_before() -> None:
    factor = torch.ones(len(hearts()), SEGMENTS, dtype=torch.float64)
    factor[:, 7] = 1.5
    wall, cavity = by_segment(hearts())
    thick, same = by_segment(build(some(), factor))
    assert bool((thick[:, 7] > 1.3 * wall[:, 7]).all())
    assert torch.allclose(thick[:, 10], wall[:, 10], rtol=0.03)  # opposite
    # Both anatomies hold the same cavity, on rows that may lie elsewhere.
    assert torch.allclose(same, cavity, rtol=0.02, atol=0.05)


def test_a_patient_does_not_depend_on_the_batch() -> None:
    for all_of, one in zip(by_segment(hearts()), by_segment(hearts()[3:4]), strict=True):
        assert torch.allclose(all_of[3:4], one, rtol=1e-12)


def test_single_precision_agrees() -> None:
    for single, double in zip(by_segment(hearts().to(torch.float32)), by_segment(hearts()), strict=True):
        assert single.dtype == torch.float32
        assert torch.allclose(single.double(), double, rtol=1e-4, atol=1e-3)
