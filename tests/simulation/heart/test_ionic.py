from math import sqrt

import pytest
import torch

from ground.errors import UsageError
from simulation.heart.electrophysiology.ionic import (
    Cell,
    action_potential,
    diffusivity_for,
    duration,
    front_speed,
    leading_duration,
    plateaus,
    rates,
    react_,
)


def test_front_speed_is_the_reference_value():
    assert front_speed(0.1, Cell()) == pytest.approx(0.34360, abs=5e-6)


def test_diffusivity_inverts_front_speed():
    assert front_speed(diffusivity_for(0.67, Cell()), Cell()) == pytest.approx(0.67)


def test_current_vanishes_at_the_plateaus():
    v = torch.tensor(plateaus(Cell()), dtype=torch.float64)
    assert rates(v, torch.ones_like(v), Cell())[0].abs().max() < 1e-14


def test_action_potential_lasts_as_long_as_the_reference():
    assert duration(*action_potential(Cell()), Cell().gate) == pytest.approx(284.7, abs=0.05)


def test_leading_order_duration_is_the_reference_value():
    assert leading_duration(Cell()) == pytest.approx(241.4, abs=0.05)


def test_a_stimulus_below_threshold_fires_nothing():
    _, v = action_potential(Cell(), start=plateaus(Cell())[0] - 0.002)
    assert v.max() == v[0]


@pytest.mark.parametrize(("order", "ratio"), [(1, 2), (2, 4)])
def test_a_step_of_the_cell_has_its_order(order, ratio):
    def after(step):
        v, h = torch.tensor([0.5], dtype=torch.float64), torch.tensor([0.9], dtype=torch.float64)
        for _ in range(round(2 / step)):
            react_(v, h, Cell(), step, order)
        return float(v)

    exact = after(2 / 4096)
    fine, coarse = abs(after(1 / 32) - exact), abs(after(1 / 16) - exact)
    assert coarse / fine == pytest.approx(ratio, rel=0.15)


def test_rates_agree_with_the_step():
    v, h = torch.rand(50, dtype=torch.float64), torch.rand(50, dtype=torch.float64)
    slope_v, slope_h = rates(v, h, Cell())
    moved_v, moved_h = v.clone(), h.clone()
    react_(moved_v, moved_h, Cell(), 1e-6, 2)
    assert torch.allclose((moved_v - v) / 1e-6, slope_v, atol=1e-4)
    assert torch.allclose((moved_h - h) / 1e-6, slope_h, atol=1e-4)


def test_front_speed_grows_with_the_root_of_diffusivity():
    assert front_speed(0.4, Cell()) / front_speed(0.1, Cell()) == pytest.approx(sqrt(4))


def test_a_cell_that_cannot_fire_is_refused():
    with pytest.raises(UsageError, match="cannot fire"):
        Cell(tau_in=2.0)


def test_a_potential_that_has_not_ended_has_no_duration():
    with pytest.raises(UsageError, match="has not ended"):
        duration(*action_potential(Cell(), duration=100.0), Cell().gate)
