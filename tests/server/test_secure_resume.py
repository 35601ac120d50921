"""A masked study that is interrupted anywhere ends in the same model, though its masks are never the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import masked
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from masked import NAMES, Course, Place, Settings

from ground.bundle import pack, unpack
from ground.errors import FederationError, StateError
from server import checkpoint
from server.progress import Progress
from tasks.messages import reply_to_text

ROUNDS = 2
STEPS = len(masked.places(ROUNDS))
PLACES = masked.places(ROUNDS)
Missing = Mapping[Place, frozenset[str]]
# What goes wrong besides interruptions: who does not answer what.
TROUBLES: dict[str, Missing] = {
    "nobody": {},
    "one before sending": {("train", 1): frozenset({"hungary"})},
    "one after sending": {("unmask", 1): frozenset({"hungary"})},
    "too many": {("train", 1): frozenset({"hungary", "long-beach"})},
}
SCHEMES = {
    "distributed": masked.study(),
    "sampled adam": masked.study(strategy="fedadam", sampling_rate=0.5),
    "local scaffold": masked.study("local", "scaffold"),
    "local ditto": masked.study("local", "ditto"),
}
CASES = [(scheme, "nobody") for scheme in SCHEMES] + [("distributed", trouble) for trouble in TROUBLES][1:]
EACH = pytest.mark.parametrize(("scheme", "trouble"), CASES)
# Before a step: nothing; or everybody restarts, once these hospitals had answered and their replies got lost.
Fault = frozenset[str] | None
FAULTS = st.lists(st.none() | st.frozensets(st.sampled_from(NAMES)), min_size=STEPS, max_size=STEPS)
Hospitals = tuple[Settings, ...]


@pytest.fixture(scope="module")
def hospitals(tmp_path_factory: pytest.TempPathFactory) -> Hospitals:
    return masked.hospitals(tmp_path_factory.mktemp("masked") / "hospitals")


def run(
    scheme: str, trouble: str, hospitals: Hospitals, faults: Sequence[Fault] = (), home: Path | None = None
) -> Course:
    settled = [replace(each, home=None if home is None else home / each.name) for each in hospitals]
    course = Course(SCHEMES[scheme], settled, TROUBLES[trouble])
    pending = list(faults)
    while course.progress.phase != "done":
        fault = pending.pop(0) if pending else None
        if fault is not None:
            course.ask(sorted(fault))
            course.restart()
        course.go()
    return course


@lru_cache(maxsize=len(CASES))
def undisturbed(scheme: str, trouble: str, hospitals: Hospitals) -> Course:
    return run(scheme, trouble, hospitals)


@EACH
@settings(max_examples=8, deadline=None)
@given(faults=FAULTS)
def test_an_interrupted_study_ends_as_an_undisturbed_one(
    scheme: str, trouble: str, hospitals: Hospitals, faults: list[Fault]
) -> None:
    assert run(scheme, trouble, hospitals, faults).end() == undisturbed(scheme, trouble, hospitals).end()


@EACH
def test_whatever_is_asked_twice_changes_nothing_and_costs_nothing(
    scheme: str, trouble: str, hospitals: Hospitals
) -> None:
    twice = run(scheme, trouble, hospitals, [frozenset(NAMES)] * (STEPS + 1))
    once = undisturbed(scheme, trouble, hospitals)
    assert twice.end() == once.end()
    for name in NAMES:
        assert twice.memory(name).accountant == once.memory(name).accountant


def test_hospitals_in_their_own_folders_give_the_same_model_after_restarts(
    hospitals: Hospitals, tmp_path: Path
) -> None:
    course = run("distributed", "nobody", hospitals, [frozenset(NAMES)] * STEPS, tmp_path)
    assert course.end() == undisturbed("distributed", "nobody", hospitals).end()
    assert all((tmp_path / name / f"{course.study.digest}.safetensors").is_file() for name in NAMES)


def test_two_runs_of_one_study_share_no_mask_and_all_of_the_model(hospitals: Hospitals) -> None:
    courses = [Course(SCHEMES["distributed"], hospitals).run(until=("train", 1)) for _ in range(2)]
    words = [course.ask(["brest" if False else "hungary"])["hungary"].vector for course in courses]
    assert words[0] is not None
    assert words[1] is not None
    assert (words[0] != words[1]).all()
    ends = [course.run().end() for course in courses]
    assert ends[0] == ends[1]


def test_a_hospital_that_lost_its_keys_cannot_go_on_under_the_old_roster(hospitals: Hospitals) -> None:
    """What the property above would miss if nothing of a hospital's state mattered."""
    course = Course(SCHEMES["distributed"], hospitals).run(until=("train", 1))
    course.kept["hungary"].clear()
    course.ask()
    ((_, name, error),) = course.failures
    assert name == "hungary"
    assert "secure aggregation begins with enrolment: this hospital has no keys yet" in str(error)


