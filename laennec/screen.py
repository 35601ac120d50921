"""What a person sees: tables and progress bars. Machine-readable output goes to standard output untouched."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from rich.box import SIMPLE_HEAD
from rich.cells import cell_len
from rich.console import Console, Group
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from server.events import Event


class Follow(Protocol):
    """Starts a bar for so many rounds, some of them done already, and gives what moves it."""

    def __call__(
        self, label: str, total: int, done: int = 0, unit: str = "rounds"
    ) -> Callable[[Event], None]:
        """The watcher of that study's events; in another unit than rounds, of its digital start alone."""


Column = tuple[str, Sequence[str]]  # the heading, and a cell for each row

out = Console()
err = Console(stderr=True)


def print_json(values: object) -> None:
    """One JSON document on standard output."""
    print(json.dumps(values, indent=2, allow_nan=False, ensure_ascii=False))  # noqa: T201


@contextmanager
def bar(label: str, total: int, unit: str, *, quiet: bool) -> Iterator[Callable[[], None]]:
    """A bar for `total` things; calling what it gives says that one more is done."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TextColumn(unit),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=err, disable=quiet) as bars:
        task = bars.add_task(label, total=total)
        try:
            yield lambda: bars.advance(task)
        except BaseException:
            bars.remove_task(task)
            raise


def number(value: float | None) -> str:
    """Three decimals, or a dash for what is undefined."""
    return "–" if value is None else f"{value:.3f}"


@contextmanager
def rounds(*, quiet: bool) -> Iterator[Follow]:
    """Progress bars, one a study: calling with (label, rounds) gives the watcher of that study's events.

    On a terminal the bars move; elsewhere each is printed once, when it is full. Where an error ends the
    block, a bar that is not full is taken away, so that the error stands by itself.
    """
    columns = (
        TextColumn("{task.description:<26}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TextColumn("{task.fields[unit]}"),
        TimeElapsedColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with Progress(*columns, console=err, disable=quiet) as bars:

        def follow(label: str, total: int, done: int = 0, unit: str = "rounds") -> Callable[[Event], None]:
            bar = bars.add_task(label, total=total, completed=done, note="", unit=unit)
            seen = done + 1 if done else 0

            def watch(event: Event) -> None:
                from server.events import Advanced, Preparing

                nonlocal seen
                if unit != "rounds" and isinstance(event, Preparing):
                    bars.update(bar, completed=event.done, total=event.total)
                    return
                bars.update(bar, note=_note(event))
                if isinstance(event, Advanced):
                    # An evaluation of the model after a round; the one before the first is not a round, and
                    # a step of secure aggregation may bring none.
                    evaluations = len(event.progress.history)
                    bars.advance(bar, 1 if evaluations > 1 and evaluations != seen else 0)
                    if evaluations > seen and (why := event.progress.history[-1].abandoned):
                        bars.console.print(escape(f"abandoned: {why}"))
                    seen = evaluations
                    for hospital, why in event.left_out:
                        bars.console.print(escape(f"round {event.round}: without {hospital}: {why}"))

            return watch

        try:
            yield follow
        except BaseException:
            _take_away(bars)
            raise


def _take_away(bars: Progress) -> None:
    """Take away the bars that are not full; where no bar is left, no empty line may be left either."""
    for bar in bars.tasks:
        if not bar.finished:
            bars.remove_task(bar.id)
    if not bars.tasks:
        bars.live.transient = True
        bars.live.stop()
        bars.disable = True


def _note(event: Event) -> str:
    """What stands beside a bar: nothing, or whom the coordinator waits for."""
    from server.events import Preparing, Waiting

    if isinstance(event, Preparing) and event.done < event.total:
        return f"learning from digital patients, {100 * event.done // event.total} %"
    return event.sentence if isinstance(event, Waiting) else ""


def arms_table(result: Mapping[str, Any], width: int | None = None) -> Group:
    """The arms of a comparison, one a row: the mean, the worst hospital, then every hospital.

    Where that is wider than `width`, by default the terminal's, the hospitals follow in tables of their own.
    """
    headline, arms = result["headline"], list(result["arms"].values())
    seeds = max(arm["seeds"] for arm in arms)
    summary = [("mean", [number(arm["mean"][headline]) for arm in arms])]
    if seeds > 1:
        summary.append(("± sd", [_deviation(arm["sd_over_seeds"][headline]) for arm in arms]))
    worst = [arm["worst_hospital"] for arm in arms]
    summary.append(("worst", ["–" if each is None else number(each[headline]) for each in worst]))
    hospitals = [
        (name, [number(arm["hospitals"][name][headline]) for arm in arms]) for name in arms[0]["hospitals"]
    ]
    over = f", mean ± sd over {seeds} seeds" if seeds > 1 else ""
    title = f"{result['study']}: {headline} on test patients{over}"
    labels, width = ("", [arm["label"] for arm in arms]), width or out.width
    if _width([labels, *summary, *hospitals]) <= width:
        return _titled(title, [_table([labels, *summary, *hospitals])])
    return _titled(title, [_table([labels, *summary]), *_tables(labels, hospitals, width)])


def hospitals_table(
    title: str,
    metrics: Mapping[str, Mapping[str, float | None]],
    width: int | None = None,
    heading: str = "hospital",
) -> Group:
    """One row a hospital, one column a metric; in several tables where that is wider than `width`."""
    names = list(next(iter(metrics.values()), {}))
    columns = [(name, [number(values[name]) for values in metrics.values()]) for name in names]
    return _titled(title, _tables((heading, list(metrics)), columns, width or out.width))


def patients_table(
    title: str, patients: Sequence[Mapping[str, float | None]], headline: str, width: int | None = None
) -> Group:
    """One row a patient, by number; then the mean of those who have the value, and the worst by headline."""
    names = list(patients[0])
    known = [each for each in patients if each[headline] is not None]
    worst = min(known, key=lambda each: each[headline] or 0.0, default=None)
    columns = []
    for name in names:
        values = [each[name] for each in patients]
        defined = [value for value in values if value is not None]
        mean = sum(defined) / len(defined) if defined else None
        end = [number(mean), number(None if worst is None else worst[name])]
        columns.append((name, [*map(number, values), *end]))
    rows = [*(str(place + 1) for place in range(len(patients))), "mean", f"worst {headline}"]
    return _titled(title, _tables(("patient", rows), columns, width or out.width))


def _deviation(value: float | None) -> str:
    """Three decimals, or a plain 0 where every seed gave exactly the same."""
    return "0" if value == 0 else number(value)


def _titled(title: str, tables: Iterable[Table]) -> Group:
    """Tables below their title, an empty line before each."""
    return Group(Text(title, style="italic"), *(line for table in tables for line in ("", table)))


def _tables(labels: Column, columns: Iterable[Column], width: int) -> list[Table]:
    """As many columns side by side as fit, the labels again in every table."""
    groups = [[labels]]
    for column in columns:
        if len(groups[-1]) > 1 and _width([*groups[-1], column]) > width:
            groups.append([labels])
        groups[-1].append(column)
    return [_table(group) for group in groups]


def _table(columns: Sequence[Column]) -> Table:
    """Labels to the left, numbers to the right. What is wider than a screen is folded, never shortened."""
    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    for heading, _ in columns:
        table.add_column(Text(heading), justify="right" if table.columns else "left", overflow="fold")
    for row in zip(*(cells for _, cells in columns), strict=True):
        table.add_row(*map(Text, row))
    return table


def _width(columns: Sequence[Column]) -> int:
    """How many characters wide these columns are side by side, two between one and the next."""
    return sum(max(map(cell_len, (heading, *cells))) + 2 for heading, cells in columns) - 2


def conclude(card: Mapping[str, Any], folder: Path) -> None:
    """The card's sentence, in red where nothing is protected, its warnings, and where the report lies."""
    out.print()
    out.print(
        str(card["statement"]), style="" if card["protected"] else "bold red", markup=False, highlight=False
    )
    for warning in card["warnings"]:
        out.print(f"Mind: {warning}.", style="yellow", markup=False, highlight=False)
    out.print(f"Report: {folder / 'report.html'}", soft_wrap=True, markup=False, highlight=False)


