import numpy as np
import pytest
import torch

from ground.errors import UsageError
from simulation.heart.anatomy.body import AXES
from simulation.heart.anatomy.population import draw, stack
from simulation.heart.anatomy.shape import build
from simulation.heart.electrophysiology import ecg
from simulation.heart.electrophysiology.conduction import activate
from simulation.heart.electrophysiology.ecg import (
    LEADS,
    Repolarisation,
    electrodes,
    leads_of,
    pseudo_ecg,
    sample_times,
)
from simulation.heart.electrophysiology.ionic import action_potential


@pytest.fixture(scope="module")
def hearts():
    return build(stack([draw("normal", np.random.default_rng(seed)) for seed in (1, 2)]))


@pytest.fixture(scope="module")
def healthy(hearts):
    return activate(hearts, spacing=3.5)


@pytest.fixture(scope="module")
def leads(healthy):
    return dict(zip(LEADS, pseudo_ecg(healthy).unbind(1), strict=True))


def width(signal):
    """ms during which the leads together change fast: the QRS complex."""
    speed = signal.diff(dim=-1).abs().sum(1)[:, :250]
    return (speed > 0.1 * speed.amax(1, keepdim=True)).sum(1)


def test_leads_have_a_sample_each_time(healthy):
    assert pseudo_ecg(healthy, 300.0, 2.0).shape == (2, 12, 150)
    assert len(sample_times(300.0, 2.0)) == 150


def test_the_limb_leads_obey_einthoven_and_goldberger(leads):
    assert torch.allclose(leads["I"] + leads["III"], leads["II"], atol=1e-5)
    assert torch.allclose(leads["aVR"] + leads["aVL"] + leads["aVF"], torch.zeros(()), atol=1e-5)


def test_a_common_potential_at_all_electrodes_is_seen_by_no_lead():
    assert leads_of(torch.ones(1, 9, 4)).abs().max() < 1e-6


@pytest.mark.parametrize("lead", ["I", "II", "V2", "V3", "V4", "V5", "V6"])
def test_t_waves_point_up(leads, lead):
    late = leads[lead][:, 220:450]
    assert (late.amax(1) > 3 * -late.amin(1)).all()


def test_the_t_wave_points_down_in_avr(leads):
    late = leads["aVR"][:, 220:450]
    assert (-late.amin(1) > 3 * late.amax(1)).all()


def test_qrs_turns_from_down_in_v2_to_up_in_v6(leads):
    early = {lead: leads[lead][:, :120] for lead in ("V2", "V6")}
    assert (-early["V2"].amin(1) > early["V2"].amax(1)).all()
    assert (early["V6"].amax(1) > -early["V6"].amin(1)).all()


def test_amplitudes_are_of_the_order_of_millivolts(leads):
    largest = torch.stack([leads[lead].abs().amax(1) for lead in LEADS])
    assert (largest.amax(0) < 5).all()
    assert (largest.amax(0) > 0.5).all()


def test_a_block_widens_the_complex(hearts, healthy):
    assert (
        width(pseudo_ecg(activate(hearts, block="left", spacing=3.5))) > width(pseudo_ecg(healthy)) + 30
    ).all()


def test_without_gradients_of_duration_t_waves_are_inverted_where_qrs_points_up(healthy):
    """Repolarisation then follows activation: the reason why gradients are assumed."""
    flat = pseudo_ecg(healthy, repolarisation=Repolarisation(transmural=0.0, apicobasal=0.0))[
        :, LEADS.index("V6")
    ]
    late = flat[:, 220:450]
    assert (-late.amin(1) > late.amax(1)).all()


def test_time_bins_give_what_the_sum_over_voxels_gives(healthy):
    """Every voxel one by one, without bins, all durations alike."""
    same = Repolarisation(transmural=0.0, apicobasal=0.0)
    times, v = action_potential(same.cell, start=0.06, duration=500.0)
    half = float(times[int((v >= v.max() / 2).nonzero()[-1])])
    upstroke = float(times[int((v >= 0.5).nonzero()[0])])
    same = Repolarisation(middle=half - upstroke, transmural=0.0, apicobasal=0.0)
    found = pseudo_ecg(healthy, 400.0, repolarisation=same)[0]
    field = ecg._lead_field(healthy)[0].numpy() * ecg._gain(same)
    starts = healthy.times[0].flatten().numpy()
    alive = np.isfinite(starts)
    ages = np.arange(400)[None] - starts[alive][:, None] + upstroke
    values = np.interp(ages, times.numpy(), v.numpy(), left=0.0)
    expected = leads_of(torch.from_numpy(field[:, alive] @ values)[None])[0]
    assert (found - expected).abs().max() < 0.03 * expected.abs().max()


def test_the_axes_of_the_heart_are_a_rotation():
    axes = torch.tensor(AXES, dtype=torch.float64)
    assert torch.allclose(axes @ axes.T, torch.eye(3, dtype=torch.float64), atol=2e-3)
    assert float(torch.linalg.det(axes)) == pytest.approx(1, abs=2e-3)


def test_v2_lies_in_front_of_the_septum_and_v6_beside_the_lateral_wall(healthy):
    places = electrodes(healthy)
    assert (places[:, 4, 0] > 30).all()
    assert (places[:, 8, 0] < -30).all()


def test_an_ecg_without_samples_is_refused(healthy):
    with pytest.raises(UsageError, match="must be > 0"):
        pseudo_ecg(healthy, duration=0.0)
