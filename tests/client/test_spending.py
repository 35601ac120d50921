from __future__ import annotations

from collections.abc import Sequence

import clinic
import pytest
from clinic import Clinic

from ground.errors import PrivacyError
from privacy.accountant import Accountant
from tasks.messages import Phase

PRIVATE = clinic.study()
PLAN = clinic.plan(PRIVATE)
Asked = Sequence[tuple[Phase, int]]


def spent(hospital: Clinic) -> Accountant:
    return hospital.memory(PRIVATE).accountant


def test_a_whole_study_spends_its_plan_to_the_last_step_and_no_more(brest: Clinic) -> None:
    brest.ask(PRIVATE, "enrol", 0)
    for number in range(1, clinic.ROUNDS + 1):
        brest.ask(PRIVATE, "train", number)
    brest.ask(PRIVATE, "report", clinic.ROUNDS)
    assert spent(brest) == PLAN.cost()
    assert spent(brest).epsilon(PLAN.delta) <= 10.0


@pytest.mark.parametrize(
    "asked",
    [
        [("enrol", 0), ("train", 1), ("train", 2), ("train", 3)],
        [("train", 1), ("train", 2), ("train", 99)],
        [("enrol", 0), ("enrol", 1)],
        [("train", 1), ("enrol", 2), ("train", 3), ("train", 5)],
        [("train", 1), ("enrol", 2), ("train", 3), ("enrol", 4)],
    ],
    ids=["a round too many", "a later round", "two counts", "a count between rounds", "a count after rounds"],
)
def test_a_release_beyond_the_plan_is_refused_and_changes_nothing(brest: Clinic, asked: Asked) -> None:
    for phase, number in asked[:-1]:
        brest.ask(PRIVATE, phase, number)
    before = brest.memory(PRIVATE)
    with pytest.raises(PrivacyError, match=f"round {asked[-1][1]} would release more .* epsilon 10 pays for"):
        brest.ask(PRIVATE, *asked[-1])
    assert brest.memory(PRIVATE).stage == before.stage
    assert spent(brest) == before.accountant


def test_every_local_step_is_spent(brest: Clinic) -> None:
    terms = clinic.study("local", steps=2)
    plan = clinic.plan(terms)
    brest.ask(terms, "enrol", 0)
    brest.ask(terms, "train", 1)
    assert brest.memory(terms).accountant.events == (plan.count_event(), plan.step_event(2))
    with pytest.raises(PrivacyError, match="would release more"):
        brest.ask(terms, "train", 2)


def test_what_a_hospital_spends_is_what_the_coordinator_counts(brest: Clinic) -> None:
    accountant = Accountant().spend(PLAN.count_event())
    brest.ask(PRIVATE, "enrol", 0)
    for number in range(1, clinic.ROUNDS + 1):
        assert spent(brest) == accountant
        brest.ask(PRIVATE, "train", number)
        accountant = accountant.spend(PLAN.step_event(PLAN.steps // clinic.ROUNDS))
    assert spent(brest) == accountant


def test_a_report_and_a_study_without_privacy_spend_nothing(brest: Clinic) -> None:
    brest.ask(PRIVATE, "report", clinic.ROUNDS)
    assert spent(brest) == Accountant()
    terms = clinic.study(None, "scaffold", 2)
    brest.ask(terms, "train", 1)
    assert brest.memory(terms).accountant == Accountant()
