"""Hospitals that vanish: the sum goes on without them, or is abandoned and nothing of it is known."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import Any

import masked
import numpy as np
import pytest
from masked import NAMES, SIX, Course, Place, Settings, without

from client import gate
from client.ledger import Ledger
from ground.errors import FederationError
from server import checkpoint
from server.report.card import privacy_card
from tasks.learners import learner_for
from tasks.learners.contract import Contribution, add_up
from tasks.messages import Phase

ROUNDS = 5
STUDY = masked.study(rounds=ROUNDS)
Hospitals = tuple[Settings, ...]
TWO = ("hungary", "switzerland")


@pytest.fixture(scope="module")
def hospitals(tmp_path_factory: pytest.TempPathFactory) -> Hospitals:
    return masked.hospitals(tmp_path_factory.mktemp("masked") / "hospitals")


def start(hospitals: Hospitals, **missing: Collection[str]) -> Course:
    """Who is missing at what: train_1=("hungary",)."""
    return Course(STUDY, hospitals, {place(when): names for when, names in missing.items()})


def place(text: str) -> Place:
    phase, number = text.split("_")
    assert phase in ("count", "train", "unmask", "report", "roster")
    kind: Phase = phase  # type: ignore[assignment]
    return kind, int(number)


def contributors(course: Course) -> list[tuple[str, ...]]:
    return [record.contributors for record in course.progress.history]


def test_whoever_misses_a_round_prepares_the_next_and_is_back_in_it(hospitals: Hospitals) -> None:
    course = start(hospitals, train_2=("hungary",)).run()
    assert contributors(course) == [NAMES, without("hungary"), NAMES, NAMES, NAMES, ()]
    assert course.asked == masked.places(ROUNDS, again=[3])
    assert course.failures == []


def test_whoever_does_not_prepare_either_sits_out_the_next_and_is_back_after_it(hospitals: Hospitals) -> None:
    course = start(hospitals, train_2=("hungary",), roster_3=("hungary",)).run()
    rest = without("hungary")
    assert contributors(course) == [NAMES, rest, rest, NAMES, NAMES, ()]
    assert course.asked == masked.places(ROUNDS, again=[3])


def test_hospitals_that_drop_in_turn_abandon_no_round(hospitals: Hospitals) -> None:
    """Each round another one; without a roster in between two would be missing from the second on."""
    course = start(hospitals, **{f"train_{number}": (name,) for number, name in enumerate(NAMES, 1)}).run()
    assert contributors(course) == [*(without(name) for name in NAMES), NAMES, ()]
    assert not any(record.abandoned for record in course.progress.history)
    assert masked.spent_at(course.progress) == ROUNDS


def test_whoever_vanishes_after_sending_is_in_that_sum_and_the_next(hospitals: Hospitals) -> None:
    course = start(hospitals, unmask_2=("hungary",)).run()
    assert contributors(course) == [NAMES] * ROUNDS + [()]
    undisturbed = start(hospitals).run()
    np.testing.assert_array_equal(course.progress.state.model, undisturbed.progress.state.model)


def test_the_model_of_a_round_without_a_hospital_is_that_of_the_sum_of_the_others(
    hospitals: Hospitals, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its masks, which the others' words carry, leave no trace."""
    course = start(hospitals, train_1=("hungary",)).run(until=("train", 1))
    before, given, check = course.progress.state, [], gate.check

    def overhear(contribution: Contribution, *rest: Any) -> None:
        given.append(contribution.vector)
        check(contribution, *rest)

    monkeypatch.setattr(gate, "check", overhear)
    course.run(until=("train", 2))
    assert len(given) == 3
    expected = learner_for(masked.TASK, STUDY).combine(before, add_up(given))
    np.testing.assert_array_equal(course.progress.state.model, expected.model)


def test_the_accountant_counts_less_noise_where_fewer_were_in_the_sum(hospitals: Hospitals) -> None:
    course = start(hospitals, train_2=("hungary",)).run()
    noise = masked.plan(STUDY).noise_multiplier
    events = [(event.noise_multiplier, event.times) for event in course.progress.accountant.events[1:]]
    more = pytest.approx(noise * (4 / 3) ** 0.5)
    assert events == [(more, 1), (pytest.approx(noise), 1), (more, 3)]


def test_however_many_are_missing_the_study_costs_no_more_than_was_asked(hospitals: Hospitals) -> None:
    troubles = {f"train_{number}": ("hungary",) for number in range(1, ROUNDS + 1)}
    course = start(hospitals, **troubles).run()
    assert contributors(course) == [without("hungary")] * ROUNDS + [()]
    card = privacy_card(course.progress, secret_noise=True)
    assert STUDY.privacy is not None
    assert 0.95 * STUDY.privacy.epsilon < card["epsilon"] <= STUDY.privacy.epsilon
    assert card["delta"] == STUDY.privacy.delta


