from dataclasses import replace

import numpy as np
import pytest
import torch
from discs import scene

from simulation.heart.imaging.artefacts import NONE, Artefacts, banding, draw, ghosts
from simulation.heart.imaging.render import render

PROTOCOL = (1.5, 60.0, 3.2)


def along(turns):
    resonance = torch.tensor(turns, dtype=torch.float64)[None, None, None]
    return banding(resonance, [1.0], *PROTOCOL).flatten()


def test_on_resonance_nothing_changes():
    assert along([0.0]).tolist() == [1.0]


def test_bands_are_dark_half_a_turn_away_and_repeat():
    factor = along([0.5, -0.5, 1.5, 1.0])
    assert float(factor[:3].max()) < 0.5
    assert float(factor[3]) == pytest.approx(1.0)


def test_bands_are_even():
    torch.testing.assert_close(along([0.1, 0.3, 0.44]), along([-0.1, -0.3, -0.44]))


def test_a_patient_without_bands_has_none():
    resonance = torch.randn(1, 2, 8, 8, generator=torch.Generator().manual_seed(0))
    assert bool((banding(resonance, [0.0], *PROTOCOL) == 1).all())


def test_a_ghost_is_the_heart_moved_along_the_rows():
    heart = torch.zeros(1, 1, 1, 10, 4)
    heart[..., 2, 1] = 1.0
    ghost = ghosts(heart, [Artefacts(ghost=0.1, shift=0.5)])
    assert float(ghost[..., 7, 1]) == pytest.approx(0.1)
    assert float(ghost.sum()) == pytest.approx(0.1)


def test_off_resonance_grows_with_the_field():
    low, high = (draw(np.random.default_rng(0), field) for field in (1.5, 3.0))
    assert high.bands == pytest.approx(2 * low.bands)


def test_a_patients_artefacts_reach_the_picture():
    pictures = []
    for artefacts in (NONE, Artefacts(bands=0.2), Artefacts(ghost=0.05)):
        fractions, around, looks, *rest = scene([1])
        pictures.append(render(fractions, around, [replace(looks[0], artefacts=artefacts)], *rest))
    for changed in pictures[1:]:
        assert float((changed - pictures[0]).abs().max()) > 0.02


def test_a_phase_does_not_depend_on_which_others_are_asked_for():
    fractions, around, looks, scanner, _, spacing = scene([1])
    quiet = [replace(looks[0], noise=0.0)]
    both = render(fractions, around, quiet, scanner, [np.random.default_rng(0)], spacing)
    one = render(fractions[:, :, 1:], around, quiet, scanner, [np.random.default_rng(0)], spacing)
    torch.testing.assert_close(both[:, :, 1:], one)