@pytest.mark.parametrize("place", PLACES)
def test_a_step_changes_no_reply_that_it_is_given(place: Place, hospitals: Hospitals) -> None:
    course = Course(SCHEMES["distributed"], hospitals).run(until=place)
    replies = course.ask()

    def values() -> list[tuple[str, bytes]]:
        return [
            (reply_to_text(each), b"" if each.vector is None else each.vector.tobytes())
            for each in replies.values()
        ]

    before = values()
    course.go(replies)
    assert values() == before


def middle(hospitals: Hospitals, place: Place) -> Progress:
    return Course(SCHEMES["distributed"], hospitals).run(until=place).progress


@pytest.mark.parametrize("place", [*PLACES[1:], ("roster", 2)])
def test_progress_in_the_middle_of_a_masked_study_is_read_as_it_was_saved(
    place: Place, hospitals: Hospitals
) -> None:
    missing = TROUBLES["too many"] if place == ("roster", 2) else {}
    progress = Course(SCHEMES["distributed"], hospitals, missing).run(until=place).progress
    saved = checkpoint.to_bytes(progress)
    back = checkpoint.from_bytes(saved, "disk")
    assert checkpoint.to_bytes(back) == saved
    assert progress.secure is not None
    assert back.secure is not None
    assert replace(back.secure, total=None) == replace(progress.secure, total=None)
    assert (back.phase, back.round, back.pending, back.summed) == (
        progress.phase,
        progress.round,
        progress.pending,
        progress.summed,
    )
    assert (back.secure.total is None) == (place[0] != "unmask")
    if back.secure.total is not None:
        assert back.secure.total.dtype == progress.secure.total.dtype
        np.testing.assert_array_equal(back.secure.total, progress.secure.total)


@pytest.mark.parametrize("damage", ["secure", "pending", "summed"])
@pytest.mark.parametrize("value", ['{"roster": 1}', {"after": 1}, 5, "missing"])
def test_a_masked_part_that_is_damaged_is_refused_by_its_place(
    damage: str, value: object, hospitals: Hospitals
) -> None:
    arrays, header = unpack(checkpoint.to_bytes(middle(hospitals, ("unmask", 1))), "disk")
    if value == "missing":
        del header[damage]
    else:
        header[damage] = value
    if damage == "summed" and isinstance(value, str | dict) and value != "missing":
        pytest.skip("a text is a list of names to Python: the digest over the file is what catches it")
    with pytest.raises(StateError, match=r"^home/coordinator: damaged: "):
        checkpoint.from_bytes(pack(arrays, header), "home/coordinator")


def test_a_checkpoint_whose_masked_sum_is_gone_does_not_go_on_with_another(hospitals: Hospitals) -> None:
    course = Course(SCHEMES["distributed"], hospitals).run(until=("unmask", 1))
    arrays, header = unpack(checkpoint.to_bytes(course.progress), "disk")
    del arrays["secure.total"]
    course.progress = checkpoint.from_bytes(pack(arrays, header), "disk")
    before = course.progress.state.model.copy()
    course.go()
    assert "no words were received" in course.progress.history[-1].abandoned
    np.testing.assert_array_equal(course.progress.state.model, before)


def test_the_coordinator_cannot_unmask_without_the_hospitals(hospitals: Hospitals) -> None:
    course = Course(SCHEMES["distributed"], hospitals).run(until=("unmask", 0))
    with pytest.raises(FederationError, match="without the count of patients the study cannot begin"):
        course.go({"hungary": course.ask(["hungary"])["hungary"]})
