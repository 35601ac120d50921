from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import paper
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from ground.arrays import Array
from ground.errors import PrivacyError
from privacy.gradients import clip_rows
from privacy.plan import PrivacyPlan
from tasks.learners import learner_for
from tasks.learners.contract import State
from tasks.learners.gradient_sum import GradientSum
from tasks.learners.strategies import STRATEGIES
from tasks.patients import TablePatients
from tasks.study import Privacy, Study, Training

STUDY = Study(
    name="paper",
    task="toy",
    rounds=2,
    training=Training(learning_rate=0.7),
    privacy=Privacy(epsilon=20.0, delta=1e-3, sampling_rate=0.5),
)
LEARNER = GradientSum(paper.TOY, STUDY, STRATEGIES["fedavg"])
EVERYBODY = paper.patients(seed=1, count=40, shift=0.5)
MODEL = np.array([0.4, -1.1, 0.3, 0.2], dtype=np.float32)
CLIPS = st.sampled_from([0.05, 0.5, 1e6])


@pytest.fixture(autouse=True, scope="module")
def no_noise_is_searched_for() -> Iterator[None]:
    """Combining reads the sampling rate of the study's plan, and nothing that takes seconds to find."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            PrivacyPlan, "design", lambda sampling_rate, **_: paper.plan(sampling_rate=sampling_rate)
        )
        yield


def split(cuts: Sequence[int]) -> list[TablePatients]:
    parts = np.split(np.arange(len(EVERYBODY)), sorted(cuts))
    return [EVERYBODY.subset(part) for part in parts]


def clipped(model: Array, group: TablePatients, clip: float) -> Array:
    rows = paper.gradients(model, group)
    norms = np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
    return (rows * np.minimum(1.0, clip / norms)).sum(axis=0)


@given(st.sets(st.integers(1, 39), max_size=4), CLIPS)
@settings(deadline=None, max_examples=40)
def test_without_noise_all_hospitals_together_take_one_pooled_clipped_step(
    cuts: set[int], clip: float
) -> None:
    noiseless = replace(paper.plan(clip=clip), noise_multiplier=0.0, count_noise_multiplier=0.0)
    federation = paper.Federation(LEARNER, split(tuple(cuts)), noiseless)
    federation.state = State(MODEL)
    after = federation.enrol().go(1).state
    # The combining side reads the study's own sampling rate, 0.5: a sum over everybody counts twice.
    step = 0.7 * clipped(MODEL, EVERYBODY, clip) / (0.5 * 40)
    np.testing.assert_allclose(after.model, MODEL - step, atol=1e-5)
    assert after.slots["patients"] == [40.0]


@pytest.mark.parametrize("rate", [0.2, 0.7, 1.0])
def test_only_patients_whom_poisson_sampling_takes_are_in_the_sum(rate: float) -> None:
    quiet = replace(paper.plan(sampling_rate=rate), noise_multiplier=0.0)
    contribution, _ = LEARNER.contribute(paper.visit(EVERYBODY, {"model": MODEL}, plan=quiet))
    taken = paper.stream("train", 0).chosen(40, rate)
    assert len(taken) < 40 or rate == 1.0
    np.testing.assert_allclose(
        contribution.vector, clipped(MODEL, EVERYBODY.subset(taken), 1.0), rtol=1e-5, atol=1e-5
    )


@pytest.mark.parametrize("hospitals", [1, 4])
def test_a_share_of_the_noise_is_in_every_vector_and_is_what_the_contribution_says(hospitals: int) -> None:
    wide = replace(paper.TOY, model=lambda: nn.Linear(4000, 1))
    learner = GradientSum(wide, STUDY, STRATEGIES["fedavg"])
    nobody = TablePatients(paper.torch.zeros(0, 4000), paper.torch.zeros(0))
    plan = paper.plan(clip=0.5, noise_multiplier=3.0)
    visit = paper.visit(nobody, {"model": np.zeros(4001, np.float32)}, hospitals=hospitals, plan=plan)
    contribution, _ = learner.contribute(visit)
    share = 3.0 * 0.5 / np.sqrt(hospitals)
    assert contribution.noise == pytest.approx(share)
    assert contribution.vector.std() == pytest.approx(share, rel=0.06)  # five standard errors
    assert abs(contribution.vector.mean()) < 5 * share / np.sqrt(4001)


def test_a_contribution_says_its_bound_and_one_release() -> None:
    contribution, kept = LEARNER.contribute(
        paper.visit(EVERYBODY, {"model": MODEL}, plan=paper.plan(clip=0.3))
    )
    assert (contribution.bound, contribution.releases) == (0.3, 1)
    assert kept == {}


def test_one_patient_more_moves_the_sum_by_at_most_the_bound() -> None:
    quiet = replace(paper.plan(clip=0.3), noise_multiplier=0.0)
    with_her, without = (
        LEARNER.contribute(paper.visit(group, {"model": MODEL}, plan=quiet))[0].vector
        for group in (EVERYBODY, EVERYBODY.subset(np.arange(39)))
    )
    assert 0 < np.linalg.norm(with_her - without) <= 0.3 * (1 + 1e-5)


def test_the_same_visit_gives_the_same_vector_and_another_stream_another() -> None:
    first, again, other = (
        LEARNER.contribute(paper.visit(EVERYBODY, {"model": MODEL}, plan=paper.plan(), who=who))[0].vector
        for who in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, again)
    assert (first != other).all()


@pytest.mark.parametrize("noise", ["distributed", "local"])
def test_many_views_of_patients_who_always_look_the_same_are_one_view_of_each(noise: str) -> None:
    quiet = replace(paper.plan(clip=0.3, noise=noise), noise_multiplier=0.0)
    memory = {"patients": np.array([40.0])}
    found = []
    for views in (1, 3):
        privacy = STUDY.privacy.model_copy(update={"views": views, "noise": noise})
        learner = learner_for(paper.TOY, STUDY.model_copy(update={"privacy": privacy}))
        visit = paper.visit(EVERYBODY, {"model": MODEL}, plan=quiet, memory=memory)
        found.append(learner.contribute(visit)[0].vector)
    np.testing.assert_allclose(found[0], found[1], rtol=1e-5)


def test_a_count_below_one_does_not_turn_the_step_around() -> None:
    quiet = replace(paper.plan(), noise_multiplier=0.0)
    state = State(MODEL, {"patients": np.array([-3.0])})
    federation = paper.Federation(LEARNER, [EVERYBODY], quiet)
    federation.state = state
    step = federation.go(1).state.model - MODEL
    np.testing.assert_allclose(step, -0.7 * clipped(MODEL, EVERYBODY, 1.0) / 0.5, rtol=1e-4)


@pytest.mark.parametrize("size", [3, 5, 1])
def test_a_sum_that_does_not_fit_the_model_is_refused(size: int) -> None:
    with pytest.raises(ValueError, match="for 4 parameters"):
        LEARNER.combine(State(MODEL, {"patients": np.array([40.0])}), paper.add_up([np.ones(size)]))


def test_without_a_plan_there_is_no_clipped_sum() -> None:
    with pytest.raises(PrivacyError, match="needs a privacy plan"):
        LEARNER.contribute(paper.visit(EVERYBODY, {"model": MODEL}))
    with pytest.raises(PrivacyError, match="needs a privacy plan"):
        replace(LEARNER, study=paper.study()).combine(State(MODEL), paper.add_up([MODEL]))


def test_a_private_study_with_distributed_noise_learns_by_gradient_sums_and_no_other_does() -> None:
    local = STUDY.model_copy(update={"privacy": Privacy(epsilon=1.0, noise="local")})
    kinds = {each: type(learner_for(paper.TOY, each)).__name__ for each in (STUDY, local, paper.study())}
    assert list(kinds.values()) == ["GradientSum", "LocalTraining", "LocalTraining"]


def test_a_task_may_bring_its_own_learner() -> None:
    own = replace(paper.TOY, learner=lambda task, study: (task.name, study.name))
    assert learner_for(own, STUDY) == ("toy", "paper")


def test_clipping_by_hand_agrees_with_the_one_that_is_used() -> None:
    rows = paper.torch.from_numpy(paper.gradients(MODEL, EVERYBODY))
    np.testing.assert_allclose(clip_rows(rows, 0.3).sum(dim=0), clipped(MODEL, EVERYBODY, 0.3), atol=1e-12)
