"""What a study costs a hospital stands in its book: once, before a patient is read, whatever happens."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

import masked
import pytest
from masked import Course, Settings

from client import training
from client.ledger import Entry, Ledger
from client.memory import Store
from ground.errors import PrivacyError
from privacy.accountant import Accountant, Event
from tasks.study import Study

ROUNDS = 2
STUDIES = {
    "masked": masked.study(),
    "masked, local noise": masked.study("local"),
    "in the clear": masked.plain(masked.study()),
}
EACH = pytest.mark.parametrize("terms", STUDIES.values(), ids=STUDIES)
MASKED = masked.study()
Hospitals = tuple[Settings, ...]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("masked") / "hospitals"


@pytest.fixture
def hospitals(folder: Path, tmp_path: Path) -> Hospitals:
    """Each with a home of its own; they trust the sum, so that they also take part in the clear."""
    found = masked.hospitals(folder, tmp_path)
    return tuple(replace(each, trusts_sum=True) for each in found)


def book(hospital: Settings) -> Ledger:
    assert hospital.home is not None
    return Ledger(hospital.home / "ledger.sqlite")


def entries(hospital: Settings) -> list[Entry]:
    with book(hospital) as ledger:
        return ledger.history()


def kinds(hospital: Settings) -> Counter[str]:
    return Counter(entry.kind for entry in entries(hospital))


def spent(hospital: Settings) -> Accountant:
    with book(hospital) as ledger:
        return ledger.spent(hospital.account)


def sorted_events(accountant: Accountant) -> list[Event]:
    return sorted(accountant.events, key=lambda event: event.noise_multiplier)


@EACH
def test_a_study_books_its_count_and_its_rounds_and_settles_them(terms: Study, hospitals: Hospitals) -> None:
    Course(terms, hospitals).run()
    for each in hospitals:
        assert kinds(each) == {"reserve": 1 + ROUNDS, "settle": 1 + ROUNDS}
        assert [(entry.kind, entry.round) for entry in entries(each)] == [
            (kind, number) for number in range(1 + ROUNDS) for kind in ("reserve", "settle")
        ]
        assert {(entry.account, entry.study) for entry in entries(each)} == {(each.name, terms.digest)}


@EACH
def test_what_is_booked_is_what_the_plan_costs(terms: Study, hospitals: Hospitals) -> None:
    Course(terms, hospitals).run()
    for each in hospitals:
        assert sorted_events(spent(each)) == sorted_events(masked.plan(terms).cost())
    assert terms.privacy is not None
    assert spent(hospitals[0]).epsilon(terms.privacy.delta) <= terms.privacy.epsilon


@EACH
def test_what_is_asked_again_is_not_booked_again(terms: Study, hospitals: Hospitals) -> None:
    course = Course(terms, hospitals)
    while course.progress.phase != "done":
        for _ in range(2):
            course.ask()
            course.restart()
        course.go()
    for each in hospitals:
        assert kinds(each) == {"reserve": 1 + ROUNDS, "settle": 1 + ROUNDS}


def fail(*_: Any) -> NoReturn:
    raise OSError("the disk is full")


def crash_at(
    course: Course, what: Any, attribute: str, monkeypatch: pytest.MonkeyPatch, act: Callable[..., Any] = fail
) -> None:
    """Ask hungary for what the coordinator is at, while that fails."""
    with monkeypatch.context() as patch:
        patch.setattr(what, attribute, act)
        with pytest.raises(OSError, match="the disk is full"):
            course.answer("hungary", course.request())


@pytest.mark.parametrize("place", [("count", 0), ("train", 1)])
def test_a_crash_before_the_reply_is_stored_leaves_it_booked_and_books_no_second_time(
    place: tuple[Any, int], hospitals: Hospitals, monkeypatch: pytest.MonkeyPatch
) -> None:
    course = Course(MASKED, hospitals).run(until=place)
    hungary = course.hospitals["hungary"]
    before = kinds(hungary)
    for _ in range(3):
        crash_at(course, Store, "save", monkeypatch)
        assert kinds(hungary) - before == {"reserve": 1}
    course.restart().run()
    assert kinds(hungary) == {"reserve": 1 + ROUNDS, "settle": 1 + ROUNDS}
    assert sorted_events(spent(hungary)) == sorted_events(masked.plan(MASKED).cost())


def test_a_crash_after_the_reply_is_stored_settles_it_when_it_is_asked_again(
    hospitals: Hospitals, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Left open, it would pay for the same round of another run: a release for nothing."""
    course = Course(MASKED, hospitals).run(until=("train", 1))
    hungary = course.hospitals["hungary"]
    crash_at(course, training.booking.Booking, "settle", monkeypatch)
    assert kinds(hungary) == {"reserve": 2, "settle": 1}
    course.restart().go()
    assert kinds(hungary) == {"reserve": 2, "settle": 2}


