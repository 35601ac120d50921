"""Counts of strata, the plan that fills the rare ones, and recipes that no two hospitals share."""

from __future__ import annotations

from dataclasses import replace

import gapped
import numpy as np
import paper
import pytest
import torch
from gapped import TASK
from hypothesis import given, settings
from hypothesis import strategies as st

from ground.errors import FederationError, PrivacyError, StudyError, TaskError, UsageError
from privacy.accountant import Accountant
from privacy.plan import PrivacyPlan
from tasks.gap import check, count_for, counts_of, plan_of, planned, recipes_for, strata_of_patients
from tasks.heart_disease.task import COMPLETE
from tasks.learners.contract import State, add_up
from tasks.learners.digital_start import recipes_of
from tasks.patients import PooledPatients, TablePatients
from tasks.study import parse

FREE = gapped.study()
COUNTS = st.lists(st.floats(-50.0, 200.0), min_size=1, max_size=6)
LEFT = np.zeros(0)


def patients(*points: tuple[float, float]) -> TablePatients:
    return TablePatients(torch.tensor(points).reshape(-1, 2), torch.zeros(len(points)))


SOME = patients((-1.4, 0.1), (1.4, 0.1), (1.6, 0.0), (0.0, 2.1), (99.0, 99.0))


@given(COUNTS, st.integers(0, 300), st.integers(1, 8))
@settings(deadline=None)
def test_all_are_made_but_for_a_rest_that_cannot_be_shared(
    counts: list[float], total: int, hospitals: int
) -> None:
    share = plan_of(np.asarray(counts), total, hospitals)
    assert share.sum() == total // hospitals
    assert ((share >= 0) & (share == np.floor(share))).all()


@given(COUNTS, st.integers(0, 300), st.integers(1, 8))
@settings(deadline=None)
def test_water_is_level_nobody_is_raised_while_another_lies_lower(
    counts: list[float], total: int, hospitals: int
) -> None:
    share = plan_of(np.asarray(counts), total, hospitals)
    level = np.maximum(np.rint(counts), 0.0) + hospitals * share
    filled = share > 0
    assert (level[filled] - hospitals <= level.min()).all()


@given(COUNTS, st.integers(0, 200), st.integers(1, 8))
@settings(deadline=None)
def test_the_rarer_get_no_fewer_and_more_water_takes_nothing_away(
    counts: list[float], total: int, hospitals: int
) -> None:
    share = plan_of(np.asarray(counts), total, hospitals)
    real = np.maximum(np.rint(counts), 0.0)
    for one in range(len(counts)):
        assert (share[one] >= share[real > real[one]]).all()
    assert (plan_of(np.asarray(counts), total + hospitals, hospitals) - share).sum() == 1
    assert (plan_of(np.asarray(counts), total + hospitals, hospitals) >= share).all()


def test_a_plan_by_hand() -> None:
    np.testing.assert_array_equal(plan_of(np.array([20.0, 12.0, -3.0]), 26, 1), [0, 7, 19])
    np.testing.assert_array_equal(plan_of(np.array([20.0, 12.0, -3.0]), 24, 4), [0, 2, 4])
    np.testing.assert_array_equal(plan_of(np.array([5.0, 5.0]), 7, 1), [4, 3])


def test_only_strata_that_the_study_names_are_filled() -> None:
    np.testing.assert_array_equal(plan_of(np.array([1.0, 0.0, 9.0]), 12, 2, [0, 2]), [5, 0, 1])
    study = gapped.study(strata=("east",))
    state = planned(TASK, study, State(LEFT, {"strata": np.array([9.0, 9.0, 0.0, 3.0])}), 4)
    np.testing.assert_array_equal(state.slots["digital"], [0, 10, 0])


def test_fewer_digital_patients_than_hospitals_are_refused() -> None:
    state = State(LEFT, {"strata": np.zeros(4)})
    with pytest.raises(UsageError, match=r"patients = 3 are fewer than the 4 hospitals .*: raise it"):
        planned(TASK, gapped.study(patients=3), state, 4)


def test_strata_are_counted_and_so_is_whoever_is_in_none() -> None:
    contribution, kept = count_for(TASK, FREE).contribute(paper.visit(SOME, {}))
    np.testing.assert_array_equal(contribution.vector, [1, 2, 1, 1])
    assert counts_of(TASK, FREE) == 4
    assert kept["patients"] == [5.0]
    state = count_for(TASK, FREE).combine(State(LEFT), add_up([contribution.vector] * 3))
    np.testing.assert_array_equal(state.slots["strata"], [3, 6, 3, 3])
    assert state.slots["patients"] == [15.0]


@pytest.mark.parametrize("who", range(5))
def test_one_patient_more_moves_the_histogram_by_one_as_it_moves_the_plain_count(who: int) -> None:
    others = np.delete(np.arange(5), who)
    for study in (FREE, FREE.without_digital_patients()):
        count = count_for(TASK, study)
        whole, _ = count.contribute(paper.visit(SOME, {}))
        less, _ = count.contribute(paper.visit(SOME.subset(others), {}))
        assert np.linalg.norm(whole.vector - less.vector) == 1.0 == count.bound


