from __future__ import annotations

import math
import re
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from ground.errors import UsageError
from simulation.recipe import Recipe
from simulation.tables.heart_disease import (
    CODES,
    COLUMNS,
    MEASURES,
    SIMULATOR,
    STRATA,
    VERSION,
    recipes,
    simulate,
)

# heart-disease.names, section 10: patients of grade 0 to 4.
GRADES = {
    "cleveland": (164, 55, 36, 35, 13),
    "hungary": (188, 37, 26, 28, 15),
    "switzerland": (8, 48, 32, 30, 5),
    "long-beach": (51, 56, 41, 42, 10),
}
MEN = {"cleveland": 206 / 303, "hungary": 212 / 293, "switzerland": 113 / 123, "long-beach": 194 / 200}
AGE = {"cleveland": 54.4, "hungary": 47.8, "switzerland": 55.3, "long-beach": 59.4}
KNOWN = [50.0, 1.0, 3.0, 110.0, 275.0, 0.0, 0.0, 164.0, 0.0, 0.4, 3.0, 0.0, 3.0, 0.0]
COUNT = 2000
# A true share or mean leaves this many standard errors less than once in ten thousand draws.
ERRORS = 4.0


@cache
def column(stratum: str, name: str) -> np.ndarray:
    values = [patient[name] for patient in cohort(stratum)]
    return np.array([math.nan if value is None else value for value in values])


@cache
def cohort(stratum: str) -> list[dict[str, float | None]]:
    return [simulate(recipe) for recipe in recipes(stratum, COUNT, seed=11)]


def recipe(stratum: str = "cleveland", seed: int = 1, **parameters: float) -> Recipe:
    return Recipe(SIMULATOR, VERSION, stratum, seed, parameters)


def near(shares: np.ndarray, share: float) -> bool:
    return abs(shares.mean() - share) < ERRORS * math.sqrt(share * (1 - share) / shares.size)


def test_the_strata_are_the_four_hospitals():
    assert set(STRATA) == set(GRADES)


def test_a_patient_has_the_columns_of_the_files_in_their_order():
    assert tuple(simulate(recipe())) == COLUMNS
    files = "age sex cp trestbps chol fbs restecg thalach exang oldpeak slope ca thal num"
    assert " ".join(COLUMNS) == files


@pytest.mark.parametrize("stratum", STRATA)
def test_the_same_recipe_gives_the_same_patient_bit_for_bit(stratum):
    for one in recipes(stratum, 50, seed=3):
        first, second = simulate(one), simulate(replace(one))
        assert repr(first) == repr(second)


def test_a_known_recipe_gives_a_known_patient():
    # Another patient here means another VERSION.
    assert list(simulate(recipe()).values()) == KNOWN


@given(seed=st.integers(0, 2**53 - 1), stratum=st.sampled_from(STRATA))
@settings(max_examples=300, deadline=None)
def test_every_value_is_admissible(seed, stratum):
    for name, value in simulate(recipe(stratum, seed)).items():
        if value is None:
            continue
        if name in CODES:
            assert value in CODES[name]
        else:
            lowest, highest, decimals = MEASURES[name]
            assert lowest <= value <= highest
            assert round(value, decimals) == value


def test_different_seeds_give_different_patients():
    patients = {repr(simulate(recipe(seed=seed))) for seed in range(200)}
    assert len(patients) == 200


def test_different_strata_give_different_patients_from_one_seed():
    assert len({repr(simulate(recipe(stratum))) for stratum in STRATA}) == len(STRATA)


def test_recipes_are_distinct_reproducible_and_do_not_depend_on_their_number():
    many = recipes("hungary", 1000, seed=5)
    assert len({one.seed for one in many}) == 1000
    assert many[:10] == recipes("hungary", 10, seed=5)
    assert not {one.seed for one in many} & {one.seed for one in recipes("hungary", 1000, seed=6)}
    assert recipes("hungary", 0, seed=5) == []


@pytest.mark.parametrize("stratum", STRATA)
def test_published_grades_of_disease_are_recovered(stratum):
    total = sum(GRADES[stratum])
    for grade, patients in enumerate(GRADES[stratum]):
        assert near(column(stratum, "num") == grade, patients / total)


@pytest.mark.parametrize("stratum", STRATA)
def test_published_age_and_sex_are_recovered(stratum):
    age = column(stratum, "age")
    assert abs(age.mean() - AGE[stratum]) < ERRORS * age.std() / math.sqrt(COUNT)
    assert near(column(stratum, "sex") == 1, MEN[stratum])


