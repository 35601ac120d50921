from dataclasses import fields

import numpy as np
import pytest
import torch

from ground.errors import UsageError
from simulation.heart.mechanics import function
from simulation.heart.mechanics.beat import beat

# End-diastolic volume and wall, mL, typical of a group.
SIZES = {"normal": (140.0, 110.0), "dilated": (240.0, 150.0), "hypertrophic": (120.0, 190.0)}
ACTIVATION = torch.tensor([30, 15, 10, 25, 40, 35, 22, 10, 8, 18, 30, 25, 15, 8, 12, 20, 12.0])


def draw(group, seed, **other):
    return function.draw(group, np.random.Generator(np.random.PCG64(seed)), **other)


@pytest.fixture(scope="module")
def groups():
    """Twenty hearts of each group in one batch, the same patients in every run."""
    rows = [(group, seed) for group in SIZES for seed in range(20)]
    volume = torch.tensor([SIZES[group][0] for group, _ in rows])
    walls = torch.tensor([[SIZES[group][1] / 17] * 17 for group, _ in rows])
    drawn = function.stack([draw(group, seed, edv_ml=SIZES[group][0]) for group, seed in rows])
    kept = beat(drawn, volume, walls, torch.ones_like(walls), ACTIVATION.repeat(len(rows), 1), steps=200)
    values = {
        "volume": kept.end_diastolic_volume / volume,
        "ejection fraction": kept.ejection_fraction,
        "systolic pressure (mmHg)": kept.systolic_pressure / function.MMHG,
        "diastolic pressure (mmHg)": kept.diastolic_pressure / function.MMHG,
        "cardiac output (L/min)": kept.cardiac_output,
    }
    return {
        group: {name: value[20 * i : 20 * (i + 1)] for name, value in values.items()}
        for i, group in enumerate(SIZES)
    }


@pytest.mark.parametrize("group", function.GROUPS)
def test_a_seed_draws_the_same_patient_and_another_seed_another(group):
    assert draw(group, 3) == draw(group, 3)
    assert draw(group, 3) != draw(group, 4)
    assert (
        draw(group, 3).keys() == {field.name for field in fields(function.Function)} == function.UNITS.keys()
    )


def test_what_is_fixed_is_kept_and_changes_no_other_muscle_parameter():
    free, fixed = draw("normal", 5), draw("normal", 5, fixed={"contractility": 1.7})
    assert fixed["contractility"] == 1.7
    assert {k: v for k, v in free.items() if k != "contractility"} == {
        k: v for k, v in fixed.items() if k != "contractility"
    }


def test_a_larger_ventricle_has_less_resistance_and_the_same_pressure():
    small, large = draw("normal", 1, edv_ml=100.0), draw("normal", 1, edv_ml=200.0)
    assert small["resistance"] == pytest.approx(2 * large["resistance"])
    assert small["compliance"] == pytest.approx(large["compliance"] / 2)


def test_a_large_stroke_for_a_body_slows_the_heart_and_a_large_body_with_a_large_heart_does_not():
    usual = draw("normal", 1, edv_ml=140.0, surface_m2=1.8)["heart_rate"]
    assert draw("normal", 1, edv_ml=170.0, surface_m2=1.8)["heart_rate"] < 0.9 * usual
    grown = draw("normal", 1, edv_ml=170.0, surface_m2=1.8 * 170 / 140)["heart_rate"]
    assert grown == pytest.approx(usual)
    fixed = draw("normal", 1, fixed={"heart_rate": 60.0}, edv_ml=170.0, surface_m2=1.8)
    assert fixed["heart_rate"] == 60.0


def test_vessels_tighten_where_less_is_ejected():
    whole, half = (draw("infarct", 1, edv_ml=140.0, stroke_left=left) for left in (1.0, 0.6))
    assert half["resistance"] == pytest.approx(whole["resistance"] / 0.6)
    assert half["contractility"] == whole["contractility"]


def test_the_muscle_that_an_infarct_spares_is_that_of_a_normal_heart():
    for name in ("contractility", "stiffness", "relaxation"):
        assert function.GROUPS["infarct"][name] == function.GROUPS["normal"][name]


def test_muscle_is_stronger_where_it_bears_more():
    cavity, wall = torch.tensor([[10.0] * 16 + [2.0]]), torch.tensor([[5.0] * 8 + [9.0] * 9])
    strength = function.adapted(cavity, wall)
    assert float((strength * wall).sum() / wall.sum()) == pytest.approx(1)
    assert bool((strength[0, :8] > strength[0, 8:].max()).all())
    assert bool((strength[0, 16] < strength[0, :16]).all())
    even = function.adapted(torch.ones(1, 17), torch.full((1, 17), 3.0))
    assert torch.allclose(even, torch.ones(1, 17))


@pytest.mark.parametrize(
    ("group", "fixed", "message"),
    [("athlete", {}, "no group 'athlete'"), ("normal", {"colour": 1.0}, "no parameter 'colour'")],
)
def test_what_does_not_exist_is_refused_by_name(group, fixed, message):
    with pytest.raises(UsageError, match=message):
        draw(group, 1, fixed=fixed)


def test_an_impossible_value_is_refused():
    for value in (0.0, -1.0, float("nan")):
        with pytest.raises(UsageError, match="heart_rate"):
            draw("normal", 1, fixed={"heart_rate": value})


def test_most_normal_hearts_lie_in_published_ranges(groups):
    for name, value in groups["normal"].items():
        if name in (ranges := function.PUBLISHED["normal"]):
            inside = (value >= ranges[name].low) & (value <= ranges[name].high)
            assert int(inside.sum()) >= 16, name


def test_a_dilated_heart_ejects_little_and_a_hypertrophic_one_much(groups):
    assert int((groups["dilated"]["ejection fraction"] < 0.45).sum()) >= 19
    assert int((groups["hypertrophic"]["ejection fraction"] >= 0.60).sum()) >= 16


def test_every_heart_fills_to_its_volume(groups):
    for values in groups.values():
        assert float((values["volume"] - 1).abs().max()) < 0.02
