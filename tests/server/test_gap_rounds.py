"""A study that fills a gap, from its count of strata to its last round, however its sums are taken."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache

import gapped
import numpy as np
import pytest
from gapped import TASK
from hypothesis import given, settings
from hypothesis import strategies as st
from masked import Course, Settings

from client import filling
from ground.errors import StudyError
from privacy.accountant import Accountant
from server.progress import begin
from server.report.card import STRATA, privacy_card
from tasks.heart_disease.task import COMPLETE
from tasks.study import Study

KINDS = ("free", "distributed", "local", "masked")
NAMES = tuple(gapped.COUNTS)
Fault = frozenset[str] | None
FAULTS = st.lists(st.none() | st.frozensets(st.sampled_from(NAMES)), min_size=8, max_size=8)


@pytest.fixture(scope="module", autouse=True)
def _gapped() -> Iterator[None]:
    with gapped.installed():
        yield


@pytest.fixture(scope="module")
def hospitals(tmp_path_factory: pytest.TempPathFactory) -> tuple[Settings, ...]:
    return gapped.hospitals(gapped.write(tmp_path_factory.mktemp("gap") / "hospitals"))


def run(terms: Study, hospitals: tuple[Settings, ...], faults: tuple[Fault, ...] = ()) -> Course:
    course, pending = Course(terms, hospitals, task=TASK), list(faults)
    while course.progress.phase != "done":
        fault = pending.pop(0) if pending else None
        if fault is not None:
            course.ask([name for name in NAMES if name in fault])
            course.restart()
            filling._made.clear()  # whoever was killed simulates its share anew
        course.go()
    return course


@lru_cache(maxsize=len(KINDS))
def undisturbed(kind: str, hospitals: tuple[Settings, ...]) -> Course:
    return run(gapped.study(kind), hospitals)


def test_without_privacy_counts_are_exact_and_the_rare_stratum_is_filled(
    hospitals: tuple[Settings, ...],
) -> None:
    slots = undisturbed("free", hospitals).progress.state.slots
    strata = np.sum([np.multiply(counts, 2) // 3 for counts in gapped.COUNTS.values()], axis=0)
    np.testing.assert_array_equal(slots["strata"], [*strata, 0])
    np.testing.assert_array_equal(slots["digital"], [1, 1, 8])
    assert slots["patients"] == [strata.sum()]


@pytest.mark.parametrize("kind", ["distributed", "local", "masked"])
def test_with_privacy_counts_are_noisy_and_all_digital_patients_are_made(
    kind: str, hospitals: tuple[Settings, ...]
) -> None:
    slots = undisturbed(kind, hospitals).progress.state.slots
    assert slots["strata"].shape == (4,)
    assert not np.array_equal(slots["strata"], np.rint(slots["strata"]))
    assert slots["patients"] == pytest.approx([slots["strata"].sum()])
    assert slots["digital"].sum() == gapped.PATIENTS // 4


def test_digital_patients_change_the_model_and_neither_epsilon_nor_noise(
    hospitals: tuple[Settings, ...],
) -> None:
    few, many = (run(gapped.study("distributed", patients=n), hospitals).progress for n in (4, 400))
    assert not np.array_equal(few.state.model, many.state.model)
    assert few.accountant == many.accountant
    plan = few.study.plan()
    assert plan is not None
    assert few.accountant == plan.cost()
    assert few.accountant.epsilon(1e-3) <= 8.0


@pytest.mark.parametrize("kind", ["distributed", "local"])
def test_coordinator_and_hospitals_count_the_same_releases(
    kind: str, hospitals: tuple[Settings, ...]
) -> None:
    course = undisturbed(kind, hospitals)
    assert {course.memory(name).accountant for name in NAMES} == {course.progress.accountant}
    assert isinstance(course.progress.accountant, Accountant)


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=4, deadline=None)
@given(faults=FAULTS)
def test_whoever_was_killed_goes_on_to_the_same_bits(
    kind: str, hospitals: tuple[Settings, ...], faults: list[Fault]
) -> None:
    end = run(gapped.study(kind), hospitals, tuple(faults)).end()
    assert end == undisturbed(kind, hospitals).end()


def test_a_share_that_came_out_otherwise_after_a_kill_would_be_seen(
    hospitals: tuple[Settings, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Broken on purpose: recipes that do not follow from the study and the hospital alone."""
    real = filling.recipes_for
    monkeypatch.setattr(
        filling, "recipes_for", lambda task, study, name, share: real(task, study, name + "'", share)
    )
    killed = run(gapped.study(), hospitals, (None, frozenset(NAMES)))
    assert killed.end() != undisturbed("free", hospitals).end()


def test_who_vanishes_takes_its_digital_patients_along(hospitals: tuple[Settings, ...]) -> None:
    gone = {("train", 1): {"dinan"}}
    course = Course(gapped.study("masked"), hospitals, gone, task=TASK).run()
    assert course.progress.history[0].contributors == ("auray", "brest", "carnac")
    assert course.progress.phase == "done"


def test_a_task_that_cannot_fill_is_refused_before_anybody_is_asked() -> None:
    terms = gapped.study().model_copy(update={"task": COMPLETE.name})
    with pytest.raises(StudyError, match="set fill = false"):
        begin(terms, COMPLETE)


def test_the_gap_filled_finds_the_north(hospitals: tuple[Settings, ...]) -> None:
    """Of whom one hospital has a few: it is told from the south by those who were made."""
    alone = run(gapped.study().without_digital_patients(), hospitals)
    assert undisturbed("free", hospitals).progress.state.model[1] > alone.progress.state.model[1] + 0.1


def test_the_card_says_that_strata_were_counted_and_only_where_they_were(
    hospitals: tuple[Settings, ...],
) -> None:
    finished = undisturbed("masked", hospitals).progress
    assert STRATA in privacy_card(finished, secret_noise=True)["covered"]
    unfilled = replace(finished, study=finished.study.without_digital_patients())
    assert STRATA not in privacy_card(unfilled, secret_noise=True)["covered"]
