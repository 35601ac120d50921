"""`laennec coordinator report` and `export`: what came of a study."""

from __future__ import annotations

import json as coder
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ground.errors import UsageError
from laennec import screen
from laennec.coordinator.app import HomeOption, Json, coordinator, opened
from laennec.coordinator.launch import Which

if TYPE_CHECKING:
    from server.coordinating.places import Places
    from server.home import CoordinatorHome

RESULTS = ("result.json", "report.html", "privacy.json", "model.safetensors", "study.toml")


@coordinator.command()
def report(
    study: Which,
    home: HomeOption = None,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Copy the results there.", show_default=False)
    ] = None,
    show: Annotated[bool, typer.Option("--open", help="Open the report in a browser.")] = False,
    json: Json = False,
) -> None:
    """A finished study: its table, what its privacy card says, and where the report lies."""
    from ground.files import write_atomically
    from server.results import READABLE

    places = _finished(opened(home), study)
    folder = places.folder
    if out is not None:
        if out.exists() and not out.is_dir():
            raise UsageError(f"{out}: is a file: give a folder with --out")
        for name in RESULTS:
            write_atomically(out / name, (folder / name).read_bytes(), READABLE)
        folder = out
    result = coder.loads((folder / "result.json").read_bytes())
    if json:
        screen.print_json(result)
    else:
        metrics = {each["name"]: each["metrics"] for each in result["hospitals"] if each["metrics"]}
        if metrics:
            mean = {name: result["metrics"][name] for name in next(iter(metrics.values()))}
            title = f"{result['study']}: test patients"
            screen.out.print(screen.hospitals_table(title, {**metrics, "mean": mean}))
        else:
            screen.out.print(
                "No hospital disclosed its metrics: the report says what the sums hold.", markup=False
            )
        screen.conclude(coder.loads((folder / "privacy.json").read_bytes()), folder)
    if show:
        typer.launch(str((folder / "report.html").resolve()))


@coordinator.command()
def export(
    study: Which,
    out: Annotated[Path, typer.Option(metavar="DIR", help="The folder to write.", show_default=False)],
    home: HomeOption = None,
    json: Json = False,
) -> None:
    """The model of a finished study, to be handed on: safetensors, ONNX, and a model card.

    The card begins with the hospital that the model serves worst. ONNX needs
    the extra laennec[onnx], and a task with digital patients to try it with.
    """
    from server.export import export as write

    made = write(_finished(opened(home), study).folder, out)
    if json:
        screen.print_json({"out": str(out), "files": made.files, "without": made.without})
        return
    screen.out.print(f"{out}: {', '.join(made.files)}", soft_wrap=True, highlight=False, markup=False)
    for name, why in made.without.items():
        screen.out.print(f"Without {name}: {why}.", style="yellow", highlight=False, markup=False)


def _finished(home: CoordinatorHome, which: str) -> Places:
    """Where the results of that study lie; raises UsageError where it has none yet."""
    from server.coordinating.places import places_of

    found = home.registry.studies.find(which)
    if found.state != "finished":
        raise UsageError(f"{found.name}: is {found.state}: `laennec coordinator status` shows it")
    return places_of(home, found.digest)
