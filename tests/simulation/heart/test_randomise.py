from dataclasses import replace

import numpy as np
import pytest
import torch
from discs import scene

from simulation.heart.imaging import look
from simulation.heart.imaging.artefacts import NONE
from simulation.heart.imaging.randomise import APART, SPREAD, draw
from simulation.heart.imaging.render import coarser, render
from simulation.heart.imaging.scanner import SCANNERS
from simulation.heart.imaging.tissues import HEART, SURROUNDINGS


def many(count=400):
    return [draw(np.random.default_rng(seed)) for seed in range(count)]


def test_blood_and_myocardium_can_always_be_told_apart():
    assert min(abs(one.heart[0] - one.heart[1]) for one in many()) >= 0.5 * APART


def test_blood_is_darker_than_myocardium_in_many_patients():
    darker = np.mean([one.heart[0] < one.heart[1] for one in many()])
    assert 0.25 < darker < 0.6


def test_both_ventricles_hold_about_the_same_blood():
    assert max(abs(one.heart[0] - one.heart[2]) for one in many()) < 0.25


def test_greys_spread_wider_than_any_scanners():
    wide = np.std([one.heart[1] for one in many()])
    for scanner in SCANNERS.values():
        narrow = np.std([look.draw(np.random.default_rng(s), scanner).heart[1] for s in range(100)])
        assert wide > 5 * narrow


def test_the_same_seed_draws_the_same_look():
    first, second = draw(np.random.default_rng(1)), draw(np.random.default_rng(1))
    np.testing.assert_array_equal(first.heart, second.heart)
    assert (first.gamma, first.noise, first.artefacts) == (second.gamma, second.noise, second.artefacts)
    assert first.pixel == second.pixel
    np.testing.assert_array_equal(first.heart_spread, second.heart_spread)


def test_a_random_look_makes_a_finite_picture_of_every_patient():
    fractions, around, _, scanner, randoms, spacing = scene([1, 2, 3])
    images = render(fractions, around, [draw(random) for random in randoms], scanner, randoms, spacing)
    assert bool(torch.isfinite(images).all())
    assert float(images.min()) >= 0


def test_tissues_differ_in_how_much_their_voxels_differ():
    spreads = np.array([one.heart_spread for one in many()])
    assert spreads.max() <= SPREAD
    assert (spreads[:, 0] != spreads[:, 1]).all()  # blood and muscle
    assert (spreads[:, 0] == spreads[:, 2]).all()  # blood and blood


def test_a_tissue_that_varies_is_rougher_by_as_much_and_the_other_is_not():
    rough = {}
    for spread in (0.0, 0.1):
        fractions, around, looks, scanner, _, spacing = scene([1])
        deviations = np.zeros(len(HEART))
        deviations[1] = spread
        quiet = replace(looks[0], noise=0.0, texture=0.0, artefacts=NONE, coil=(0.0, 0.0))
        varied = replace(quiet, heart_spread=deviations, around_spread=np.zeros(len(SURROUNDINGS)))
        sharp = replace(scanner, matrix=(1.0, 1.0), taper=0.0)
        image = render(fractions, around, [varied], sharp, [np.random.default_rng(0)], spacing)
        rough[spread] = [float(image[fractions[:, :, :, kind] > 0.999].std()) for kind in (1, 0)]
    assert rough[0.1][0] == pytest.approx(0.1, rel=0.25)
    assert rough[0.0][0] < 0.03
    assert rough[0.1][1] < rough[0.0][1] + 0.02


def test_coarse_pixels_keep_the_mean_and_lose_what_is_finer():
    mixed = coarser(128, 2.5)
    np.testing.assert_allclose(mixed.sum(1), 1.0)
    stripes = np.cos(np.pi * np.arange(128))
    assert np.abs(mixed @ stripes).max() < 0.3
    slow = np.cos(2 * np.pi * np.arange(128) / 64)
    np.testing.assert_allclose((mixed @ slow)[5:-5], slow[5:-5], atol=0.05)
    np.testing.assert_allclose(coarser(128, 1.0), np.eye(128), atol=1e-12)


def test_one_patients_power_law_leaves_the_others_alone():
    fractions, around, looks, scanner, _, spacing = scene([1, 2])
    pictures = []
    for gamma in (1.0, 1.5):
        randoms = [np.random.default_rng(seed) for seed in (5, 6)]
        bent = [replace(looks[0], gamma=gamma), looks[1]]
        pictures.append(render(fractions, around, bent, scanner, randoms, spacing))
    assert not torch.allclose(pictures[0][0], pictures[1][0])
    torch.testing.assert_close(pictures[0][1], pictures[1][1])
