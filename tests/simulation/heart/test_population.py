from dataclasses import fields

import numpy as np
import pytest
import torch
from anatomies import patients

from ground.errors import UsageError
from simulation.heart.anatomy import groups, population, volumes
from simulation.heart.anatomy.parameters import WALL, Parameters
from simulation.heart.anatomy.shape import Anatomy, build


def column(group: str, key: str, count: int = 400, **fixed: float) -> np.ndarray:
    return np.array([patient[key] for patient in patients(group, count, **fixed)])


def walls(group: str, count: int) -> tuple[Anatomy, torch.Tensor]:
    """Hearts of a group and their thickness (P, H, N) mm at the same height, above the apical quarter."""
    anatomy = build(population.stack(patients(group, count)))
    thickness = anatomy.epi - anatomy.endo
    return anatomy, torch.where(anatomy.longitudinal()[:, :, None] > 0.25, thickness, torch.nan)


def test_the_same_generator_draws_the_same_patient():
    assert patients("infarct", 3, seed=5) == patients("infarct", 3, seed=5)
    assert patients("infarct", 1, seed=5) != patients("infarct", 1, seed=6)


def test_a_patient_has_every_measure_as_a_finite_number():
    for group in population.GROUPS:
        for patient in patients(group, 20):
            assert tuple(patient) == population.KEYS
            assert all(type(value) is float and np.isfinite(value) for value in patient.values())


@pytest.mark.parametrize("group", population.GROUPS)
def test_volumes_and_mass_per_surface_have_the_published_means(group):
    """Within four standard errors and the pull of the bounds, for each sex."""
    everyone = patients(group, 600)
    for sex in (0, 1):
        those = [patient for patient in everyone if patient["male"] == sex]
        for key in ("edv_ml", "mass_g", "rv_edv_ml"):
            spread = getattr(groups.GROUPS[group], key)[sex]
            values = np.array([patient[key] / patient["body_surface_m2"] for patient in those])
            assert values.min() >= spread.low - 1e-9
            assert values.max() <= spread.high + 1e-9
            # Where the group's definition cuts off the lower part the mean is higher, and only then.
            cut = spread.mean - spread.low < 1.5 * spread.deviation
            error = 4 * spread.deviation / len(those) ** 0.5 + 0.03 * spread.mean
            assert -error < values.mean() - spread.mean < error + cut * 0.6 * spread.deviation


def test_healthy_walls_are_as_thick_as_published_though_thickness_is_not_drawn():
    """Kawel 2012: mean of the mid cavity 5.3 ± 0.9 mm in women and 6.3 ± 1.1 mm in men.

    Mass is drawn between a study of as thin walls and one of thicker ones: less than a deviation above.
    """
    anatomy, thickness = walls("normal", 120)
    longitudinal = anatomy.longitudinal()
    middle = (longitudinal > 1 / 3) & (longitudinal < 2 / 3)
    mean = torch.where(middle[:, :, None], thickness, torch.nan).nanmean((1, 2))
    male = torch.tensor([patient["male"] for patient in patients("normal", 120)]) == 1
    assert abs(mean[~male].mean() - 5.3) < 0.8
    assert abs(mean[male].mean() - 6.3) < 0.8
    assert 0.4 < mean[~male].std() < 1.1
    assert 0.5 < mean[male].std() < 1.3


def test_hypertrophic_walls_reach_fifteen_millimetres_and_others_do_not():
    greatest = {group: walls(group, 40)[1].nan_to_num().amax((1, 2)) for group in population.GROUPS}
    assert (greatest.pop("hypertrophic") >= 14.5).all()
    for thickness in greatest.values():
        assert (thickness < 15).all()


def test_hypertrophy_is_thickest_in_the_septum_of_most():
    wall = np.array([[patient[key] for key in WALL] for patient in patients("hypertrophic", 200)])
    assert np.isin(wall.argmax(1) + 1, (1, 2, 3, 7, 8, 9, 13, 14)).mean() > 0.9
    assert np.isin(wall.argmax(1) + 1, (2, 3, 8, 9, 14)).mean() > 0.6


def test_dilated_hearts_are_larger_and_rounder():
    assert column("dilated", "edv_ml").mean() > 1.6 * column("normal", "edv_ml").mean()
    assert column("dilated", "sphericity").mean() > column("normal", "sphericity").mean() + 0.05
    assert (column("dilated", "edv_ml") / column("dilated", "body_surface_m2")).min() >= 100 - 1e-9


