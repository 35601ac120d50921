from dataclasses import replace

import numpy as np
import pytest
import torch
from discs import SIZE, scene

from ground.errors import UsageError
from simulation.heart.imaging import look
from simulation.heart.imaging.artefacts import NONE
from simulation.heart.imaging.render import coil, noise, render, spreads, truncate, window
from simulation.heart.imaging.scanner import SCANNERS, breathing, scanner, stored


def test_pictures_have_a_slice_and_phase_for_every_fraction():
    arguments = scene([1, 2])
    images = render(*arguments)
    assert images.shape == (2, 3, 2, SIZE, SIZE)
    assert bool(torch.isfinite(images).all())
    assert float(images.min()) >= 0


def test_the_same_seed_gives_the_same_picture():
    assert torch.equal(render(*scene([7])), render(*scene([7])))


def test_another_seed_gives_another_picture():
    assert not torch.equal(render(*scene([7])), render(*scene([8])))


@pytest.mark.parametrize("contrast", ["cine", "late"])
def test_a_patient_does_not_depend_on_the_batch(contrast):
    together = render(*scene([3, 4, 5], contrast=contrast))
    alone = render(*scene([4], contrast=contrast))
    torch.testing.assert_close(together[1:2], alone, rtol=0, atol=1e-9)


@pytest.mark.parametrize("name", list(SCANNERS))
def test_blood_is_bright_and_myocardium_dark(name):
    arguments = scene([1, 2, 3, 4], scanner=name)
    images, fractions = render(*arguments), arguments[0]
    blood = images[fractions[:, :, :, 0] > 0.99].mean()
    muscle = images[fractions[:, :, :, 1] > 0.99].mean()
    assert 0.15 < float(muscle / blood) < 0.5


def test_only_late_enhancement_sets_scar_apart():
    ratios = {}
    for contrast in ("cine", "late"):
        arguments = scene([1], contrast=contrast)
        fractions = arguments[0]
        left = torch.arange(SIZE) < SIZE // 2 + 3
        wall = fractions[:, :, :, 1].clone()
        fractions[:, :, :, 4], fractions[:, :, :, 1] = wall * left, wall * ~left
        images = render(*arguments)
        scar, healthy = (images[fractions[:, :, :, k] > 0.9].mean() for k in (4, 1))
        ratios[contrast] = float(scar / healthy)
    assert 0.7 < ratios["cine"] < 1.4
    assert ratios["late"] > 2


def test_surroundings_do_not_shine_through_the_heart():
    inside = []
    for seed in (1, 2):
        fractions, around, looks, *rest = scene([seed])
        plain = replace(looks[0], texture=0.0, noise=0.0, artefacts=NONE, coil=(0.0, 0.0))
        blood = render(fractions, around, [plain], *rest)[0, 0, 0, SIZE // 2, SIZE // 2]
        inside.append(float(blood))
    assert inside == pytest.approx([1.0, 1.0], abs=0.03)


def rician(signal):
    random = np.random.default_rng(0)
    real, imaginary = noise([random], (2, 300, 300), torch.zeros(1, dtype=torch.float64))[0]
    return torch.hypot(signal + real, imaginary)


def test_noise_of_a_dark_region_is_rayleigh():
    values = rician(0.0)
    assert float(values.mean()) == pytest.approx(np.sqrt(np.pi / 2), rel=0.02)
    assert float((values**2).mean()) == pytest.approx(2, rel=0.02)


def test_noise_over_signal_is_rician():
    assert float((rician(3.0) ** 2).mean()) == pytest.approx(3.0**2 + 2, rel=0.02)


def cut(image, matrix, taper):
    like = torch.zeros(1, dtype=torch.float64)
    rows, columns = image.shape[-2:]
    along = [spreads(size, matrix, taper, [0.0] * len(image), like) for size in (rows, columns)]
    return truncate(image, along[0], along[1])


def waves(cycles):
    places = torch.arange(128, dtype=torch.float64)
    return torch.cos(2 * torch.pi * places * cycles / 128).expand(1, 1, 128, -1)


def test_cutting_k_space_keeps_what_is_below_the_cut_and_loses_what_is_above():
    inner = slice(40, 88)  # away from the edges, whose values are repeated beyond the picture
    slow, fast = cut(waves(10), 2.0, 0.3), cut(waves(50), 2.0, 0.3)
    torch.testing.assert_close(slow[..., inner], waves(10)[..., inner], rtol=0, atol=0.02)
    assert float(fast[..., inner].abs().max()) < 0.02


def test_a_hard_cut_rings_and_a_soft_one_less():
    step = (torch.arange(128) > 63).to(torch.float64).expand(1, 1, 128, -1)
    hard, soft = (float(cut(step, 1.5, taper).max()) - 1 for taper in (0.0, 1.0))
    assert hard == pytest.approx(0.09, abs=0.03)  # Gibbs: 9 % of the step
    assert soft < 0.5 * hard


def test_the_left_edge_does_not_ring_on_the_right():
    step = (torch.arange(128) < 20).to(torch.float64).expand(1, 1, 128, -1)
    assert float(cut(step, 1.5, 0.2)[..., -10:].abs().max()) < 0.005


def test_a_flat_picture_stays_flat():
    flat = torch.ones(2, 3, 16, 20, dtype=torch.float64)
    torch.testing.assert_close(cut(flat, 1.4, 0.3), flat)


def test_no_scanner_changes_the_mean():
    for scan in SCANNERS.values():
        assert window(SIZE, scan.matrix[0], scan.taper, 1.0)[0] == 1


def test_the_coil_leaves_the_middle_alone_and_brightens_its_own_side():
    drawn = look.draw(np.random.default_rng(0), SCANNERS["b"])
    gain = coil([drawn], (65, 65), 2.0, torch.zeros(1, dtype=torch.float64))[0, 0, 0]
    assert float(gain[32, 32]) == pytest.approx(1)
    assert float(gain[:20].mean()) > float(gain[-20:].mean())


def test_healthy_muscle_of_one_patient_is_one_tissue():
    drawn = look.draw(np.random.default_rng(3), SCANNERS["a"])
    assert drawn.heart[1] == drawn.heart[3] == drawn.heart[6]
    assert drawn.heart[0] == 1


def test_breath_holds_spread_mainly_along_the_rows():
    shifts = breathing(np.random.default_rng(0), 5000, spread=2.0)
    assert shifts.shape == (5000, 3)
    np.testing.assert_allclose(shifts.std(0), [1.0, 2.0, 1.0], rtol=0.05)
    np.testing.assert_allclose(shifts.mean(0), 0, atol=0.1)


def test_stored_levels_are_integers_within_the_bits():
    images = torch.tensor([[0.0, 1.0, 1e6]])
    for name, scan in SCANNERS.items():
        levels = stored(images, scanner(name))
        assert levels.dtype == np.uint16
        assert levels.tolist() == [[0, round(scan.scale), 4095]]


def test_scanners_differ():
    levels = [stored(render(*scene([1], scanner=name)), SCANNERS[name]).mean() for name in SCANNERS]
    assert min(abs(a - b) for i, a in enumerate(levels) for b in levels[:i]) > 10


def test_unknown_names_are_refused():
    with pytest.raises(UsageError, match="choose one of a, b, c"):
        scanner("d")
    with pytest.raises(UsageError, match="choose cine or late"):
        look.draw(np.random.default_rng(0), SCANNERS["a"], "perfusion")