@pytest.mark.parametrize(("noise", "shares"), [("local", 1), ("distributed", 4)])
def test_every_count_carries_its_noise(noise: paper.Noise, shares: int) -> None:
    many = [f"stratum-{number}" for number in range(1999)]
    wide = replace(TASK, strata=tuple(many), stratify=lambda group: np.full(len(group), 7))
    plan = paper.plan(noise, count_noise_multiplier=3.0)
    contribution, kept = count_for(wide, FREE).contribute(paper.visit(SOME, {}, hospitals=4, plan=plan))
    assert contribution.noise == pytest.approx(3.0 / np.sqrt(shares))
    assert np.delete(contribution.vector, 7).std() == pytest.approx(contribution.noise, rel=0.08)
    assert kept["patients"][0] == pytest.approx(contribution.vector.sum())


def test_pooled_patients_are_counted_group_by_group() -> None:
    pooled = PooledPatients([SOME, PooledPatients([SOME.subset(np.array([3])), SOME])])
    np.testing.assert_array_equal(strata_of_patients(TASK, pooled), [0, 1, 1, 2, -1, 2, 0, 1, 1, 2, -1])


@pytest.mark.parametrize("wrong", [[0, 1], [0, 1, 2, 3, 0], [0, -2, 0, 0, 0], [0.0] * 5])
def test_a_stratify_that_gives_no_place_for_each_patient_is_refused(wrong: list[float]) -> None:
    task = replace(TASK, stratify=lambda _: np.asarray(wrong))
    with pytest.raises(TaskError, match="stratify gives a patient no place among its 3 strata"):
        strata_of_patients(task, SOME)


def test_recipes_follow_the_share_and_are_the_same_whenever_they_are_asked_for() -> None:
    made = recipes_for(TASK, FREE, "brest", np.array([0.0, 2.0, 5.0]))
    assert [recipe.stratum for recipe in made] == ["east"] * 2 + ["north"] * 5
    assert made == recipes_for(TASK, FREE, "brest", np.array([0.0, 2.0, 5.0]))
    assert len(set(made_digests := [recipe.digest() for recipe in made])) == len(made_digests)


def test_no_two_hospitals_nor_two_studies_nor_the_start_share_a_recipe() -> None:
    share = np.array([8.0, 8.0, 8.0])
    sets = [
        {recipe.digest() for recipe in recipes}
        for recipes in (
            recipes_for(TASK, FREE, "brest", share),
            recipes_for(TASK, FREE, "dinan", share),
            recipes_for(TASK, FREE.with_seed(2), "brest", share),
            recipes_of(TASK, FREE.synthetic, FREE.seed),
        )
    ]
    assert len(set.union(*sets)) == sum(map(len, sets))


@pytest.mark.parametrize("share", [[1, 1], [1, -1, 0], [0.5, 0, 0], [0, 0, 41], [0, 0, np.nan]])
def test_a_plan_that_is_none_of_this_study_is_refused(share: list[float]) -> None:
    with pytest.raises(FederationError, match="the plan of digital patients is none of this study"):
        recipes_for(TASK, FREE, "brest", np.asarray(share, dtype=float))


@pytest.mark.parametrize(
    ("task", "words"),
    [
        (COMPLETE, "task heart-disease cannot tell its patients' strata: set fill = false"),
        (replace(TASK, learner=lambda *_: None), "learns in a way of its own"),
        (replace(TASK, strata=()), "has no simulator of digital patients"),
    ],
)
def test_a_task_that_cannot_fill_a_gap_is_refused_in_one_line(task, words: str) -> None:
    with pytest.raises(StudyError, match=words) as caught:
        check(task, FREE)
    assert "\n" not in str(caught.value)


def test_a_study_that_does_not_fill_asks_nothing_of_its_task() -> None:
    check(COMPLETE, FREE.without_digital_patients())
    check(COMPLETE, parse('name = "a"\ntask = "b"\nrounds = 1\n[synthetic]\nfill = false\n'))
    with pytest.raises(StudyError, match="knows no south; it has west, east, north"):
        check(TASK, gapped.study(strata=("south",)))


PRIVATE = 'name = "a"\ntask = "b"\nrounds = 1\n[privacy]\nepsilon = 1.0\n[synthetic]\nepsilon = '


def test_counts_that_would_take_the_whole_budget_are_refused() -> None:
    with pytest.raises(StudyError, match=r"\[synthetic\] epsilon = 1 is for the counts alone .*: lower it"):
        parse(PRIVATE + "1.0")
    assert not parse(PRIVATE + "1.0\nfill = false").fills
    with pytest.raises(StudyError, match="lower it, or set fill = false"):
        parse(PRIVATE + "0.5").with_epsilon(0.5)
    with pytest.raises(PrivacyError, match="counting at epsilon 2 leaves nothing of epsilon 2"):
        PrivacyPlan.design(
            epsilon=2.0, delta=1e-5, clip=1.0, sampling_rate=1.0, steps=1, noise="local", count_epsilon=2.0
        )


def test_the_counts_cost_their_own_epsilon_and_the_study_no_more_than_all_of_it() -> None:
    plan = gapped.study("distributed").plan()
    assert plan is not None
    count, _ = plan.cost().events
    assert 1.9 < Accountant((count,)).epsilon(1e-3) <= 2.0
    assert 7.8 < plan.cost().epsilon(1e-3) <= 8.0


def test_how_many_digital_patients_there_are_changes_no_noise() -> None:
    plans = {gapped.study("distributed", patients=count).plan() for count in (4, 40, 4000)}
    assert len(plans) == 1
