"""`laennec schema`: a hospital's schema.toml, drafted from its tables and checked against them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from laennec import screen


def schema(
    folder: Annotated[Path, typer.Argument(help="Folder of the hospital's tables.", show_default=False)],
    study: Annotated[
        Path | None, typer.Option(help="Check it against what this study asks for.", show_default=False)
    ] = None,
    json: Annotated[
        bool, typer.Option("--json", help="Print JSON on standard output, and nothing else.")
    ] = False,
) -> None:
    """A hospital's schema.toml: drafted where there is none, else checked. Lists who is set aside."""
    from dataclasses import asdict

    from ground.files import write_atomically
    from tasks.channels.draft import draft
    from tasks.channels.listing import listed
    from tasks.channels.schema import FILE

    file = folder / FILE
    if not file.exists():
        write_atomically(file, draft(folder))
        if json:
            screen.print_json({"drafted": str(file)})
        else:
            screen.out.print(f"Drafted {file}: correct units, ranges and codes, then run this again.")
        return
    found = listed(folder, study)
    if json:
        screen.print_json(asdict(found))
        return
    for line in found.lines():
        screen.out.print(line, markup=False, highlight=False)
