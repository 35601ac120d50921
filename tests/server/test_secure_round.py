"""The course of a masked study by real hospitals, and that its model is the one of the sum in the clear."""

from __future__ import annotations

from dataclasses import replace

import masked
import numpy as np
import pytest
from masked import NAMES, TASK, Course, Settings

from client import gate
from client.hospital import cohort
from ground.arrays import Array
from ground.errors import FederationError, UsageError
from privacy.randomness import Stream, seeded_key
from privacy.secagg import Encoding
from server.progress import begin
from server.round import instruction, step
from tasks.learners import learner_for
from tasks.learners.contract import Contribution, Learner, State, Visit, add_up
from tasks.learners.model import evaluate
from tasks.learners.statistics import count_of_patients
from tasks.study import Study

FEWEST = 3  # of four hospitals: what the threshold against one colluder asks for
SCHEMES = {
    "distributed fedavg": masked.study(),
    "distributed fedadam": masked.study(strategy="fedadam"),
    "distributed ditto": masked.study(strategy="ditto"),
    "local fedavg": masked.study("local"),
    "local fedadam": masked.study("local", "fedadam"),
    "local scaffold": masked.study("local", "scaffold"),
    "local ditto": masked.study("local", "ditto"),
}
EACH = pytest.mark.parametrize("terms", SCHEMES.values(), ids=SCHEMES)
DISTRIBUTED = pytest.mark.parametrize(
    "terms", [terms for name, terms in SCHEMES.items() if "distributed" in name]
)
Hospitals = tuple[Settings, ...]


@pytest.fixture(scope="module")
def hospitals(tmp_path_factory: pytest.TempPathFactory) -> Hospitals:
    return masked.hospitals(tmp_path_factory.mktemp("masked") / "hospitals")


class InTheClear:
    """The same patients, noise and learner, summed by whoever may see every vector.

    With a `step` every hospital gives whole steps of it, as to a secure sum.
    """

    def __init__(self, terms: Study, hospitals: Hospitals) -> None:
        self.study, self.hospitals = terms, hospitals
        self.memories: dict[str, dict[str, Array]] = {each.name: {} for each in hospitals}
        self.learner = learner_for(TASK, terms)

    def sum(self, learner: Learner, state: State, phase: str, number: int, step: float) -> Array:
        vectors = []
        for each in self.hospitals:
            key = seeded_key(self.study.seed, self.study.digest, each.name)
            visit = Visit(
                learner.publish(state),
                cohort(TASK.name, each.sources).training,
                self.memories[each.name],
                Stream(key, phase, number),
                FEWEST,
                masked.plan(self.study),
                step,
            )
            contribution, kept = learner.contribute(visit)
            self.memories[each.name] |= kept
            vectors.append(contribution.vector.astype(np.float64))
        return add_up(vectors).vector

    def run(self, whole_steps: bool) -> State:
        plan, count, state = masked.plan(self.study), count_of_patients(), self.learner.begin()
        encodings = [
            Encoding.for_plan(plan, len(NAMES), FEWEST, counting=counting) for counting in (True, False)
        ]
        counting, training = (each.step if whole_steps else 0.0 for each in encodings)
        state = count.combine(state, add_up([self.sum(count, state, "count", 0, counting)]))
        for number in range(1, self.study.rounds + 1):
            total = self.sum(self.learner, state, "train", number, training)
            state = self.learner.combine(state, replace(add_up([total]), hospitals=len(NAMES)))
        return state


@EACH
def test_a_masked_study_goes_from_sum_to_sum_and_is_done(terms: Study, hospitals: Hospitals) -> None:
    course = Course(terms, hospitals).run()
    assert course.asked == masked.places(terms.rounds)
    assert instruction(course.progress, TASK, 4) is None
    assert course.progress.names == NAMES
    assert [(each.after, each.contributors) for each in course.progress.history] == [
        (0, NAMES),
        (1, NAMES),
        (2, ()),
    ]
    assert course.failures == []


