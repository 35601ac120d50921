"""How far the endocardium moves, of shapes whose answer is known."""

from __future__ import annotations

from math import pi, tau

import numpy as np
import pytest

from simulation.heart.anatomy.segments import SEGMENTS
from tasks.infarct.excursion import (
    ANGLES,
    SEPTUM,
    Contours,
    area_and_centre,
    ejection_fraction,
    outline,
    radii,
    ring_of,
    shortening,
)

TURNS = np.arange(ANGLES) * (tau / ANGLES)
PLACE = np.array([1 / 6, 1 / 2, 5 / 6])


def circles(radius: float, centre: complex = 0j) -> np.ndarray:
    return np.stack([centre + radius * np.exp(1j * TURNS)] * len(PLACE))


def test_a_cavity_that_shrinks_evenly_shortens_evenly_in_every_convention() -> None:
    found = shortening(Contours(circles(30.0), circles(21.0), PLACE))
    np.testing.assert_allclose(found[:, :16], 0.3, atol=1e-3)
    assert np.isnan(found[:, 16]).all()


def test_a_heart_that_is_carried_deceives_the_fixed_centre_alone() -> None:
    fixed, floating, carried = shortening(Contours(circles(30.0), circles(21.0, 4 + 3j), PLACE))[:, :16]
    np.testing.assert_allclose(floating, 0.3, atol=5e-3)
    np.testing.assert_allclose(carried, 0.3, atol=5e-3)
    assert np.ptp(fixed) > 0.2


def test_a_wall_that_stands_still_is_found_where_it_is() -> None:
    middle = pi - SEPTUM  # the septum, in the image
    still = np.abs((TURNS - middle + pi) % tau - pi) < pi / 3
    systole = np.where(still, 30.0, 20.0) * np.exp(1j * TURNS)
    found = shortening(Contours(circles(30.0), np.stack([systole] * 3), PLACE))[0]
    septal, lateral = np.array([2, 3, 8, 9]) - 1, np.array([5, 6, 11, 12]) - 1
    assert (found[septal] < 0.05).all()
    assert (found[lateral] > 0.3).all()


def test_the_anterior_wall_is_up() -> None:
    up = np.abs((TURNS - (pi / 2 - SEPTUM) + pi) % tau - pi) < pi / 6
    systole = np.where(up, 30.0, 20.0) * np.exp(1j * TURNS)
    found = shortening(Contours(circles(30.0), np.stack([systole] * 3), PLACE))[0]
    assert int(np.nanargmin(found[:6])) + 1 == 1
    assert found[3] > 0.3


def test_a_slice_speaks_for_the_rings_beside_it() -> None:
    rings = ring_of(np.array([0.02, 1 / 3, 0.98]))
    np.testing.assert_allclose(rings[0, :6], 1.0)
    assert not rings[0, 6:].any()
    np.testing.assert_allclose(rings[1, [0, 6]], 0.5)
    assert rings[2, 12] == 1.0
    assert rings.shape == (3, SEGMENTS)
    assert not rings[:, 16].any()


def test_segments_that_no_slice_shows_are_unknown() -> None:
    found = shortening(Contours(circles(30.0)[:1], circles(20.0)[:1], PLACE[:1]))
    assert np.isnan(found[:, 12:]).all()
    assert np.isfinite(found[:, :6]).all()


def test_a_mask_s_outline_has_its_area_and_its_place() -> None:
    rows, columns = np.mgrid[:128, :128]
    mask = ((rows - 70) / 18) ** 2 + ((columns - 50) / 25) ** 2 < 1
    area, centre = area_and_centre(outline(mask, 1.4)[None])
    assert area[0] == pytest.approx(mask.sum() * 1.4**2, rel=0.03)
    assert centre[0] / 1.4 == pytest.approx(50 - 70j, abs=0.3)


def test_radii_about_another_centre_describe_the_same_circle() -> None:
    found = radii(circles(20.0), np.full(3, 5 + 0j))
    assert found[0, 0] == pytest.approx(15.0, abs=0.1)
    assert found[0, ANGLES // 2] == pytest.approx(25.0, abs=0.1)


def test_ejection_is_of_areas() -> None:
    assert ejection_fraction(Contours(circles(30.0), circles(15.0), PLACE)) == pytest.approx(0.75)
