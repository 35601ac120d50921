"""The tasks installed here: our own by name, others through the entry point group `laennec.tasks`."""

from __future__ import annotations

import difflib
import hashlib
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points

from ground.errors import StudyError, TaskError
from tasks.contract import Task

GROUP = "laennec.tasks"
# What studies' options made of tasks, by the name that it has in this process.
_specialised: dict[str, Task] = {}


@dataclass(frozen=True)
class Broken:
    """A task whose package is installed and cannot be loaded.

    Attributes:
        name: what its entry point calls the task.
        package: the distribution that it came with.
        error: the kind of exception that loading it ended in.

    """

    name: str
    package: str
    error: str


def installed() -> dict[str, Task]:
    """Every task that can be run here, by name, in alphabetical order.

    Raises TaskError where two of them claim one name, so that an installed package cannot stand in
    for a task that somebody approved.
    """
    return _load()[0]


def broken() -> dict[str, Broken]:
    """Every task whose package cannot be loaded, by name, in alphabetical order; raises as `installed`."""
    return _load()[1]


def find(name: str, version: int | None = None, options: str = "") -> Task:
    """The task of that name, and of that version where one is given; raises TaskError.

    With a study's `options` it is the task that they make of it, which is called NAME#DIGEST: from then on
    this process finds it under that name too. Raises StudyError where they do not fit.
    """
    if name in _specialised:
        return _specialised[name]
    task = _find(name, version)
    if not options:
        return task
    if task.specialised is None:
        raise StudyError(f"task {name} has no options: leave the [options] table out")
    called = f"{name}#{hashlib.sha256(options.encode()).hexdigest()[:12]}"
    if called not in _specialised:
        _specialised[called] = replace(task.specialised(task, options), name=called)
    return _specialised[called]


def _find(name: str, version: int | None) -> Task:
    tasks = installed()
    if name not in tasks:
        raise TaskError(_why_not(name))
    task = tasks[name]
    if version is not None and task.version != version:
        raise TaskError(
            f"task {name} is installed in version {task.version}, the study asks for version {version}: "
            "install that version, or launch the study anew"
        )
    return task


@lru_cache(maxsize=1)
def _load() -> tuple[dict[str, Task], dict[str, Broken]]:
    """The tasks that can be run here and those that cannot be loaded, each by name."""
    from tasks.heart_disease.task import COMPLETE, FULL
    from tasks.heterogeneous.task import TASK as HETEROGENEOUS
    from tasks.imaging_genetics.task import TASK as IMAGING_GENETICS
    from tasks.infarct.task import INFARCT
    from tasks.ventricle_segmentation.task import TASK as SEGMENTATION

    tasks, failed = [COMPLETE, FULL, HETEROGENEOUS, IMAGING_GENETICS, INFARCT, SEGMENTATION], []
    for entry in entry_points(group=GROUP):
        try:
            task = entry.load()
        except Exception as error:  # somebody's package: it must not take the others down
            failed.append(Broken(entry.name, _package(entry), type(error).__name__))
            continue
        if not isinstance(task, Task):
            raise TaskError(f"entry point {entry.name} in group {GROUP} is not a Task: fix that package")
        tasks.append(task)
    found: dict[str, Task] = {}
    for task in sorted(tasks, key=lambda each: each.name):
        if task.name in found:
            raise TaskError(f"two installed tasks are called {task.name}: uninstall one of the packages")
        found[task.name] = task
    return found, {each.name: each for each in sorted(failed, key=lambda each: each.name)}


def _package(entry: EntryPoint) -> str:
    """The distribution of an entry point, as pip calls it; its module where the distribution is unknown."""
    return entry.module if entry.dist is None else entry.dist.name


def _why_not(name: str) -> str:
    """Why there is no task of that name, and what to do."""
    tasks, failed = _load()
    if name in failed:
        package, error = failed[name].package, failed[name].error
        return (
            f"task {name} cannot be loaded, its package {package} is broken ({error}): "
            "reinstall or upgrade it"
        )
    near = difflib.get_close_matches(name, [*tasks, *failed], n=1)
    if near:
        return f"no task called {name} is installed here: did you mean {near[0]}?"
    # The name of an entry point need not be that of its task: a broken package may be the one.
    others = f"; broken are {', '.join(failed)}" if failed else ""
    return f"no task called {name} is installed here: installed are {', '.join(tasks)}{others}"