@EACH
def test_the_model_is_that_of_the_same_noise_added_in_the_clear(terms: Study, hospitals: Hospitals) -> None:
    """Another noise moves a parameter by 0.005 on average here, the lattice's rounding by less than 1e-6."""
    state = Course(terms, hospitals).run().progress.state
    expected = InTheClear(terms, hospitals).run(whole_steps=False)
    assert np.abs(state.model).max() > 0.05
    np.testing.assert_allclose(state.model, expected.model, atol=1e-6)
    assert state.slots.keys() == expected.slots.keys()
    np.testing.assert_allclose(state.slots["patients"], expected.slots["patients"], atol=1e-3)


@DISTRIBUTED
def test_whole_steps_are_summed_without_any_error(terms: Study, hospitals: Hospitals) -> None:
    state = Course(terms, hospitals).run().progress.state
    expected = InTheClear(terms, hospitals).run(whole_steps=True)
    np.testing.assert_array_equal(state.model, expected.model)
    np.testing.assert_array_equal(state.slots["patients"], expected.slots["patients"])


def test_another_noise_gives_another_model(hospitals: Hospitals) -> None:
    """What the tolerance above does not forgive."""
    one, other = (Course(masked.study().with_seed(seed), hospitals).run().progress for seed in (1, 2))
    assert np.abs(one.state.model - other.state.model).min() > 1e-5  # ten times that tolerance


@pytest.mark.parametrize("noise", ["distributed", "local"])
def test_the_sum_is_that_of_what_the_hospitals_contributed(
    noise: str, hospitals: Hospitals, monkeypatch: pytest.MonkeyPatch
) -> None:
    contributions: list[Contribution] = []
    check = gate.check

    def overhear(contribution: Contribution, *rest: object) -> None:
        contributions.append(contribution)
        check(contribution, *rest)

    monkeypatch.setattr(gate, "check", overhear)
    terms = masked.study(noise)
    course = Course(terms, hospitals).run(until=("train", 1))
    contributions.clear()
    before = course.progress.state
    course.run(until=("train", 2))
    total = add_up([each.vector.astype(np.float64) for each in contributions])
    assert total.hospitals == 4
    expected = learner_for(TASK, terms).combine(before, total)
    np.testing.assert_allclose(course.progress.state.model, expected.model, atol=1e-7)


def test_the_order_in_which_masked_words_come_does_not_matter(hospitals: Hospitals) -> None:
    course = Course(masked.study(), hospitals)
    while course.progress.phase != "done":
        replies = course.ask()
        course.go({name: replies[name] for name in sorted(replies, reverse=True)})
    assert course.end() == Course(masked.study(), hospitals[::-1]).run().end()


def test_history_holds_the_means_of_what_every_hospital_measured(hospitals: Hospitals) -> None:
    course = Course(masked.study(), hospitals)
    models = []
    while course.progress.phase != "done":
        if course.place[0] in ("train", "report"):
            models.append(course.progress.state.model)
        course.go()
    assert len(models) == len(course.progress.history) == 3
    for model, record in zip(models, course.progress.history, strict=True):
        tests = [cohort(TASK.name, each.sources).test for each in hospitals]
        each_one = [evaluate(TASK, model, test) for test in tests]
        means = {name: np.mean([metrics[name] for metrics in each_one]) for name in each_one[0]}
        assert record.summed == pytest.approx(means, abs=1e-6)
        assert record.metrics == {}


def test_the_noise_is_planned_for_the_fewest_and_the_accountant_counts_what_came(
    hospitals: Hospitals,
) -> None:
    plan = masked.plan(masked.study())
    events = Course(masked.study(), hospitals).run().progress.accountant.events
    more = (len(NAMES) / FEWEST) ** 0.5
    assert [event.noise_multiplier for event in events] == [
        pytest.approx(plan.count_noise_multiplier * more),
        pytest.approx(plan.noise_multiplier * more),
    ]
    assert [event.times for event in events] == [1, 2]
    local = Course(masked.study("local"), hospitals).run().progress.accountant
    assert local == masked.plan(masked.study("local")).cost()


def test_too_few_hospitals_for_a_sum_that_hides_each_cannot_begin(hospitals: Hospitals) -> None:
    two = Course(masked.study(minimum=1), hospitals[:2])
    with pytest.raises(UsageError, match="2 hospitals are too few for secure aggregation, which asks for at"):
        two.go()


def test_nobody_at_all_is_no_step() -> None:
    with pytest.raises(FederationError, match="enrol, round 0: no hospital replied"):
        step(begin(masked.study(), TASK), {}, TASK)
