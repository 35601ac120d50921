"""What a hospital's budget refuses besides a study that costs too much, and what others are told of it."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import clinic
import pytest
from clinic import Clinic

from client import gate
from client.hospital import Settings
from client.ledger import Ledger
from ground.errors import BudgetError, DataError, LaennecError, StateError

FREE = clinic.study(None)
PRIVATE = clinic.study()
ENROL = clinic.instruction(PRIVATE, "enrol", 0)


def book(hospital: Clinic) -> Ledger:
    assert hospital.home is not None
    return Ledger(hospital.home / "ledger.sqlite")


def with_budget(hospital: Clinic, account: str, epsilon: float = 100.0) -> Clinic:
    with book(hospital) as ledger:
        ledger.set_budget(account, epsilon, 1e-3)
    return hospital


def unread(hospital: Clinic) -> Clinic:
    """Its table is not there: whoever reads a patient fails."""
    return replace(hospital, table=Path("/absent/brest.csv"))


def test_an_account_is_named_after_the_hospital_whatever_its_tables_are() -> None:
    for sources in ((), ("cleveland.csv",), ("a/one.csv", "b/two.csv")):
        assert Settings("brest", sources).account == "brest"


def test_a_study_without_privacy_is_booked_as_a_release_without_noise_a_round(hospital: Clinic) -> None:
    hospital.ask(FREE, "enrol", 0)
    for number in range(1, clinic.ROUNDS + 1):
        hospital.ask(FREE, "train", number)
    hospital.ask(FREE, "report", clinic.ROUNDS)
    with book(hospital) as ledger:
        kinds = [(entry.kind, entry.round) for entry in ledger.history()]
        spent = ledger.spent("brest")
    assert kinds == [("reserve", 1), ("settle", 1), ("reserve", 2), ("settle", 2)]
    assert [(event.noise_multiplier, event.times) for event in spent.events] == [(0.0, clinic.ROUNDS)]
    assert spent.epsilon(1e-3) == math.inf


def test_a_hospital_with_a_budget_refuses_a_study_without_privacy_before_a_patient_is_read(
    hospital: Clinic,
) -> None:
    with_budget(hospital, "brest")
    with pytest.raises(BudgetError, match=r"asks for epsilon ∞ and 100\.000 is left .*none of its"):
        unread(hospital).ask(FREE, "enrol", 0)


def test_a_budget_refuses_a_round_without_noise_where_enrolment_was_left_out(hospital: Clinic) -> None:
    with_budget(hospital, "brest")
    with pytest.raises(BudgetError):
        unread(hospital).ask(FREE, "train", 1)


@pytest.mark.parametrize("study", [PRIVATE, FREE], ids=["private", "free"])
def test_a_budget_under_another_account_refuses_before_a_patient_is_read(study, hospital: Clinic) -> None:
    with_budget(hospital, "nantes")
    with pytest.raises(BudgetError) as caught:
        unread(hospital).ask(study, "enrol", 0)
    assert str(caught.value) == (
        "the book has a budget for nantes and none for brest, whose patients are asked for: "
        "set one with --account brest"
    )


def test_budgets_for_both_accounts_refuse_nothing(hospital: Clinic) -> None:
    with_budget(with_budget(hospital, "nantes"), "brest")
    assert hospital.ask(PRIVATE, "enrol", 0).vector is not None


SHUT = Settings("brest", ("somewhere",), Path("/srv/brest"))
OWN = (
    "error",
    [
        BudgetError("brest: study asks for epsilon 9.87 and 6.54 is left: see /srv/brest"),
        StateError("/srv/brest/ledger.sqlite: the book was edited, 6.54"),
        DataError("/srv/brest/brest.csv, line 6: 9.87 is no age"),
    ],
)


@pytest.mark.parametrize(*OWN)
def test_a_hospital_that_discloses_nothing_tells_neither_what_is_left_nor_a_path(error: LaennecError) -> None:
    told = gate.refusal(error, ENROL, SHUT)
    assert told.error is not None
    assert told.error[0] == type(error).__name__
    assert told.error[1].endswith("its own log has the details")
    assert not any(part in repr(told) for part in ("9.87", "6.54", "/", "csv", "sqlite"))


@pytest.mark.parametrize(*OWN)
def test_a_hospital_that_discloses_tells_all(error: LaennecError) -> None:
    told = gate.refusal(error, ENROL, replace(SHUT, discloses=True))
    assert told.error == (type(error).__name__, str(error))


def test_a_refusal_by_budget_is_told_through_the_app_without_its_numbers(hospital: Clinic) -> None:
    with_budget(hospital, "brest", 0.625)
    shut, told = hospital.send(ENROL), hospital.but(discloses=True).send(ENROL)
    assert shut.error == ("BudgetError", "its epsilon book refuses the study: its own log has the details")
    assert told.error is not None
    assert "0.625" in told.error[1]
    assert hospital.home is not None
    assert "0.625" in (hospital.home / "log").read_text()
