from dataclasses import replace

import pytest
import torch

from simulation.heart.mechanics import circulation
from simulation.heart.mechanics.circulation import Circulation


def value(x):
    return torch.tensor([x], dtype=torch.float64)


AROUND = Circulation(value(140.0), value(12.0), value(7.0), value(1.0), value(1.0), value(0.6))
STEP = value(1.0)
SLOPE = value(0.02)  # mL/ms that a kPa of cavity pressure adds


def settle(shut, atrium=1.0, store=11.0, around=AROUND):
    """The step of a ventricle that would be at `shut` kPa with both valves closed."""
    offset = -value(shut) * SLOPE
    return circulation.settle(offset, SLOPE, value(atrium), value(store), STEP, around)


def test_between_atrium_and_aorta_both_valves_are_shut():
    flow = settle(5.0)
    assert float(flow.inflow) == float(flow.outflow) == 0
    assert float(flow.pressure) == pytest.approx(5.0)


def test_below_the_atrium_only_the_mitral_valve_is_open():
    flow = settle(-20.0)
    assert float(flow.inflow) > 0
    assert float(flow.outflow) == 0
    assert float(flow.pressure) < 1.0
    assert float(flow.inflow) == pytest.approx(float(1.0 - flow.pressure) / 1.0)


def test_above_the_aorta_only_the_aortic_valve_is_open():
    flow = settle(60.0)
    assert float(flow.outflow) > 0
    assert float(flow.inflow) == 0
    assert float(flow.outflow) == pytest.approx(float(flow.pressure - flow.aorta) / 1.0)


@pytest.mark.parametrize("shut", [-20.0, 5.0, 60.0])
def test_the_cavity_changes_by_what_flows_in_less_what_flows_out(shut):
    flow = settle(shut)
    change = -value(shut) * SLOPE + SLOPE * flow.pressure
    assert float(change) == pytest.approx(float(flow.inflow - flow.outflow), abs=1e-12)


def test_no_valve_ever_lets_flow_back():
    shut = torch.linspace(-100, 100, 401, dtype=torch.float64)
    flow = circulation.settle(-shut * SLOPE, SLOPE.expand(401), value(1.0), value(11.0), STEP, AROUND)
    assert bool((flow.inflow >= 0).all())
    assert bool((flow.outflow >= 0).all())
    assert not bool(((flow.inflow > 0) & (flow.outflow > 0)).any())


def test_the_windkessel_keeps_what_flows_in_less_what_flows_out():
    flow = settle(60.0)
    kept = AROUND.compliance * (flow.store - 11.0)
    assert float(kept) == pytest.approx(float(flow.outflow - flow.store / AROUND.resistance), abs=1e-12)


def test_a_shut_valve_leaves_the_windkessel_to_decay_with_its_time_constant():
    store = value(11.0)
    fine = value(0.1)
    for _ in range(5000):
        flow = circulation.settle(-value(5.0) * SLOPE, SLOPE, value(1.0), store, fine, AROUND)
        store = flow.store
    expected = 11.0 * torch.exp(-value(500.0) / (AROUND.resistance * AROUND.compliance))
    assert float(store) == pytest.approx(float(expected), rel=1e-4)


def test_a_steady_flow_meets_both_resistances():
    store = value(0.0)
    for _ in range(300):
        flow = circulation.settle(value(-0.09), value(1e-9), value(-1e9), store, value(100.0), AROUND)
        store = flow.store
    assert float(flow.outflow) == pytest.approx(0.09, rel=1e-6)
    assert float(flow.aorta) == pytest.approx(0.09 * (140.0 + 7.0), rel=1e-6)


def test_more_resistance_holds_the_store_up():
    high = settle(5.0, around=replace(AROUND, resistance=value(280.0)))
    assert float(high.store) > float(settle(5.0).store)


def test_the_atrial_kick_is_over_at_end_diastole():
    kick = circulation.atrial_kick(torch.tensor([0.0, 20.0, 90.0, 160.0, 400.0]))
    assert kick.tolist() == pytest.approx([0, 0, 1, 0, 0], abs=1e-6)
