"""The tasks installed here: our own by name, others through the entry point group `laennec.tasks`."""

from __future__ import annotations

import difflib
import logging
from functools import lru_cache
from importlib.metadata import entry_points

from ground.errors import TaskError
from tasks.contract import Task

GROUP = "laennec.tasks"
log = logging.getLogger("laennec.tasks")


@lru_cache(maxsize=1)
def installed() -> dict[str, Task]:
    """Every task that can be run here, by name, in alphabetical order.

    Raises TaskError where two of them claim one name, so that an installed package cannot stand in
    for a task that somebody approved.
    """
    from tasks.heart_disease.task import COMPLETE, FULL

    tasks = [COMPLETE, FULL]
    for entry in entry_points(group=GROUP):
        try:
            task = entry.load()
        except Exception as error:  # somebody's package: it must not take the others down
            log.warning(
                "task %s cannot be loaded (%s): reinstall its package", entry.name, type(error).__name__
            )
            continue
        if not isinstance(task, Task):
            raise TaskError(f"entry point {entry.name} in group {GROUP} is not a Task: fix that package")
        tasks.append(task)
    found: dict[str, Task] = {}
    for task in sorted(tasks, key=lambda each: each.name):
        if task.name in found:
            raise TaskError(f"two installed tasks are called {task.name}: uninstall one of the packages")
        found[task.name] = task
    return found


def find(name: str, version: int | None = None) -> Task:
    """The task of that name, and of that version where one is given; raises TaskError."""
    tasks = installed()
    if name not in tasks:
        near = difflib.get_close_matches(name, tasks, n=1)
        advice = f"did you mean {near[0]}?" if near else f"installed are {', '.join(tasks)}"
        raise TaskError(f"no task called {name} is installed here: {advice}")
    task = tasks[name]
    if version is not None and task.version != version:
        raise TaskError(
            f"task {name} is installed in version {task.version}, the study asks for version {version}: "
            "install that version, or launch the study anew"
        )
    return task
