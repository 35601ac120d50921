"""`laennec hospital doctor`: each line good, or what to do."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import typer
from rich.table import Table
from rich.text import Text

from laennec import screen
from laennec.hospital.app import HomeOption, Json, hospital


@hospital.command()
def doctor(home: HomeOption = None, json: Json = False) -> None:
    """Whether this home is fit to take part: each line is good, or says what to do.

    Exit status 1 where a line is not good. Nothing is changed.
    """
    from client.doctor import examine

    found = examine(home or Path())
    if json:
        screen.print_json([asdict(check) for check in found])
    else:
        table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
        table.add_column(no_wrap=True)
        table.add_column(style="bold", no_wrap=True)
        table.add_column(overflow="fold")
        for check in found:
            mark = Text("good", "green") if check.good else Text("bad", "bold red")
            table.add_row(mark, check.name, Text(check.text))
            if check.todo:
                table.add_row("", "", Text(f"→ {check.todo}", "yellow"))
        screen.out.print(table)
    if not all(check.good for check in found):
        raise typer.Exit(1)
