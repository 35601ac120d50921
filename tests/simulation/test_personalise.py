"""Personalisation, mostly of a cheap model; the lumped ventricle is fitted once."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from ground.errors import UsageError
from simulation.heart.mechanics import function
from simulation.personalise import (
    FITTED,
    ActivationMap,
    Cuff,
    Curves,
    Heart,
    Measurement,
    Prior,
    by_cma,
    by_kalman,
    eikonal_arrival,
    fit_activation,
    population_prior,
)

NAMES = ("stroke", "edv", "delay", "pressure", "width")
TRUTH = np.array([[70.0, 140.0, 90.0, 100.0, 350.0], [60.0, 150.0, 110.0, 90.0, 400.0]])
PRIOR = Prior(NAMES, np.tile([65.0, 140.0, 100.0, 95.0, 380.0], (2, 1)), np.full((2, 5), 0.2))
TIMES = np.arange(30) * 30.0
METHODS = (by_cma, by_kalman)


def bell(parameters, times):
    """A dip of the volume, and pressures that go with it: five parameters, smooth, not linear."""
    stroke, edv, delay, pressure, width = parameters.unbind(-1)
    place = (times[:, None] - delay[..., None]) / width[..., None]
    volumes = edv[..., None] - stroke[..., None] * torch.sin(torch.pi * place.clamp(0, 1)) ** 2
    return Curves(volumes, pressure + 0.3 * stroke, pressure - 0.3 * stroke)


def measured(noise=2.0, stated=None, seed=0, cuff=True):
    """Both patients, the noise and what is said of it."""
    curves = bell(torch.from_numpy(TRUTH)[:, None], torch.from_numpy(np.tile(TIMES, (2, 1))))
    found = []
    for patient in range(2):
        random = np.random.default_rng([seed, patient])
        volumes = curves.volumes[patient, 0].numpy() + noise * random.standard_normal(len(TIMES))
        errors = noise * random.standard_normal(2)
        pressures = (
            float(curves.systolic[patient]) + errors[0],
            float(curves.diastolic[patient]) + errors[1],
        )
        said = stated or noise
        found.append(Measurement(TIMES, volumes, said, Cuff(*pressures, said) if cuff else None))
    return found


def values(fits):
    return np.array([list(fit.values.values()) for fit in fits])


def widths(fits):
    return np.array([[high - low for low, high in fit.intervals.values()] for fit in fits])


@pytest.mark.parametrize("method", METHODS)
def test_without_noise_the_truth_is_found(method):
    fits = method(bell, measured(noise=1e-9, stated=0.1), PRIOR)
    np.testing.assert_allclose(values(fits), TRUTH, rtol=0.01)


@pytest.mark.parametrize("method", METHODS)
def test_intervals_widen_with_noise(method):
    quiet, loud = (widths(method(bell, measured(noise), PRIOR)) for noise in (1.0, 4.0))
    assert (loud > 1.2 * quiet).all()


@pytest.mark.parametrize("method", METHODS)
def test_intervals_hold_the_truth_as_often_as_they_say(method):
    inside = []
    for seed in range(10):
        for fit, truth in zip(method(bell, measured(seed=seed), PRIOR), TRUTH, strict=True):
            inside += [low <= t <= high for (low, high), t in zip(fit.intervals.values(), truth, strict=True)]
    assert 0.8 <= np.mean(inside) <= 0.98  # 100 intervals of 90 %


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("stated", "word"), [(0.7, "larger"), (6.0, "smaller")])
def test_wrong_noise_breaks_coverage_and_is_reported(method, stated, word):
    for fit in method(bell, measured(noise=2.0, stated=stated), PRIOR):
        assert not fit.success
        assert f"residual is {word}" in fit.warning
    assert all(fit.success for fit in method(bell, measured(noise=2.0), PRIOR))


def test_a_search_cut_short_says_so():
    for fit in by_cma(bell, measured(), PRIOR, generations=2):
        assert not fit.success
        assert "did not end" in fit.warning


def test_both_methods_agree():
    searched, filtered = (method(bell, measured(), PRIOR) for method in METHODS)
    np.testing.assert_array_less(np.abs(values(searched) - values(filtered)), 0.1 * widths(filtered))
    np.testing.assert_allclose(widths(searched), widths(filtered), rtol=0.15)


def test_the_same_seed_gives_the_same_fit_and_leaves_the_global_generator_alone():
    state = np.random.get_state()[1].copy()
    first, again, other = (by_cma(bell, measured(), PRIOR, seed=seed) for seed in (1, 1, 2))
    assert first == again
    assert first != other
    np.testing.assert_array_equal(state, np.random.get_state()[1])


@pytest.mark.parametrize("method", METHODS)
def test_a_patient_does_not_depend_on_the_batch(method):
    def second(parameters, times):
        return bell(parameters, times)

    together = method(bell, measured(), PRIOR)[1]
    alone = method(second, measured()[1:], PRIOR.of(1))[0]
    np.testing.assert_allclose(values([alone]), values([together]), rtol=1e-6)


@pytest.mark.parametrize("method", METHODS)
def test_a_parameter_without_data_keeps_its_prior_and_is_named(method):
    for fit, centre in zip(method(bell, measured(cuff=False), PRIOR), PRIOR.centre, strict=True):
        assert fit.values["pressure"] == pytest.approx(centre[3], rel=0.02)
        assert fit.informed["pressure"] < 0.05
        assert "say little about pressure" in fit.warning


@pytest.fixture(scope="module")
def hearts():
    """One drawn heart, coarse, and its prior."""
    work = function.draw("normal", np.random.default_rng(100), edv_ml=140.0)
    one = torch.ones(1, 17, dtype=torch.float64)
    activation = torch.linspace(10, 50, 17, dtype=torch.float64)[None]
    heart = Heart(
        function.stack([work], torch.float64), one * 110 / 17, one, activation, steps=80, extrapolate=False
    )
    return heart, population_prior(["normal"], [137.0], [30.0], widen=3.0)


def curve(heart, noise=1.0):
    truth = heart.truth(torch.tensor([140.0], dtype=torch.float64))
    times = torch.arange(40, dtype=torch.float64)[None] * (60_000 / heart.function.heart_rate) / 40
    with torch.no_grad():
        shown = heart(torch.from_numpy(truth)[:, None], times)
    cuff = Cuff(float(shown.systolic), float(shown.diastolic), noise)
    return truth, Measurement(times[0].tolist(), shown.volumes[0, 0].tolist(), noise, cuff)


def test_the_parameters_of_a_noiseless_heart_are_found(hearts):
    heart, prior = hearts
    truth, measurement = curve(heart, noise=0.05)
    (fit,) = by_kalman(heart, [measurement], prior)
    np.testing.assert_allclose(values([fit]), truth, rtol=0.02)
    assert fit.residual < 1


def test_cma_follows_the_curve_of_the_same_heart(hearts):
    heart, prior = hearts
    _, measurement = curve(heart, noise=3.0)
    (fit,) = by_cma(heart, [measurement], prior, candidates=10, generations=10)
    assert list(fit.values) == list(FITTED)
    assert fit.residual < 0.7  # no noise in it; half of where the search began


def test_extrapolation_in_the_step_brings_a_coarse_heart_nearer_to_a_fine_one(hearts):
    heart, _ = hearts
    parameters = torch.from_numpy(heart.truth(torch.tensor([140.0], dtype=torch.float64)))[:, None]
    times = torch.arange(20, dtype=torch.float64)[None] * 40
    fine, coarse, better = (
        replace(heart, steps=steps, extrapolate=extrapolate)(parameters, times).volumes
        for steps, extrapolate in ((800, False), (200, False), (200, True))
    )
    assert (better - fine).square().mean() < 0.25 * (coarse - fine).square().mean()


def test_only_the_mean_activation_is_taken_out_of_the_activation(hearts):
    heart, _ = hearts
    heart = replace(heart, steps=40)
    later = replace(heart, activation_ms=heart.activation_ms + 25)
    parameters, times = torch.from_numpy(curve(heart)[0])[:, None], torch.arange(10.0)[None] * 50
    torch.testing.assert_close(heart(parameters, times).volumes, later(parameters, times).volumes)


GOOD = {"times": TIMES, "volumes": 100 + 30 * np.cos(TIMES / 150), "noise": 2.0}


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"volumes": np.where(TIMES == 60, np.nan, GOOD["volumes"])}, "not a number"),
        ({"times": TIMES[:5], "volumes": GOOD["volumes"][:5]}, "10 or more"),
        ({"times": TIMES[:-1]}, "give as many"),
        ({"times": TIMES[::-1]}, "rise"),
        ({"volumes": -GOOD["volumes"]}, "mL"),
        ({"volumes": GOOD["volumes"] * 1000}, "mL"),
        ({"volumes": np.full(30, 100.0)}, "whole beat"),
        ({"volumes": ["large"] * 30}, "not numbers"),
        ({"noise": 0.0}, "standard deviation"),
    ],
)
def test_a_bad_measurement_is_refused_in_one_line(change, word):
    with pytest.raises(UsageError, match=word) as caught:
        Measurement(**(GOOD | change))
    assert "\n" not in str(caught.value)


def test_bad_cuffs_priors_and_batches_are_refused():
    with pytest.raises(UsageError, match="systolic above a diastolic"):
        Cuff(80.0, 120.0)
    with pytest.raises(UsageError, match="centre or spread"):
        replace(PRIOR, centre=-PRIOR.centre)
    with pytest.raises(UsageError, match="give as many"):
        by_cma(bell, measured()[:1], PRIOR)
    with pytest.raises(UsageError, match="fit them apart"):
        by_kalman(bell, [measured()[0], measured(cuff=False)[1]], PRIOR)


def slab(count=40, noise=2.0, velocity=0.55, onset=12.0):
    """Points in a box whose speeds are twice as large along x; exact times of a front from a corner."""
    random = np.random.default_rng(5)
    points = random.uniform(1, 22, (count, 3))
    unit = np.sqrt((points[:, 0] / 1.0) ** 2 + (points[:, 1] / 0.5) ** 2 + (points[:, 2] / 0.5) ** 2)
    return ActivationMap(points, onset + unit / velocity + noise * random.standard_normal(count), noise)


def arrival(points):
    speeds = torch.zeros(1, 12, 12, 12, 6, dtype=torch.float64)
    speeds[..., 0], speeds[..., 1:3] = 1.0, 0.25
    return eikonal_arrival(
        points,
        speeds,
        torch.ones(1, 12, 12, 12, dtype=torch.bool),
        2.1,
        torch.zeros(1, 1, 3, dtype=torch.float64),
        torch.zeros(1, 1, dtype=torch.float64),
    )


def test_velocity_and_onset_of_an_activation_map_are_found():
    points = 2.1 * np.random.default_rng(5).integers(0, 11, (30, 3))
    unit = np.sqrt(points[:, 0] ** 2 + 4 * points[:, 1] ** 2 + 4 * points[:, 2] ** 2)
    fit = fit_activation(ActivationMap(points, 12.0 + unit / 0.55, 1.0), arrival(points), velocity=1.5)
    assert fit.values["velocity"] == pytest.approx(0.55, rel=0.005)
    assert fit.values["onset"] == pytest.approx(12.0, abs=0.3)


def test_intervals_of_a_noisy_map_hold_the_truth_and_wrong_noise_is_reported():
    noisy = slab()
    fit = fit_activation(noisy, arrival(noisy.points))
    assert fit.success
    assert fit.intervals["velocity"][0] < 0.55 < fit.intervals["velocity"][1]
    assert fit.intervals["onset"][0] < 12.0 < fit.intervals["onset"][1]
    boasting = fit_activation(replace(noisy, noise=0.5), arrival(noisy.points))
    assert not boasting.success
    assert "residual" in boasting.warning


def test_points_that_activate_together_say_nothing_about_velocity():
    def together(velocities):
        return np.tile(20 / velocities[:, None], (1, 12))

    fit = fit_activation(ActivationMap(np.zeros((12, 3)), np.linspace(40, 41, 12), 0.5), together)
    assert not fit.success
    assert "little about the velocity" in fit.warning


def test_a_bad_activation_map_is_refused():
    good = slab(count=6)
    for change in ({"times": good.times[:3]}, {"noise": -1.0}, {"times": [np.nan] * 6}):
        with pytest.raises(UsageError, match="activation map"):
            replace(good, **change)
    with pytest.raises(UsageError, match="outside the grid"):
        arrival([[100.0, 0.0, 0.0]])
