"""A reply says what its study has cost by the hospital's own book, and of no other study."""

from __future__ import annotations

from pathlib import Path

import clinic
from clinic import Clinic

from client.ledger import BOOK, Ledger
from privacy.accountant import Accountant, Event
from tasks.messages import reply_from_text, reply_to_text

PRIVATE = clinic.study()
PLAN = clinic.plan(PRIVATE)


def test_each_answer_says_what_the_study_has_cost_so_far(hospital: Clinic) -> None:
    counted = hospital.ask(PRIVATE, "enrol", 0).spent
    trained = hospital.ask(PRIVATE, "train", 1).spent
    assert counted == Accountant((PLAN.count_event(),))
    assert trained is not None
    assert set(trained.events) == {PLAN.count_event(), PLAN.step_event(1)}


def test_what_other_studies_have_cost_is_not_said(hospital: Clinic) -> None:
    before = hospital.ask(PRIVATE, "enrol", 0).spent
    assert hospital.home is not None
    with Ledger(hospital.home / BOOK) as book:
        book.reserve(hospital.settings.account, "ab" * 32, 1, Event(0.5, 3.25))
    reply = hospital.but().ask(clinic.study("local"), "enrol", 0)
    assert before is not None
    assert reply.spent is not None
    assert "3.25" not in reply_to_text(reply)
    assert len(reply.spent.events) == 1


def test_without_a_book_nothing_is_said(table: Path) -> None:
    assert Clinic(table).ask(PRIVATE, "enrol", 0).spent is None


def test_it_travels(hospital: Clinic) -> None:
    reply = hospital.ask(PRIVATE, "enrol", 0)
    assert reply_from_text(reply_to_text(reply)).spent == reply.spent
