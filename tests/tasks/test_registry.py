from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import pytest

from ground.errors import TaskError
from tasks import registry
from tasks.contract import Task
from tasks.registry import broken, find, installed


class Install(Protocol):
    """Puts a package with one entry point on the path."""

    def __call__(self, module: str, text: str, name: str = "mine") -> None:
        """The module's name and text, and what the entry point calls its TASK."""


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Packages that are gone after the test."""
    modules: list[str] = []

    def put(module: str, text: str, name: str = "mine") -> None:
        (tmp_path / f"{module}.py").write_text(text, encoding="utf-8")
        info = tmp_path / f"{module}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[{registry.GROUP}]\n{name} = {module}:TASK\n")
        monkeypatch.syspath_prepend(tmp_path)
        modules.append(module)
        registry._load.cache_clear()

    yield put
    for module in modules:
        sys.modules.pop(module, None)
    monkeypatch.undo()
    registry._load.cache_clear()


def renamed(name: str) -> str:
    return (
        "from dataclasses import replace\n"
        "from tasks.heart_disease.task import COMPLETE\n"
        f"TASK = replace(COMPLETE, name={name!r}, version=3)\n"
    )


def test_our_own_tasks_are_installed_in_alphabetical_order() -> None:
    names = list(installed())
    assert {"heart-disease", "heart-disease-full"} <= set(names)
    assert names == sorted(names)
    assert all(isinstance(task, Task) and task.name == name for name, task in installed().items())


def test_a_task_is_found_by_name_and_version() -> None:
    assert find("heart-disease") is find("heart-disease", 1) is installed()["heart-disease"]


def test_another_version_is_refused_with_both_versions_and_the_way_out() -> None:
    with pytest.raises(TaskError, match="in version 1, the study asks for version 2: install") as caught:
        find("heart-disease", 2)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["heart-diseases", "hart-disease"])
def test_an_unknown_task_suggests_the_nearest(name: str) -> None:
    with pytest.raises(TaskError, match=f"no task called {name} .*: did you mean heart-disease?"):
        find(name)


def test_an_unknown_task_like_no_other_gets_the_list() -> None:
    with pytest.raises(TaskError, match="installed are heart-disease, heart-disease-full"):
        find("zzz")


def test_a_task_of_another_package_is_found_through_its_entry_point(install: Install) -> None:
    install("visiting_task", renamed("visiting"))
    assert find("visiting", 3).name == "visiting"
    assert list(installed()) == sorted(installed())


def test_a_package_that_takes_the_name_of_another_task_is_refused(install: Install) -> None:
    install("impostor_task", renamed("heart-disease"))
    with pytest.raises(TaskError, match="two installed tasks are called heart-disease: uninstall one"):
        installed()


def test_an_entry_point_that_is_no_task_is_refused_by_name(install: Install) -> None:
    install("useless_task", "TASK = 'heart-disease'\n")
    with pytest.raises(TaskError, match=r"entry point mine in group laennec\.tasks is not a Task"):
        installed()


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("import a_module_that_nobody_has\n", "ModuleNotFoundError"),
        ("TASK = 1 / 0\n", "ZeroDivisionError"),
        ("", "AttributeError"),
        ("TASK = (\n", "SyntaxError"),
    ],
    ids=["missing module", "failing", "without the task", "no Python"],
)
def test_a_task_whose_package_is_broken_is_refused_with_package_exception_and_way_out(
    install: Install, text: str, error: str
) -> None:
    install("broken_task", text)
    with pytest.raises(TaskError) as caught:
        find("mine")
    assert str(caught.value) == (
        f"task mine cannot be loaded, its package broken_task is broken ({error}): reinstall or upgrade it"
    )


def test_a_broken_package_takes_no_other_task_down(install: Install) -> None:
    before = installed()
    install("broken_task", "TASK = 1 / 0\n")
    assert installed() == before
    assert list(broken()) == ["mine"]
    assert find("heart-disease") is before["heart-disease"]


def test_a_broken_package_cannot_hide_a_task_that_works(install: Install) -> None:
    install("broken_task", "TASK = 1 / 0\n", name="heart-disease")
    assert find("heart-disease").name == "heart-disease"


def test_a_broken_package_is_told_of_where_a_task_is_not_found(install: Install) -> None:
    """The name of an entry point need not be that of its task."""
    install("broken_task", "TASK = 1 / 0\n")
    with pytest.raises(TaskError, match=r"installed are heart-disease, .*; broken are mine$"):
        find("zzz")


def test_nothing_is_broken_where_every_package_loads(install: Install) -> None:
    install("visiting_task", renamed("visiting"))
    assert broken() == {}


def test_what_was_installed_for_a_test_is_gone_after_it() -> None:
    assert not {"visiting", "impostor"} & set(installed())
