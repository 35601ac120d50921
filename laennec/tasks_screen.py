"""`laennec tasks`: the list, and one task in full."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rich.markdown import Markdown
from rich.table import Table

from laennec import screen

if TYPE_CHECKING:
    from tasks.contract import Column, Task
    from tasks.registry import Broken


def show_all(tasks: Mapping[str, Task], broken: Iterable[Broken], *, json: bool) -> None:
    """Name, version and summary of each; for a person also which ones cannot be loaded."""
    if json:
        screen.print_json([_summary(task) for task in tasks.values()])
        return
    table = Table(title="Tasks installed here")
    for heading in ("name", "version", "what is learned", "digital patients"):
        table.add_column(heading, no_wrap=heading in ("name", "version"))
    for task in tasks.values():
        table.add_row(task.name, str(task.version), task.summary, ", ".join(task.strata) or "none")
    screen.out.print(table)
    screen.out.print("What data one wants: laennec tasks NAME")
    failed = ", ".join(f"{each.name} (package {each.package}, {each.error})" for each in broken)
    if failed:
        screen.out.print(
            f"Broken: {failed}: reinstall or upgrade",
            style="red",
            soft_wrap=True,
            markup=False,
            highlight=False,
        )


def show_one(task: Task, *, json: bool) -> None:
    """What is measured in a patient, and the task's own guide."""
    if json:
        schema = [{k: _finite(v) for k, v in asdict(column).items()} for column in task.schema]
        screen.print_json({**_summary(task), "schema": schema, "guide": task.guide})
        return
    table = Table(title=f"{task.name} {task.version}: one patient")
    for heading in ("column", "meaning", "admissible", "missing"):
        table.add_column(heading, no_wrap=heading in ("column", "missing"))
    for column in task.schema:
        table.add_row(column.name, column.meaning, _admissible(column), "" if column.required else "allowed")
    screen.out.print(table)
    screen.out.print(Markdown(task.guide))


def _summary(task: Task) -> dict[str, Any]:
    return {
        "name": task.name,
        "version": task.version,
        "summary": task.summary,
        "headline": task.headline,
        "strata": list(task.strata),
    }


def _admissible(column: Column) -> str:
    if column.categories:
        return ", ".join(f"{code:g}" for code in column.categories)
    return f"{column.low:g} to {column.high:g} {column.unit}".rstrip()


def _finite(value: object) -> object:
    """JSON has no infinity: an open end is null."""
    return None if value in (float("inf"), float("-inf")) else value
