from dataclasses import replace

import numpy as np
import torch
from discs import scene

from simulation.heart.imaging import look
from simulation.heart.imaging.randomise import APART, draw
from simulation.heart.imaging.render import render
from simulation.heart.imaging.scanner import SCANNERS


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


def test_a_random_look_makes_a_finite_picture_of_every_patient():
    fractions, around, _, scanner, randoms, spacing = scene([1, 2, 3])
    images = render(fractions, around, [draw(random) for random in randoms], scanner, randoms, spacing)
    assert bool(torch.isfinite(images).all())
    assert float(images.min()) >= 0


def test_one_patients_power_law_leaves_the_others_alone():
    fractions, around, looks, scanner, _, spacing = scene([1, 2])
    pictures = []
    for gamma in (1.0, 1.5):
        randoms = [np.random.default_rng(seed) for seed in (5, 6)]
        bent = [replace(looks[0], gamma=gamma), looks[1]]
        pictures.append(render(fractions, around, bent, scanner, randoms, spacing))
    assert not torch.allclose(pictures[0][0], pictures[1][0])
    torch.testing.assert_close(pictures[0][1], pictures[1][1])