@pytest.mark.parametrize("when", ["train_2", "unmask_2"])
def test_a_round_with_too_few_is_abandoned_with_its_reason_and_the_study_goes_on(
    when: str, hospitals: Hospitals, tmp_path: Path
) -> None:
    settled = tuple(replace(each, home=tmp_path / each.name) for each in hospitals)
    course = start(settled, **{when: TWO}).run(until=("train", 2))
    before = course.progress
    model = before.state.model.copy()
    course.run(until=("train", 3))
    record = course.progress.history[1]
    assert (record.after, record.contributors, record.summed) == (1, (), {})
    assert all(name in record.abandoned for name in TWO)
    np.testing.assert_array_equal(course.progress.state.model, model)
    assert course.progress.accountant == before.accountant
    course.run()
    assert contributors(course) == [NAMES, (), NAMES, NAMES, NAMES, ()]
    assert masked.spent_at(course.progress) == ROUNDS - 1
    for name in NAMES:
        with Ledger(tmp_path / name / "ledger.sqlite") as ledger:
            entries = [entry for entry in ledger.history() if entry.round == 2]
        kinds = [entry.kind for entry in entries]
        # Who sent cannot know that its words were in vain: it is charged, and charged once.
        assert kinds == ([] if (when, name in TWO) == ("train_2", True) else ["reserve", "settle"])


def test_where_too_few_are_ready_for_the_next_round_everybody_is_asked_to_prepare_it(
    hospitals: Hospitals,
) -> None:
    course = start(hospitals, train_2=TWO).run()
    again = masked.places(ROUNDS)
    at = again.index(("unmask", 2))
    assert course.asked == [*again[:at], ("roster", 3), *again[at + 1 :]]


def test_three_abandoned_in_a_row_end_the_run_and_name_the_hospitals_and_a_later_run_goes_on(
    hospitals: Hospitals,
) -> None:
    course = start(hospitals, **{f"train_{number}": TWO for number in (2, 3, 4)})
    with pytest.raises(FederationError) as caught:
        course.run()
    assert re.fullmatch(
        r"round 4: hungary, switzerland sent nothing, and a secure sum needs 3 hospitals: .*"
        r"so were the 2 before it: see to them, then run it again",
        str(caught.value),
    )
    assert [bool(record.abandoned) for record in course.progress.history] == [False, True, True]
    course.missing.clear()
    course.restart().run()
    assert contributors(course) == [NAMES, (), (), NAMES, NAMES, ()]
    assert masked.spent_at(course.progress) == 3


def test_two_abandoned_and_one_completed_and_two_more_do_not_end_the_run(hospitals: Hospitals) -> None:
    course = start(hospitals, **{f"train_{number}": TWO for number in (1, 2, 4, 5)}).run()
    assert contributors(course) == [(), (), NAMES, (), (), ()]


@pytest.mark.parametrize(
    ("missing", "says"),
    [
        ({"count_0": TWO}, r"round 0: hungary, switzerland sent nothing, and a secure sum needs 3 hospitals"),
        ({"unmask_0": TWO}, r"round 0: hungary, switzerland did not help to unmask"),
    ],
    ids=["before sending", "after sending"],
)
def test_without_the_count_the_study_cannot_begin(
    missing: dict[str, tuple[str, ...]], says: str, hospitals: Hospitals
) -> None:
    course = start(hospitals, **missing)
    with pytest.raises(FederationError, match=f"^{says}.*without the count of patients the study cannot"):
        course.run()
    course.missing.clear()
    assert course.restart().run().progress.phase == "done"


def test_whoever_is_missing_at_the_count_is_back_for_the_first_round(hospitals: Hospitals) -> None:
    course = start(hospitals, count_0=("hungary",)).run()
    assert contributors(course) == [NAMES] * ROUNDS + [()]
    assert course.asked == masked.places(ROUNDS, again=[1])


def test_one_that_does_not_sign_the_roster_ends_the_run_by_name(hospitals: Hospitals) -> None:
    with pytest.raises(FederationError, match=r"^hungary did not sign the roster: run the study again"):
        start(hospitals, roster_0=("hungary",)).run()


def test_a_report_without_a_hospital_holds_the_means_of_the_others(hospitals: Hospitals) -> None:
    course, complete = start(hospitals, report_6=("hungary",)).run(), start(hospitals).run()
    np.testing.assert_array_equal(course.progress.state.model, complete.progress.state.model)
    last, all_of_them = course.progress.history[-1], complete.progress.history[-1]
    assert (last.after, last.contributors, last.abandoned) == (ROUNDS, (), "")
    assert last.summed.keys() == all_of_them.summed.keys()
    assert last.summed != all_of_them.summed


@pytest.mark.parametrize("when", ["report_6", "unmask_6"])
def test_a_report_with_too_few_is_abandoned_and_the_study_is_done(when: str, hospitals: Hospitals) -> None:
    course = start(hospitals, **{when: TWO}).run()
    last = course.progress.history[-1]
    assert (course.progress.phase, last.after, last.summed) == ("done", ROUNDS, {})
    assert "hungary, switzerland" in last.abandoned
    assert checkpoint.from_bytes(course.end(), "disk").history == course.progress.history


def test_confirmations_that_are_too_few_abandon_the_round(tmp_path_factory: pytest.TempPathFactory) -> None:
    six = masked.hospitals(tmp_path_factory.mktemp("masked") / "hospitals", names=SIX)
    course = Course(masked.study(), six, {("confirm", 1): SIX[:3]}).run()
    assert "cleveland, cleveland-2, hungary confirmed nothing" in course.progress.history[0].abandoned
    assert contributors(course) == [(), SIX, ()]
