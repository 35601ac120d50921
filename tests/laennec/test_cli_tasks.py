from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from calls import Laennec

from tasks import registry
from tasks.registry import find, installed


def test_the_tasks_installed_here_are_listed(laennec: Laennec) -> None:
    finished = laennec("tasks")
    assert finished.code == 0
    assert all(name in finished.out for name in installed())


def test_the_list_in_json_has_one_entry_for_each_task(laennec: Laennec) -> None:
    listed = json.loads(laennec("tasks", "--json").out)
    assert [each["name"] for each in listed] == list(installed())
    assert listed[0].keys() == {"name", "version", "summary", "headline", "strata"}


@pytest.fixture
def broken_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A package `broken-package` with the entry point `stroke`, whose module is missing."""
    info = tmp_path / "broken_package-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: broken-package\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[{registry.GROUP}]\nstroke = absent_module:TASK\n")
    monkeypatch.syspath_prepend(tmp_path)
    registry._load.cache_clear()
    yield
    monkeypatch.undo()
    registry._load.cache_clear()


@pytest.mark.usefixtures("broken_package")
def test_a_task_whose_package_is_broken_is_listed_as_such_in_the_last_line(laennec: Laennec) -> None:
    finished = laennec("tasks")
    assert (finished.code, finished.err) == (0, "")
    assert finished.out.splitlines()[-1] == (
        "Broken: stroke (package broken-package, ModuleNotFoundError): reinstall or upgrade"
    )


@pytest.mark.usefixtures("broken_package")
def test_a_task_whose_package_is_broken_is_one_line_of_wrong_use(laennec: Laennec) -> None:
    finished = laennec("tasks", "stroke")
    assert (finished.code, finished.out) == (2, "")
    assert finished.err == (
        "error: task stroke cannot be loaded, its package broken-package is broken (ModuleNotFoundError): "
        "reinstall or upgrade it\n"
    )


def test_one_task_shows_every_column_and_its_guide(laennec: Laennec) -> None:
    finished = laennec("tasks", "heart-disease")
    assert finished.code == 0
    assert all(column.name in finished.out for column in find("heart-disease").schema)
    assert "processed.cleveland.data" in finished.out


def test_one_task_in_json_has_its_schema_with_null_for_what_is_open(laennec: Laennec) -> None:
    task = json.loads(laennec("tasks", "heart-disease", "--json").out)
    assert [column["name"] for column in task["schema"]] == [c.name for c in find("heart-disease").schema]
    age, sex = task["schema"][:2]
    assert (age["low"], age["high"]) == (0, 120)
    assert (sex["low"], sex["high"], sex["categories"]) == (None, None, [0, 1])
    assert task["guide"] == find("heart-disease").guide


def test_digital_patients_are_written_where_data_is_taken_from(laennec: Laennec, tmp_path: Path) -> None:
    arguments = ("heart-disease", "--stratum", "cleveland", "--count", 15, "--out", tmp_path)
    finished = laennec("patients", *arguments)
    assert (finished.code, finished.out.startswith("15 digital patients: ")) == (0, True)
    assert find("heart-disease").hospitals(tmp_path) == {"cleveland": tmp_path / "cleveland.csv"}
    first = (tmp_path / "cleveland.csv").read_bytes()
    assert json.loads(laennec("patients", *arguments, "--seed", 2, "--json").out) == {
        "task": "heart-disease",
        "stratum": "cleveland",
        "count": 15,
        "seed": 2,
        "table": str(tmp_path / "cleveland.csv"),
    }
    assert (tmp_path / "cleveland.csv").read_bytes() != first
