"""Patients are brought into the archive, and the journal says how many: for the command line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from client.archive import ImportReport, import_folder
from client.home import Home
from client.journal import Journal
from ground.words import counted

if TYPE_CHECKING:
    from tasks.contract import Task


def bring(
    home: Home,
    folder: Path,
    task: Task | None = None,
    progress: Callable[[int, int], None] = lambda _, __: None,
) -> ImportReport:
    """Import the folder; a line of the journal for what came in, and one for who was set aside. Counts only.

    Raises as `import_folder`.
    """
    report = import_folder(home.path, folder, task, progress)
    journal = Journal(home.path)
    if report.stored or report.rows or report.damaged or report.conflicting:
        journal.write("person", "import", detail=summary(report))
    if report.newly:
        why = "; ".join(f"{count} × {kind}" for kind, count in report.newly.items())
        journal.write(
            "node", "quarantine", detail=f"patients set aside: {why}; now {report.quarantined} in all"
        )
    return report


def summary(report: ImportReport) -> str:
    """What came in, in one phrase."""
    new = [counted(report.stored, "file")] if report.stored or not report.rows else []
    new += [counted(report.rows, "row")] if report.rows else []
    rest = {
        "known before": report.known,
        "not kept since another file has their identifier (its patients are set aside)": report.conflicting,
        "damaged": report.damaged,
    }
    said = [f"{count} {what}" for what, count in rest.items() if count]
    return ", ".join([f"{' and '.join(new)} imported", *said])
