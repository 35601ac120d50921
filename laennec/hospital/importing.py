"""`laennec hospital import` and `release`: patients into the archive, and out of its quarantine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from ground.errors import UsageError
from ground.words import counted
from laennec import screen
from laennec.hospital.app import By, HomeOption, Json, hospital, opened, whoever

if TYPE_CHECKING:
    from client.archive import ImportReport

Folder = Annotated[
    Path,
    typer.Argument(
        metavar="DIR", help="The folder with the patients' files. It is only read.", show_default=False
    ),
]
TaskName = Annotated[
    str | None,
    typer.Option(
        "--task",
        metavar="TASK",
        help="Check at once which patients this task could read, and why not the others. Also says what the "
        "columns of tables without a header are.",
        show_default=False,
    ),
]
Find = Annotated[
    str | None,
    typer.Option(
        metavar="PATIENT",
        help="Import nothing; print which files in DIR the patient of that pseudonym came from.",
        show_default=False,
    ),
]
MOST_SHOWN = 20


@hospital.command("import")
def import_(
    folder: Folder, home: HomeOption = None, task: TaskName = None, find: Find = None, json: Json = False
) -> None:
    """Take DICOM, NIfTI and tables into the archive, de-identified, by patient.

    What was imported before is known again: after an interruption, run the
    same command. A patient with a damaged file, a missing slice or writing in
    a picture is set aside with the reason, and read by no study until a person
    releases her.
    """
    from client.archive import trace
    from client.bringing import bring

    place = opened(home)
    if find is not None:
        paths = [str(path) for path in trace(place.path, folder, find)]
        if not paths:
            raise UsageError(
                f"{folder}: no file in it was imported as that patient's: give the folder that was imported, "
                "and the pseudonym as `laennec hospital status` shows it"
            )
        screen.print_json(paths) if json else screen.out.print(
            "\n".join(paths), soft_wrap=True, highlight=False, markup=False
        )
        return
    found = _task(task)
    try:
        with _bar(quiet=json) as progress:
            report = bring(place, folder, found, progress)
    except KeyboardInterrupt:
        screen.err.print("Stopped. What was imported is kept; run the same command to go on.")
        raise typer.Exit(130) from None
    seen: dict[str, Any] = asdict(report)
    if found is not None:
        seen["task"] = _usable(place.path, found)
    if json:
        screen.print_json(seen)
    else:
        _print(place.path, report)
        if found is not None:
            _print_usable(seen["task"])


@hospital.command()
def release(
    patient: Annotated[
        str | None, typer.Argument(help="Her pseudonym, as status shows it.", show_default=False)
    ] = None,
    home: HomeOption = None,
    reason: Annotated[
        str | None,
        typer.Option(
            metavar="WORDS",
            help='All whom nothing else holds, in place of one patient: "images are missing".',
            show_default=False,
        ),
    ] = None,
    by: By = None,
    json: Json = False,
) -> None:
    """Let a patient pass who was set aside, once a person has looked at her.

    The journal notes who did. A reason that is found later sets her aside again.
    """
    from client import releasing

    if (patient is None) == (reason is None):
        raise UsageError("release needs a PATIENT, or --reason WORDS for all whom nothing else holds")
    place, who = opened(home), whoever(by)
    patients = [patient] if patient is not None else releasing.held_for(place, reason or "")
    released = [
        {"patient": each, "by": who, "reasons": releasing.release(place, each, who)} for each in patients
    ]
    if json:
        screen.print_json(released[0] if patient is not None else {"released": released})
        return
    for each in released:
        screen.out.print(
            f"{each['patient']} may be read again. She had been set aside because:", highlight=False
        )
        for text in each["reasons"]:
            screen.out.print(f"  {text}", soft_wrap=True, highlight=False)


def _task(name: str | None) -> Any:
    from tasks.registry import find

    return None if name is None else find(name)


def _print(home: Path, report: ImportReport) -> None:
    from client.archive import Archive
    from client.bringing import summary

    def say(line: str) -> None:
        screen.out.print(line, soft_wrap=True, highlight=False, markup=False)

    say(f"{summary(report)}.")
    if report.skipped:
        say("Not kept: " + ", ".join(f"{count} × {kind}" for kind, count in report.skipped.items()) + ".")
    if report.unplaced:
        many = f"{report.unplaced} damaged files do not say whose they are: send them again, or remove them."
        say(
            "1 damaged file does not say whose it is: send it again, or remove it."
            if report.unplaced == 1
            else many
        )
    for note in report.notes:
        say(f"Mind: {note}.")
    with Archive(home) as archive:
        status = archive.status()
    say(
        f"The archive has {counted(status.patients, 'patient')}: {status.usable} can be read, "
        f"{counted(len(status.quarantined), 'is', 'are')} set aside."
    )
    for each in status.quarantined[:MOST_SHOWN]:
        for reason in each.reasons:
            say(f"  {each.patient}  {reason.text}")
    if len(status.quarantined) > MOST_SHOWN:
        say(f"  and {len(status.quarantined) - MOST_SHOWN} more: `laennec hospital status`")
    if status.quarantined:
        say(
            "Look at them (import DIR --find PATIENT names the files), send what is missing and import again,"
        )
        say("or `laennec hospital release PATIENT`.")


def _usable(home: Path, task: Any) -> dict[str, Any]:
    """How many patients the task would read, and why not the others."""
    from client.archive import Archive, view_of
    from ground.errors import DataError

    view = view_of(home, task)
    seen: dict[str, Any] = {"name": task.name, "usable": 0, "left_out": view.reasons(), "refused": None}
    with Archive(home) as archive:
        aside = len(archive.quarantine())
    if aside:
        seen["left_out"] = {"set aside": aside, **seen["left_out"]}
    for source in view.sources:
        try:
            patients = task.read(Path(source))
        except DataError as error:
            seen["refused"] = str(error).removeprefix(f"{source}: ")
            continue
        seen["usable"] += len(patients)
        for why, count in patients.set_aside.items():
            seen["left_out"][why] = seen["left_out"].get(why, 0) + count
    return seen


def _print_usable(seen: dict[str, Any]) -> None:
    def say(line: str) -> None:
        screen.out.print(line, soft_wrap=True, highlight=False, markup=False)

    say(f"{seen['name']} could read {counted(seen['usable'], 'patient')}.")
    if seen["refused"]:
        say(f"  It refuses them all together: {seen['refused']}")
    for why, count in seen["left_out"].items():
        say(f"  {count} not: {why}")


@contextmanager
def _bar(*, quiet: bool) -> Iterator[Callable[[int, int], None]]:
    """A bar that moves on a terminal; elsewhere it is printed once, when it is full."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TextColumn("files"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=screen.err, disable=quiet) as bars:
        task = bars.add_task("import", total=None)
        try:
            yield lambda done, total: bars.update(task, completed=done, total=total)
        except BaseException:
            bars.remove_task(task)
            raise
