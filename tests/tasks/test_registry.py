from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ground.errors import TaskError
from tasks import registry
from tasks.contract import Task
from tasks.registry import find, installed

Install = Callable[[str, str], None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Put a package with one entry point on the path: the module's text, and what the entry names in it."""

    def put(module: str, text: str) -> None:
        (tmp_path / f"{module}.py").write_text(text, encoding="utf-8")
        info = tmp_path / f"{module}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[{registry.GROUP}]\nmine = {module}:TASK\n")
        monkeypatch.syspath_prepend(tmp_path)
        installed.cache_clear()

    yield put
    monkeypatch.undo()
    installed.cache_clear()


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


def test_what_was_installed_for_a_test_is_gone_after_it() -> None:
    assert not {"visiting", "impostor"} & set(installed())
