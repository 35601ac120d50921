"""What a person sees: tables and progress bars. Machine-readable output goes to standard output untouched."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

if TYPE_CHECKING:
    from server.events import Event


class Follow(Protocol):
    """Starts a bar for so many rounds, some of them done already, and gives what moves it."""

    def __call__(self, label: str, total: int, done: int = 0) -> Callable[[Event], None]:
        """The watcher of that study's events."""


out = Console()
err = Console(stderr=True)


def print_json(values: object) -> None:
    """One JSON document on standard output."""
    print(json.dumps(values, indent=2, allow_nan=False, ensure_ascii=False))  # noqa: T201


def number(value: float | None) -> str:
    """Three decimals, or a dash for what is undefined."""
    return "–" if value is None else f"{value:.3f}"


@contextmanager
def rounds(*, quiet: bool) -> Iterator[Follow]:
    """Progress bars, one a study: calling with (label, rounds) gives the watcher of that study's events.

    On a terminal the bars move; elsewhere each is printed once, when it is full.
    """
    columns = (
        TextColumn("{task.description:<26}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TextColumn("rounds"),
        TimeElapsedColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with Progress(*columns, console=err, disable=quiet) as bars:

        def follow(label: str, total: int, done: int = 0) -> Callable[[Event], None]:
            bar = bars.add_task(label, total=total, completed=done, note="")

            def watch(event: Event) -> None:
                from server.events import Advanced

                bars.update(bar, note=_note(event))
                if isinstance(event, Advanced):
                    # An evaluation of the model after a round; the one before the first is not a round.
                    bars.advance(bar, 1 if len(event.progress.history) > 1 else 0)
                    for hospital, why in event.left_out:
                        bars.console.print(escape(f"round {event.round}: without {hospital}: {why}"))

            return watch

        yield follow


def _note(event: Event) -> str:
    """What stands beside a bar: nothing, or whom the coordinator waits for."""
    from server.events import Waiting

    if not isinstance(event, Waiting):
        return ""
    return f"waiting for {', '.join(event.hospitals)}, {event.seconds:.0f} s of {event.limit:.0f} s"


def arms_table(result: Mapping[str, Any]) -> Table:
    """The arms of a comparison side by side, worst hospital last."""
    headline, arms = result["headline"], result["arms"]
    several = max(arm["seeds"] for arm in arms.values()) > 1
    seeds = f", mean ± sd over {max(arm['seeds'] for arm in arms.values())} seeds" if several else ""
    table = Table(title=f"{result['study']}: {headline} on each hospital's test patients{seeds}")
    table.add_column("", no_wrap=True)
    hospitals = list(next(iter(arms.values()))["hospitals"])
    for name in ("mean", *hospitals, "worst"):
        table.add_column(name, justify="right")
    for arm in arms.values():
        mean = number(arm["mean"][headline])
        if several:
            mean += f" ± {number(arm['sd_over_seeds'][headline])}"
        worst = arm["worst_hospital"]
        cells = [number(arm["hospitals"][name][headline]) for name in hospitals]
        table.add_row(arm["label"], mean, *cells, "–" if worst is None else number(worst[headline]))
    return table


def hospitals_table(title: str, metrics: Mapping[str, Mapping[str, float | None]]) -> Table:
    """One row a hospital, one column a metric."""
    table = Table(title=title)
    table.add_column("hospital")
    names = list(next(iter(metrics.values()), {}))
    for name in names:
        table.add_column(name, justify="right")
    for hospital, values in metrics.items():
        table.add_row(hospital, *[number(values[name]) for name in names])
    return table


def conclude(card: Mapping[str, Any], folder: Path) -> None:
    """The card's sentence, in red where nothing is protected, its warnings, and where the report lies."""
    out.print(
        str(card["statement"]), style="" if card["protected"] else "bold red", markup=False, highlight=False
    )
    for warning in card["warnings"]:
        out.print(f"Mind: {warning}.", style="yellow", markup=False, highlight=False)
    out.print(f"Report: {folder / 'report.html'}", soft_wrap=True, markup=False, highlight=False)