def test_the_same_study_run_anew_is_booked_anew(hospitals: Hospitals) -> None:
    for _ in range(2):
        Course(MASKED, hospitals).run()
        for each in hospitals:
            assert each.home is not None
            (each.home / f"{MASKED.digest}.safetensors").unlink()
    assert kinds(hospitals[0]) == {"reserve": 2 * (1 + ROUNDS), "settle": 2 * (1 + ROUNDS)}


def test_two_studies_over_the_same_patients_add_up(hospitals: Hospitals) -> None:
    once = masked.plan(MASKED).cost()
    for seed in (1, 2):
        Course(MASKED.with_seed(seed), hospitals).run()
    together = spent(hospitals[0])
    assert [event.times for event in sorted_events(together)] == [2 * e.times for e in sorted_events(once)]
    delta = masked.plan(MASKED).delta
    assert once.epsilon(delta) < together.epsilon(delta) < 2 * once.epsilon(delta)
    assert len({entry.study for entry in entries(hospitals[0])}) == 2


def test_whoever_has_no_home_keeps_no_book(folder: Path, tmp_path: Path) -> None:
    Course(MASKED, masked.hospitals(folder)).run()
    assert list(tmp_path.rglob("*")) == []
    assert list(folder.rglob("ledger*")) == []


def with_budget(hospital: Settings, epsilon: float) -> None:
    with book(hospital) as ledger:
        ledger.set_budget(hospital.account, epsilon, 1e-3)


@EACH
def test_a_study_beyond_the_budget_is_refused_at_enrolment_before_a_patient_is_read(
    terms: Study, hospitals: Hospitals
) -> None:
    hungary = next(each for each in hospitals if each.name == "hungary")
    with_budget(hungary, 6.0)
    course = Course(terms, hospitals)
    course.hospitals["hungary"] = replace(hungary, sources=("/absent/hungary.csv",))
    assert course.hospitals["hungary"].account == hungary.account
    with pytest.raises(PrivacyError) as caught:
        course.run()
    found = re.match(
        r"hospital hungary: hungary: study [0-9a-f]{12} asks for epsilon ([0-9.]+) and ([0-9.]+) is left of "
        r"the budget of 6 at delta 0.001 .*: (\w+) of its 2 rounds would fit: ask for fewer rounds",
        str(caught.value),
    )
    assert found is not None
    assert 7.5 < float(found[1]) <= 8.0
    assert (float(found[2]), found[3]) == (6.0, "1")
    assert kinds(hungary) == {"budget": 1}
    assert course.asked == [("enrol", 0)]


def test_a_budget_that_holds_one_study_does_not_hold_a_second(hospitals: Hospitals) -> None:
    hungary = next(each for each in hospitals if each.name == "hungary")
    with_budget(hungary, 8.0)
    Course(MASKED, hospitals).run()
    with pytest.raises(
        PrivacyError, match=r"asks for epsilon .* is left of .*none of its 2 rounds would fit"
    ):
        Course(MASKED.with_seed(2), hospitals).run()
    assert kinds(hungary) == {"budget": 1, "reserve": 1 + ROUNDS, "settle": 1 + ROUNDS}


def test_a_budget_that_was_lowered_meanwhile_refuses_the_next_round(hospitals: Hospitals) -> None:
    course = Course(MASKED, hospitals).run(until=("train", 2))
    with_budget(course.hospitals["hungary"], 1.0)
    course.run()
    ((place, name, error),) = course.failures
    assert (place, name) == (("train", 2), "hungary")
    assert "no further round would fit" in str(error)
    assert course.progress.history[1].contributors == masked.without("hungary")
    assert kinds(course.hospitals["hungary"])["reserve"] == 2


@EACH
def test_what_leaves_in_the_clear_is_an_entry_and_what_does_not_is_none(
    terms: Study, hospitals: Hospitals
) -> None:
    first, *others = hospitals
    Course(terms, [replace(first, discloses=True), *others]).run()
    told = [(entry.round, entry.content) for entry in entries(first) if entry.kind == "disclose"]
    metrics = "metrics on test patients"
    assert told == [(0, "number of patients"), *((number, metrics) for number in range(1, ROUNDS + 2))]
    assert not any(kinds(each)["disclose"] for each in others)
