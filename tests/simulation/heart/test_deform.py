from dataclasses import replace

import numpy as np
import torch

from simulation.heart.imaging.deform import Deformation, draw, places, warp

SIZE, SPACING = 64, 2.8
HEIGHTS = torch.linspace(0, -80, 4, dtype=torch.float64)
STILL = Deformation(np.zeros((2, 10, 10, 10)), np.eye(2), np.zeros(2))


def drawn(seed):
    return draw(np.random.default_rng(seed))


def where(own):
    return places(own, HEIGHTS, (SIZE, SIZE), SPACING)


def smallest_area(own):
    """By how much the smallest voxel is shrunk; negative where the plane is folded."""
    there = where(own)
    right = (there[:, :-1, 1:] - there[:, :-1, :-1]) / SPACING
    up = -(there[:, 1:, :-1] - there[:, :-1, :-1]) / SPACING
    return float((right[..., 0] * up[..., 1] - right[..., 1] * up[..., 0]).min())


def blob():
    axis = torch.arange(SIZE, dtype=torch.float64) - SIZE / 2 + 0.5
    disc = ((axis[:, None] - 4) ** 2 + axis**2 < 18**2).to(torch.float64)
    return disc.expand(4, 2, SIZE, SIZE)


def test_nothing_folds():
    assert min(smallest_area(drawn(seed)) for seed in range(60)) > 0.05


def test_knots_that_are_not_held_back_fold():
    loose = replace(STILL, knots=60 * np.random.default_rng(0).standard_normal((2, 10, 10, 10)))
    assert smallest_area(loose) < 0


def test_no_deformation_leaves_pictures_as_they_are():
    for nearest in (False, True):
        picture = torch.rand(4, 2, SIZE, SIZE, generator=torch.Generator().manual_seed(0)).double()
        torch.testing.assert_close(warp(picture, where(STILL), SPACING, nearest=nearest), picture)


def test_a_shift_moves_what_is_shown_the_other_way():
    moved = warp(blob(), where(replace(STILL, shift=np.array([5 * SPACING, 0.0]))), SPACING)
    torch.testing.assert_close(moved[..., 5:-10], blob()[..., 10:-5])


def test_labels_go_where_the_picture_goes():
    for seed in range(10):
        there = where(drawn(seed))
        picture, label = warp(blob(), there, SPACING), warp(blob(), there, SPACING, nearest=True)
        assert set(label.unique().tolist()) == {0.0, 1.0}
        assert float(((picture > 0.5) != (label > 0.5)).double().mean()) < 0.01
        assert float((blob() != label).double().mean()) > 0.01


def test_phases_are_deformed_alike_and_slices_smoothly():
    there = where(drawn(3))
    moved = warp(blob(), there, SPACING)
    assert torch.equal(moved[:, 0], moved[:, 1])
    few, many = HEIGHTS[:2], torch.linspace(float(HEIGHTS[0]), float(HEIGHTS[1]), 27, dtype=torch.float64)
    fine = places(drawn(3), many, (SIZE, SIZE), SPACING)
    torch.testing.assert_close(fine[[0, -1]], places(drawn(3), few, (SIZE, SIZE), SPACING))
    assert float((fine[1:] - fine[:-1]).abs().max()) < 1.0  # mm, of slices 1 mm apart


def test_the_same_seed_deforms_alike_and_another_otherwise():
    assert torch.equal(where(drawn(1)), where(drawn(1)))
    assert not torch.equal(where(drawn(1)), where(drawn(2)))
