from math import log

import numpy as np
import pytest
import torch

from ground.errors import UsageError
from simulation.heart.imaging import signal
from simulation.heart.imaging.signal import bssfp, cine_signals, inversion_recovery, late_signals, null_time
from simulation.heart.imaging.tissues import HEART, SURROUNDINGS, TISSUES, at

PROTOCOLS = [(1.5, 60.0, 3.2, 1.6), (1.5, 45.0, 3.6, 1.6), (3.0, 45.0, 3.0, 1.45)]


def number(value):
    return torch.tensor(value, dtype=torch.float64)


def signals(names, protocol):
    return dict(zip(names, cine_signals(names, *protocol), strict=True))


def pulsed(t1, t2, flip, repetition, echo, off_hz, pulses):
    """Bloch's equations pulse by pulse: rotation about x by ±flip, then free precession."""
    e1, e2 = np.exp(-repetition / t1), np.exp(-repetition / t2)
    turn = 2 * np.pi * off_hz * repetition / 1000
    across, along, sign = 0j, 1.0, 1
    for _ in range(pulses):
        angle = sign * flip
        y, z = across.imag, along
        across = across.real + 1j * (y * np.cos(angle) + z * np.sin(angle))
        along = z * np.cos(angle) - y * np.sin(angle)
        after, along = across, along * e1 + 1 - e1
        across = across * e2 * np.exp(1j * turn)
        sign = -sign
    seen = after * np.exp(-echo / t2 + 1j * turn * echo / repetition)
    return -sign * seen / 1j  # the receiver alternates as the pulse does


@pytest.mark.parametrize("off_hz", [0.0, 40.0, -100.0, -217.0])
def test_balanced_steady_state_is_where_blochs_equations_end(off_hz):
    t1, t2, flip, repetition, echo = 400.0, 60.0, 0.9, 3.8, 1.7
    closed = bssfp(number(t1), number(t2), number(flip), repetition, echo, number(off_hz))
    assert complex(closed) == pytest.approx(pulsed(t1, t2, flip, repetition, echo, off_hz, 2000), abs=1e-9)


def test_on_resonance_it_is_the_textbook_formula():
    t1, t2, flip, repetition, echo = (number(v) for v in (996.0, 55.8, 1.0, 3.2, 1.6))
    e1, e2 = torch.exp(-repetition / t1), torch.exp(-repetition / t2)
    textbook = (
        torch.sin(flip) * (1 - e1) / (1 - (e1 - e2) * torch.cos(flip) - e1 * e2) * torch.exp(-echo / t2)
    )
    value = bssfp(t1, t2, flip, 3.2, 1.6, number(0.0))
    assert value.real == pytest.approx(float(textbook), rel=1e-12)
    assert float(value.imag) == pytest.approx(0, abs=1e-15)


def test_short_repetition_leaves_only_the_ratio_of_t1_and_t2():
    t1, t2, flip = number(1441.0), number(290.0), number(1.0)
    value = bssfp(t1, t2, flip, 1e-3, 0.0, number(0.0)).abs()
    limit = torch.sin(flip) / (1 + torch.cos(flip) + (1 - torch.cos(flip)) * t1 / t2)
    assert value == pytest.approx(float(limit), rel=1e-4)


def test_it_is_brightest_at_the_flip_angle_of_the_closed_form():
    t1, t2 = number(1441.0), number(290.0)
    flips = torch.linspace(0.2, 3.0, 20001, dtype=torch.float64)
    best = flips[bssfp(t1, t2, flips, 1e-2, 0.0, number(0.0)).abs().argmax()]
    assert torch.cos(best) == pytest.approx(float((t1 / t2 - 1) / (t1 / t2 + 1)), abs=1e-3)


def test_the_sign_turns_with_each_repetition_rate_of_off_resonance():
    rate = 1000 / 4.0
    shares = number([0.0, 0.45, 0.55, 1.0, 1.45, 1.55])
    value = bssfp(number(1000.0), number(900.0), number(1.0), 4.0, 2.0, shares * rate).real
    assert value.sign().tolist() == [1, 1, -1, -1, -1, 1]


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_blood_is_brighter_than_every_other_water(protocol):
    values = signals(HEART + SURROUNDINGS, protocol)
    rest = [v for name, v in values.items() if "blood" not in name and name not in ("vessel", "aorta", "fat")]
    assert values["lv_blood"] > 2 * max(rest)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_fat_opposes_water_and_is_bright(protocol):
    values = signals(("lv_blood", "myocardium", "fat"), protocol)
    assert values["fat"] < 0
    assert abs(values["fat"]) > 1.5 * values["myocardium"]


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_lung_and_air_are_dark(protocol):
    values = signals(("lv_blood", "lung", "air"), protocol)
    assert 0 < values["lung"] < 0.1 * values["lv_blood"]
    assert values["air"] == 0


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_oedema_is_a_fifth_brighter_than_myocardium_in_a_cine(protocol):
    values = signals(("myocardium", "oedema"), protocol)
    assert values["oedema"] / values["myocardium"] == pytest.approx(1.19, abs=0.01)


def test_null_time_nulls():
    for t1, cycle in ((541.0, 1600.0), (300.0, 800.0)):
        at_null = inversion_recovery(number(t1), number(null_time(t1, cycle)), cycle)
        assert float(at_null) == pytest.approx(0, abs=1e-12)


def test_null_time_of_a_long_cycle_is_t1_log_two():
    assert null_time(500.0, 1e5) == pytest.approx(500 * log(2))


def test_inversion_recovery_begins_inverted_and_recovers():
    t1 = number(500.0)
    assert float(inversion_recovery(t1, number(0.0), 1e5)) == pytest.approx(-1)
    assert float(inversion_recovery(t1, number(5e4), 1e5)) == pytest.approx(1)


def test_late_enhancement_shows_scar_then_blood_and_no_myocardium():
    names = ("scar", "lv_blood", "fat", "myocardium")
    scar, blood, fat, myocardium = late_signals(names, 1.5, 1600.0, 1.5)
    assert scar > 1.4 * blood
    assert blood > 5 * fat > 1e6 * myocardium


def test_fat_that_is_not_suppressed_is_brighter_than_blood(monkeypatch):
    monkeypatch.setattr(signal, "FAT_LEFT", 1.0)
    blood, fat = late_signals(("lv_blood", "fat"), 1.5, 1600.0, 1.5)
    assert fat > blood


def test_a_wrong_inversion_time_leaves_myocardium_visible():
    early = late_signals(("myocardium",), 1.5, 1600.0, 1.5, off_null=0.8)
    assert early[0] > 0.05


def test_every_channel_has_a_tissue_with_t2_below_t1():
    for name in HEART + SURROUNDINGS:
        for field in (1.5, 3.0):
            t1, t2 = at(name, field)
            assert 0 < t2 < t1
        assert TISSUES[name].enhanced_t1 <= t1


def test_a_field_without_data_is_refused():
    with pytest.raises(UsageError, match="7 T"):
        at("liver", 7.0)
