"""A hospital's share of digital patients: its own, made once, and its count of strata in its ε book."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import gapped
import numpy as np
import pytest
from gapped import TASK
from masked import Course, Settings

from client import filling as module
from client.filling import filling
from client.ledger import Entry, Ledger
from client.training import BARE
from ground.arrays import Array
from ground.errors import BudgetError, FederationError, PrivacyError
from privacy.accountant import Event
from tasks.study import Study

FREE = gapped.study()
SHARE = {"digital": np.array([0.0, 3.0, 5.0])}
KINDS = ("free", "distributed", "local", "masked")


@pytest.fixture(autouse=True)
def _gapped() -> Iterator[None]:
    with gapped.installed():
        yield


@pytest.fixture
def hospitals(tmp_path: Path) -> tuple[Settings, ...]:
    return gapped.hospitals(gapped.write(tmp_path / "hospitals"), tmp_path / "homes")


def points(study: Study, hospital: str, published: dict[str, Array] = SHARE, number: int = 1) -> Array:
    made = filling(TASK, study, hospital, published, number)
    assert made is not None
    return gapped.everybody(made.patients)[0].numpy()


def test_a_hospital_makes_its_share_of_each_stratum() -> None:
    made = filling(TASK, FREE, "brest", SHARE, 1)
    assert made is not None
    strata = TASK.stratify(made.patients)  # type: ignore[misc]
    np.testing.assert_array_equal(np.bincount(strata, minlength=3), [0, 3, 5])


def test_no_two_hospitals_make_the_same_patient() -> None:
    made = np.concatenate([points(FREE, name) for name in gapped.COUNTS])
    assert len(np.unique(made, axis=0)) == len(made) == 4 * 8
    assert not np.array_equal(points(FREE, "brest"), points(FREE.with_seed(2), "brest"))


def test_they_are_made_once_a_process_and_again_after_a_restart(monkeypatch: pytest.MonkeyPatch) -> None:
    before = points(FREE, "brest").copy()
    first = filling(TASK, FREE, "brest", SHARE, 1)
    with monkeypatch.context() as patch:
        patch.setattr(module, "simulated", None)
        assert filling(TASK, FREE, "brest", SHARE, 2).patients is first.patients  # type: ignore[union-attr]
    module._made.clear()
    assert points(FREE, "brest").tobytes() == before.tobytes()


def test_draws_are_a_round_s_own_and_a_hospital_s_own() -> None:
    seeds = {
        filling(TASK, FREE, name, SHARE, number).seed  # type: ignore[union-attr]
        for name in gapped.COUNTS
        for number in range(1, 6)
    }
    assert len(seeds) == 20


def test_what_another_seed_or_plan_made_is_let_go() -> None:
    for study in (FREE, FREE.with_seed(2)):
        for more in range(3):
            for name in gapped.COUNTS:
                points(study, name, {"digital": SHARE["digital"] + more})
            assert len(module._made) == len(gapped.COUNTS)


def test_nothing_is_made_where_nothing_is_planned_or_asked_for() -> None:
    assert filling(TASK, FREE, "brest", {}, 1) is None
    assert filling(TASK, FREE, "brest", {"digital": np.zeros(3)}, 1) is None
    assert filling(TASK, FREE.without_digital_patients(), "brest", SHARE, 1) is None
    assert filling(TASK, gapped.study(fill=False), "brest", SHARE, 1) is None


def test_a_coordinator_cannot_make_a_hospital_simulate_without_end() -> None:
    with pytest.raises(FederationError, match="the plan of digital patients is none of this study"):
        filling(TASK, FREE, "brest", {"digital": np.array([0.0, 0.0, 1e9])}, 1)


def test_the_log_says_how_many_and_nothing_of_any_patient(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="laennec.client"):
        points(FREE, "brest")
        points(FREE, "brest", number=2)
    assert [record.getMessage() for record in caplog.records] == [
        f"made 8 digital patients for study {FREE.digest[:12]}"
    ]


def entries(hospital: Settings) -> list[Entry]:
    assert hospital.home is not None
    with Ledger(hospital.home / "ledger.sqlite") as ledger:
        return ledger.history()


def booked(hospital: Settings) -> list[tuple[int | None, Event]]:
    return [(each.round, each.content) for each in entries(hospital) if isinstance(each.content, Event)]


@pytest.mark.parametrize("kind", KINDS)
def test_the_count_of_strata_is_an_entry_before_those_of_the_rounds(
    kind: str, hospitals: tuple[Settings, ...]
) -> None:
    terms = gapped.study(kind)
    Course(terms, hospitals, task=TASK).run()
    plan = terms.plan()
    count, step = (BARE, BARE) if plan is None else (plan.count_event(), plan.step_event(1))
    for each in hospitals:
        assert booked(each) == [(0, count), (1, step), (2, step)]
        kinds = [entry.kind for entry in entries(each)]
        assert kinds == ["reserve", "settle"] * (1 + gapped.ROUNDS)


def test_a_count_without_privacy_does_not_pass_a_budget(hospitals: tuple[Settings, ...]) -> None:
    brest = hospitals[1]
    assert brest.home is not None
    with Ledger(brest.home / "ledger.sqlite") as ledger:
        ledger.set_budget(brest.account, 100.0, 1e-3)
    with pytest.raises((PrivacyError, BudgetError)):
        Course(FREE, hospitals, task=TASK).run()
    assert booked(brest) == []


def test_a_hospital_whose_task_has_other_strata_is_refused(hospitals: tuple[Settings, ...]) -> None:
    """Its count does not fit the others', and nobody learns from a plan that is not theirs."""
    course = Course(FREE, hospitals, task=TASK)
    replies = course.ask()
    vector = replies["brest"].vector
    assert vector is not None
    for name in replies:
        replies[name] = replace(replies[name], vector=vector[:-1])
    with pytest.raises(FederationError, match="counted other strata than task plane"):
        course.go(replies)