def test_published_cleveland_counts_are_recovered():
    # Table 1 of the source named C in `marginals`; most are drawn by disease, so one point of slack.
    published = {
        ("fbs", 1): 45,
        ("restecg", 2): 148,
        ("exang", 1): 99,
        ("slope", 1): 142,
        ("ca", 0): 176,
        ("thal", 7): 117,
        ("cp", 4): 144,
    }
    for (name, code), patients in published.items():
        values = column("cleveland", name)
        share = (values[~np.isnan(values)] == code).mean()
        assert abs(share - patients / 303) < 0.01 + ERRORS * 0.5 / math.sqrt(COUNT), name


@pytest.mark.parametrize(
    ("stratum", "name", "mean", "slack"),
    [
        ("cleveland", "trestbps", 131.6, 0.5),
        ("cleveland", "chol", 246.6, 0.5),
        ("cleveland", "thalach", 149.6, 0.5),
        ("cleveland", "oldpeak", 1.03, 0.08),
        ("hungary", "trestbps", 132.6, 0.5),
        ("hungary", "chol", 250.8, 0.5),
        ("hungary", "thalach", 139.1, 0.7),
        ("hungary", "oldpeak", 0.586, 0.03),
    ],
)
def test_published_means_are_recovered(stratum, name, mean, slack):
    values = column(stratum, name)
    values = values[~np.isnan(values)]
    assert abs(values.mean() - mean) < slack + ERRORS * values.std() / math.sqrt(values.size)


def test_exercise_test_has_the_published_sensitivity_and_specificity():
    # Gianrossi 1989: ST depression of 1 mm or more.
    positive, sick = column("cleveland", "oldpeak") >= 1, column("cleveland", "num") > 0
    assert near(positive[sick], 0.68)
    assert near(~positive[~sick], 0.77)


def test_maximum_heart_rate_falls_with_age_and_with_disease():
    age, rate, sick = (column("cleveland", name) for name in ("age", "thalach", "num"))
    sick = sick > 0
    assert rate[sick].mean() < rate[~sick].mean() - 10
    assert np.corrcoef(age[~sick], rate[~sick])[0, 1] < -0.1


def test_slope_vessels_and_thallium_are_mostly_missing_outside_cleveland_only():
    missing = {
        stratum: [np.isnan(column(stratum, name)).mean() for name in ("slope", "ca", "thal")]
        for stratum in STRATA
    }
    assert max(missing.pop("cleveland")) < 0.03
    for shares in missing.values():
        assert np.allclose(shares, [0.5, 0.98, 0.78], atol=0.05)


def test_disease_is_learnable_but_not_trivial():
    names = ("age", "sex", "cp", "trestbps", "fbs", "thalach", "exang", "oldpeak")
    table = np.concatenate([np.stack([column(s, name) for name in (*names, "num")], axis=1) for s in STRATA])
    table = table[~np.isnan(table).any(axis=1)]
    table = np.random.default_rng(0).permutation(table)
    features, sick = table[:, :-1], table[:, -1] > 0
    half = len(table) // 2
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(features[:half], sick[:half])
    accuracy = model.score(features[half:], sick[half:])
    area = roc_auc_score(sick[half:], model.predict_proba(features[half:])[:, 1])
    assert 0.78 < accuracy < 0.86
    assert 0.85 < area < 0.92


def test_a_fixed_column_keeps_its_value_and_is_never_missing():
    for seed in range(50):
        patient = simulate(recipe("hungary", seed, age=61, ca=2, oldpeak=1.2))
        assert (patient["age"], patient["ca"], patient["oldpeak"]) == (61.0, 2.0, 1.2)


def test_a_fixed_grade_acts_on_the_other_columns():
    healthy, sick = (
        np.mean([simulate(recipe("cleveland", seed, num=grade))["exang"] for seed in range(400)])
        for grade in (0, 3)
    )
    assert sick > healthy + 0.25


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        (recipe("basel"), "basel"),
        (recipe(weight=80), "weight"),
        (recipe(age=19), "age"),
        (recipe(age=61.5), "age"),
        (recipe(oldpeak=math.nan), "oldpeak"),
        (recipe(thal=4), "thal"),
        (replace(recipe(), simulator="heart"), "heart"),
        (replace(recipe(), version=VERSION + 1), f"version {VERSION + 1}"),
    ],
)
def test_a_recipe_that_cannot_be_followed_is_a_one_line_error(wrong, named):
    with pytest.raises(UsageError, match=re.escape(named)) as caught:
        simulate(wrong)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("arguments", [("basel", 1, 1), ("hungary", -1, 1), ("hungary", 1, -1)])
def test_recipes_that_cannot_be_written_are_a_one_line_error(arguments):
    with pytest.raises(UsageError) as caught:
        recipes(*arguments)
    assert "\n" not in str(caught.value)
