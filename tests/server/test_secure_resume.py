"""A masked study that is interrupted anywhere ends in the same model, though its masks are never the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import masked
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from masked import NAMES, SIX, Course, Place, Settings

from tasks.messages import Reply, reply_to_text
from tasks.study import Study

PLACES = masked.places(2)
Missing = Mapping[Place, frozenset[str]]
Hospitals = tuple[Settings, ...]
NOBODY: Missing = {}
BEFORE_SENDING: Missing = {("train", 1): frozenset({"hungary"})}
AFTER_SENDING: Missing = {("unmask", 1): frozenset({"hungary"})}
TOO_MANY: Missing = {("train", 1): frozenset({"hungary", "long-beach"})}
# A study, how many hospitals, and who does not answer, besides what interruptions do.
CASES: dict[str, tuple[Study, tuple[str, ...], Missing]] = {
    "distributed": (masked.study(), NAMES, NOBODY),
    "adam": (masked.study(strategy="fedadam"), NAMES, NOBODY),
    "local scaffold": (masked.study("local", "scaffold"), NAMES, NOBODY),
    "local ditto": (masked.study("local", "ditto"), NAMES, NOBODY),
    "one gone before sending": (masked.study(), NAMES, BEFORE_SENDING),
    "one gone after sending": (masked.study(), NAMES, AFTER_SENDING),
    "too many gone": (masked.study(), NAMES, TOO_MANY),
    "confirming": (masked.study(), SIX, BEFORE_SENDING),
}
EACH = pytest.mark.parametrize("case", CASES)
# Before a step: nothing; or everybody restarts, once these hospitals had answered and their replies got lost.
Fault = frozenset[str] | None
STEPS = len(masked.places(2, confirm=True, again=[2]))
FAULTS = st.lists(st.none() | st.frozensets(st.sampled_from(SIX)), min_size=STEPS, max_size=STEPS)


@pytest.fixture(scope="module")
def hospitals(tmp_path_factory: pytest.TempPathFactory) -> Hospitals:
    return masked.hospitals(tmp_path_factory.mktemp("masked") / "hospitals", names=SIX)


def start(case: str, hospitals: Hospitals, home: Path | None = None) -> Course:
    terms, names, missing = CASES[case]
    chosen = [each for each in hospitals if each.name in names]
    return Course(
        terms, [replace(each, home=None if home is None else home / each.name) for each in chosen], missing
    )


def run(case: str, hospitals: Hospitals, faults: Sequence[Fault] = (), home: Path | None = None) -> Course:
    course, pending = start(case, hospitals, home), list(faults)
    while course.progress.phase != "done":
        fault = pending.pop(0) if pending else None
        if fault is not None:
            course.ask([name for name in course.hospitals if name in fault])
            course.restart()
        course.go()
    return course


@lru_cache(maxsize=len(CASES))
def undisturbed(case: str, hospitals: Hospitals) -> Course:
    return run(case, hospitals)


@EACH
@settings(max_examples=6, deadline=None)
@given(faults=FAULTS)
def test_an_interrupted_study_ends_as_an_undisturbed_one(
    case: str, hospitals: Hospitals, faults: list[Fault]
) -> None:
    assert run(case, hospitals, faults).end() == undisturbed(case, hospitals).end()


@EACH
def test_whatever_is_asked_twice_changes_nothing_and_costs_nothing(case: str, hospitals: Hospitals) -> None:
    twice, once = run(case, hospitals, [frozenset(SIX)] * STEPS), undisturbed(case, hospitals)
    assert twice.end() == once.end()
    for name in once.hospitals:
        assert twice.memory(name).accountant == once.memory(name).accountant


def test_every_case_takes_the_course_that_it_is_there_for(hospitals: Hospitals) -> None:
    """A round is abandoned where too many are gone; where six sum as few as four, requests are confirmed."""
    asked = {case: undisturbed(case, hospitals).asked for case in CASES}
    assert asked["distributed"] == asked["one gone after sending"] == PLACES
    assert asked["one gone before sending"] == masked.places(2, again=[2])
    assert asked["confirming"] == masked.places(2, confirm=True, again=[2])
    assert asked["too many gone"] == [*PLACES[:5], ("roster", 2), *PLACES[6:]]
    contributors = {
        case: undisturbed(case, hospitals).progress.history[0].contributors
        for case in asked
        if "gone" in case
    }
    assert contributors == {
        "one gone before sending": masked.without("hungary"),
        "one gone after sending": NAMES,
        "too many gone": (),
    }


def test_hospitals_in_their_own_folders_give_the_same_model_after_restarts(
    hospitals: Hospitals, tmp_path: Path
) -> None:
    course = run("distributed", hospitals, [frozenset(NAMES)] * STEPS, tmp_path)
    assert course.end() == undisturbed("distributed", hospitals).end()
    assert all((tmp_path / name / f"{course.study.digest}.safetensors").is_file() for name in NAMES)


def test_two_runs_of_one_study_share_no_masked_word_and_all_of_the_model(hospitals: Hospitals) -> None:
    courses = [start("distributed", hospitals).run(until=("train", 1)) for _ in range(2)]
    first, second = (course.ask(["hungary"])["hungary"].vector for course in courses)
    assert first is not None
    assert second is not None
    assert (first != second).all()
    ends = [course.run().end() for course in courses]
    assert ends[0] == ends[1]


def test_a_hospital_that_lost_its_keys_cannot_go_on_under_the_old_roster(hospitals: Hospitals) -> None:
    """What the property above would miss if nothing depended on what a hospital keeps."""
    course = start("distributed", hospitals).run(until=("train", 1))
    course.kept["hungary"].clear()
    course.ask()
    ((_, name, error),) = course.failures
    assert name == "hungary"
    assert "secure aggregation begins with enrolment: this hospital has no keys yet" in str(error)


def test_no_step_changes_a_reply_that_it_is_given(hospitals: Hospitals) -> None:
    course = start("confirming", hospitals)
    while course.progress.phase != "done":
        replies = course.ask()
        before = values(replies)
        course.go(replies)
        assert values(replies) == before


def values(replies: Mapping[str, Reply]) -> list[tuple[str, bytes]]:
    return [
        (reply_to_text(each), b"" if each.vector is None else each.vector.tobytes())
        for each in replies.values()
    ]