@contextmanager
def attacks(*, quiet: bool) -> Iterator[Callable[[str, int], Callable[[], None]]]:
    """Progress bars, one an attack: calling with (label, steps) gives what moves the bar by one step."""
    columns = (
        TextColumn("{task.description:<26}"),
        BarColumn(bar_width=24),
        TaskProgressColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=err, disable=quiet) as bars:

        def begin(label: str, total: int) -> Callable[[], None]:
            bar = bars.add_task(label, total=total)
            return lambda: bars.advance(bar)

        try:
            yield begin
        except BaseException:
            _take_away(bars)
            raise


def audit_table(audit: Mapping[str, Any]) -> Group:
    """What was found of the study, the worst first; then the same attacks with protection taken away."""
    kinds = {True: "The study as it is:", False: "For comparison, with less protection or more in sight:"}
    parts: list[Text | Table | str] = [Text(f"{audit['study']}: audit, the worst case first", style="italic")]
    for own, heading in kinds.items():
        rows = [each for each in audit["findings"] if each["study"] is own]
        if not rows:
            continue
        table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
        for name in ("attack", "by whom", "measured", "beside it"):
            table.add_column(Text(name), overflow="fold")
        for each in rows:
            cells = [each[key] for key in ("attack", "attacker", "measured", "beside")]
            table.add_row(*map(Text, cells), style="bold red" if own and each["holds"] is False else "")
        parts += ["", Text(heading), table]
    return Group(*parts)
