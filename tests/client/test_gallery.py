from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pictured
import pytest

from client.gallery import galleries
from client.hospital import Settings, cohort
from ground.arrays import Array
from ground.errors import UsageError
from tasks.heart_disease.task import COMPLETE
from tasks.learners.model import vector_of
from tasks.patients import Patients

NAMES = ("cleveland", "hungary", "long-beach")


@pytest.fixture(autouse=True)
def _installed(monkeypatch: pytest.MonkeyPatch) -> None:
    pictured.install(monkeypatch)


@pytest.fixture
def nodes(tmp_path: Path) -> list[Settings]:
    files = {name: COMPLETE.export(COMPLETE.recipes(name, 30, 1), name, tmp_path) for name in NAMES}
    return [Settings(name, (str(file),), discloses=True) for name, file in files.items()]


def model() -> Array:
    return np.random.default_rng(1).normal(size=vector_of(COMPLETE.model()).size).astype(np.float32)


def test_every_hospital_that_discloses_shows_its_best_median_and_worst(nodes: list[Settings]) -> None:
    shown = galleries(pictured.TASK, model(), nodes)
    assert list(shown) == list(NAMES)
    for name, node in zip(NAMES, nodes, strict=True):
        count = len(cohort(pictured.NAME, node.sources).test)
        assert [each.title for each in shown[name]] == [
            f"{word} of {count}" for word in ("best", "median", "worst")
        ]
        assert all(each.png.startswith(b"\x89PNG") for each in shown[name])


def test_a_hospital_that_does_not_disclose_shows_nothing_and_draws_nothing(nodes: list[Settings]) -> None:
    drawn: list[Patients] = []

    nodes[1] = replace(nodes[1], discloses=False)
    assert list(galleries(pictured.TASK, model(), nodes)) == ["cleveland", "long-beach"]
    hidden = [replace(each, discloses=False) for each in nodes]
    watched = replace(pictured.TASK, gallery=lambda _, patients: drawn.append(patients) or [])
    assert galleries(watched, model(), hidden) == {}
    assert drawn == []
    assert Settings("lille", ("lille.csv",)).discloses is False


def test_only_test_patients_are_shown(nodes: list[Settings]) -> None:
    asked: list[Patients] = []
    watched = replace(pictured.TASK, gallery=lambda _, patients: asked.append(patients) or [])
    galleries(watched, model(), nodes)
    assert asked == [cohort(pictured.NAME, each.sources).test for each in nodes]


def test_a_task_that_draws_nothing_shows_nothing(nodes: list[Settings]) -> None:
    assert galleries(COMPLETE, model(), nodes) == {}


def test_labels_reach_the_task_and_a_task_that_reads_none_refuses_them(nodes: list[Settings]) -> None:
    galleries(pictured.TASK, model(), nodes[:1], (("lv", 3), ("rv", 1)))
    assert pictured.heard == [{"lv": 3, "rv": 1}]
    with pytest.raises(UsageError, match="task heart-disease reads no labelled images"):
        cohort(COMPLETE.name, nodes[0].sources, (("lv", 3),))
