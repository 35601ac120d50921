"""What the backups of hospitals and of coordinators share on the command line."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ground.dated import named, thin
from ground.errors import UsageError
from laennec import screen

if TYPE_CHECKING:
    from ground.saving import Manifest

Target = Annotated[
    Path,
    typer.Argument(
        metavar="FILE",
        help="The backup, one tar file; or a folder, for a file named by date.",
        show_default=False,
    ),
]
File = Annotated[Path, typer.Argument(metavar="FILE", help="The backup, one tar file.", show_default=False)]
Keep = Annotated[
    int | None,
    typer.Option(
        min=1, metavar="N", help="In a folder: remove all but the newest N afterwards.", show_default=False
    ),
]
Yes = Annotated[bool, typer.Option("--yes", help="Without asking, once it was shown.")]


def target(file: Path, kind: str, keep: int | None) -> Path:
    """Where the backup goes; raises UsageError where older ones shall go and no folder is given."""
    if keep is not None and not file.is_dir():
        raise UsageError(f"{file}: is no folder: --keep is for one in which backups are named by date")
    return named(file, kind)


def finish(name: str, out: Path, made: Manifest, keep: int | None, *, json: bool) -> None:
    """Say what was written; take older backups away, now that there is a newer one."""
    kind = made.kind
    removed = [] if keep is None else thin(out.parent, kind, keep)
    size = out.stat().st_size
    if json:
        values = {"file": str(out), "bytes": size, "files": len(made.files), "made": made.made}
        screen.print_json(values | {"removed": [str(each) for each in removed]})
        return
    say(f"{name} is in {out}: {len(made.files)} files, {size / 1e6:.1f} MB, made {made.made}.")
    say("It holds private keys and is not encrypted: keep it where nobody else reads it.")


def say(text: str) -> None:
    """One line, as it is."""
    screen.out.print(text, soft_wrap=True, highlight=False, markup=False)
