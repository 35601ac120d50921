import numpy as np
import pytest
import torch
from discs import SIZE, SPACING, discs

from simulation.heart.imaging import surroundings
from simulation.heart.imaging.fields import field, weights
from simulation.heart.imaging.tissues import SURROUNDINGS


def built(seeds, **shape):
    fractions, heights = discs(len(seeds), **shape)
    thoraxes = [surroundings.draw(np.random.default_rng(seed)) for seed in seeds]
    return surroundings.build(thoraxes, fractions[:, :, 0].sum(2), heights, SPACING), fractions


def test_every_voxel_is_filled_exactly_once():
    around, _ = built([1, 2, 3])
    assert around.fractions.shape == (3, 3, len(SURROUNDINGS), SIZE, SIZE)
    assert float(around.fractions.min()) >= 0
    torch.testing.assert_close(around.fractions.sum(2), torch.ones(3, 3, SIZE, SIZE, dtype=torch.float64))


def test_a_patient_does_not_depend_on_the_batch():
    together, _ = built([1, 2])
    alone, _ = built([2])
    torch.testing.assert_close(together.fractions[1:], alone.fractions, rtol=0, atol=1e-12)
    torch.testing.assert_close(together.rim[1:], alone.rim, rtol=0, atol=1e-12)


def test_patients_differ():
    around, _ = built([1, 2])
    assert float((around.fractions[0] - around.fractions[1]).abs().mean()) > 0.01


def test_chest_wall_lies_up_and_left_and_liver_below():
    around, _ = built(list(range(12)))
    mean = around.fractions.mean((0, 1))
    half = SIZE // 2
    muscle, liver = mean[SURROUNDINGS.index("cartilage")], mean[SURROUNDINGS.index("liver")]
    assert float(muscle[:half].mean()) > 5 * float(muscle[half:].mean())
    assert float(muscle[:, :half].mean()) > float(muscle[:, half:].mean())
    assert float(liver[half:].mean()) > 20 * float(liver[:half].mean())
    assert float(liver[:, :half].mean()) > float(liver[:, half:].mean())


def test_lung_is_the_largest_neighbour():
    around, _ = built(list(range(12)))
    mean = around.fractions.mean((0, 1, 3, 4))
    assert SURROUNDINGS[int(mean.argmax())] == "lung"


def test_neighbouring_slices_resemble_each_other():
    near, _ = built([4], slices=41)  # 2 mm apart
    step = (near.fractions[:, 1:] - near.fractions[:, :-1]).abs().mean()
    far = (near.fractions[:, 20:] - near.fractions[:, :-20]).abs().mean()
    assert float(step) < 0.25 * float(far)


def test_a_slice_does_not_depend_on_the_others_textures():
    few, _ = built([5], slices=3)
    many, _ = built([5], slices=5)  # every second lies where one of the three does
    torch.testing.assert_close(few.texture, many.texture[:, ::2], rtol=0, atol=1e-9)


def test_fat_on_the_heart_follows_it_and_fades_away_from_it():
    around, fractions = built([6])
    heart = fractions.sum(3)
    fat = surroundings.rim(heart, around)
    assert float(fat.min()) >= 0
    assert float(fat.max()) <= 1
    nothing = surroundings.rim(torch.zeros_like(heart), around)
    assert float(nothing.max()) == 0  # no heart, no fat on it


def test_the_kind_of_number_is_kept():
    fractions, heights = discs(1, dtype=torch.float32)
    thorax = surroundings.draw(np.random.default_rng(0))
    around = surroundings.build([thorax], fractions[:, :, 0].sum(2), heights, SPACING)
    assert around.fractions.dtype == around.rim.dtype == around.texture.dtype == torch.float32


def test_empty_slices_are_allowed():
    thorax = surroundings.draw(np.random.default_rng(0))
    heart, heights = torch.zeros(1, 2, 32, 32), torch.zeros(1, 2)
    around = surroundings.build([thorax], heart, heights, 5.0)
    assert bool(torch.isfinite(around.fractions).all())


def test_spline_weights_sum_to_one_and_reproduce_a_straight_line():
    places = torch.linspace(20.0, 60.0, 37, dtype=torch.float64)
    weight = weights(places, 4.0, 40)
    torch.testing.assert_close(weight.sum(-1), torch.ones_like(places))
    torch.testing.assert_close(weight @ (4.0 * torch.arange(40, dtype=torch.float64)), places)


def test_random_fields_have_mean_zero_and_variance_one():
    lattice = torch.from_numpy(np.random.default_rng(0).standard_normal((1, 1, 24, 24, 24)))
    places = torch.linspace(0, 24 * 7.0, 70, dtype=torch.float64)
    values = field(lattice, places[None], places, places, 7.0)
    assert float(values.mean()) == pytest.approx(0, abs=0.05)
    assert float(values.var()) == pytest.approx(1, abs=0.06)