def test_a_remodelled_cavity_is_larger_rounder_and_its_wall_heavier():
    before, after = (population.draw("infarct", np.random.default_rng(1), dilation=d) for d in (1.0, 1.4))
    assert after["edv_ml"] == pytest.approx(1.4 * before["edv_ml"])
    assert after["mass_g"] == pytest.approx(population.hypertrophy(1.4) * before["mass_g"])
    assert 1 < population.hypertrophy(1.4) < 1.4
    assert after["sphericity"] > 1.05 * before["sphericity"]
    assert after["rv_edv_ml"] == before["rv_edv_ml"]
    assert after["body_surface_m2"] == before["body_surface_m2"]


def test_a_fixed_volume_is_not_dilated_again():
    fixed = population.draw("infarct", np.random.default_rng(1), {"edv_ml": 200.0}, dilation=1.4)
    assert fixed["edv_ml"] == 200.0


def test_an_abnormal_rv_is_larger_than_the_lv():
    assert (column("abnormal-rv", "rv_edv_ml") / column("abnormal-rv", "body_surface_m2")).min() >= 110 - 1e-9
    assert np.mean(column("abnormal-rv", "rv_edv_ml") > column("abnormal-rv", "edv_ml")) > 0.95


def test_mass_and_rv_follow_the_volume_of_the_lv():
    left, surface = column("normal", "edv_ml", male=1), column("normal", "body_surface_m2", male=1)
    for key, correlation in (("mass_g", groups.MASS_WITH_VOLUME), ("rv_edv_ml", groups.RIGHT_WITH_LEFT)):
        found = np.corrcoef(left / surface, column("normal", key, male=1) / surface)[0, 1]
        assert abs(found - correlation) < 0.12


def test_a_larger_body_has_a_larger_heart():
    small, large = (column("normal", "edv_ml", 20, body_surface_m2=area) for area in (1.5, 2.0))
    assert np.allclose(large / small, 2.0 / 1.5)


def test_what_is_fixed_stays_and_leaves_the_luck_of_the_others():
    free, fixed = patients("normal", 1)[0], patients("normal", 1, rv_wall_mm=5.0)[0]
    assert fixed.pop("rv_wall_mm") == 5.0
    free.pop("rv_wall_mm")
    assert fixed == free


def test_mass_follows_a_fixed_volume():
    assert (
        column("normal", "mass_g", 50, edv_ml=200).mean() > column("normal", "mass_g", 50, edv_ml=100).mean()
    )


@pytest.mark.parametrize(
    ("group", "fixed", "words"),
    [
        ("healthy", {}, "unknown group"),
        ("normal", {"edv": 100.0}, "unknown measure"),
        ("normal", {"edv_ml": -1.0}, "out of range"),
        ("normal", {"truncation": 0.9}, "out of range"),
        ("normal", {"edv_ml": float("nan")}, "out of range"),
        ("normal", {"male": 0.5}, "neither 0 nor 1"),
    ],
)
def test_what_cannot_be_drawn_is_refused(group, fixed, words):
    with pytest.raises(UsageError, match=words):
        population.draw(group, np.random.default_rng(0), fixed)


def test_nobody_and_half_a_patient_cannot_be_stacked():
    with pytest.raises(UsageError, match="nobody"):
        population.stack([])
    with pytest.raises(UsageError, match="edv_ml"):
        population.stack([{"mass_g": 100.0}])


def test_a_stack_holds_each_patient_in_the_precision_asked_for():
    batch = population.stack(patients("normal", 3), torch.float64)
    assert batch.wall.shape == (3, 17)
    assert len(batch) == 3
    assert all(getattr(batch, field.name).dtype == torch.float64 for field in fields(Parameters))
    assert batch.to(torch.float32).edv_ml.dtype == torch.float32


@pytest.mark.parametrize("group", population.GROUPS)
def test_every_patient_has_a_heart_with_the_right_volumes(group):
    parameters = population.stack(patients(group, 60, seed=9))
    anatomy = build(parameters)
    assert torch.allclose(volumes.cavity(anatomy), parameters.edv_ml, rtol=1e-4)
    assert torch.allclose(volumes.mass(anatomy), parameters.mass_g, rtol=1e-4)
    assert torch.allclose(volumes.rv_cavity(anatomy), parameters.rv_edv_ml, rtol=1e-4)
    assert all(torch.isfinite(getattr(anatomy, field.name)).all() for field in fields(anatomy))
