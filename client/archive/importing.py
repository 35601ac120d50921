"""`laennec hospital import`: a folder of the hospital's goes into the archive, file by file.

Streams: at no time is more than one file, and a batch of short rows, in memory. What was imported before is
known by its path, size and time without being read again, and by its identifier where it was moved.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from client.archive import contours, nifti, tables
from client.archive.batch import Batch, Counts, Source
from client.archive.examining import examine, kind_of, waiting
from client.archive.index import FOLDER, Index
from client.archive.reading import Read, looks_like_dicom
from client.archive.workers import Readers, how_many
from client.deidentify import Pseudonyms
from client.deidentify.pseudonyms import FILE as KEY_FILE
from ground.errors import StateError, UsageError
from ground.files import locked
from ground.words import counted

if TYPE_CHECKING:
    from tasks.contract import Task

PACKED = (".zip", ".tar", ".tgz", ".tar.gz", ".tar.xz", ".tar.bz2", ".7z", ".rar")
BUSY = "another import into this home is running: wait for it"


@dataclass(frozen=True)
class ImportReport:
    """What an import did.

    Attributes:
        stored: new files in the archive.
        known: files that were there before.
        conflicting: files with the identifier of a stored one and other content, or another patient; they are
            not kept, and their patients are set aside.
        rows: new or changed rows of tables.
        damaged: files that could not be read; their patients are set aside.
        unplaced: damaged files of which nobody knows whose they are.
        skipped: kinds of files that the archive does not keep, and how many.
        patients: pseudonyms of those who are in the archive now.
        quarantined: how many of them are set aside.
        newly: kind of reason -> how many patients are set aside for it since this import.
        notes: what a person should know.

    """

    stored: int
    known: int
    conflicting: int
    rows: int
    damaged: int
    unplaced: int
    skipped: dict[str, int]
    patients: int
    quarantined: int
    newly: dict[str, int]
    notes: tuple[str, ...]


def import_folder(
    home: Path,
    folder: Path,
    task: Task | None = None,
    progress: Callable[[int, int], None] = lambda _, __: None,
    fault: Callable[[str], None] = lambda _: None,
    workers: int | None = None,
) -> ImportReport:
    """Import what lies in the folder and below it; it is only read.

    `progress` is told how many files are done, of how many. `task` names the columns of tables without a
    header. `workers` is the number of processes that read; None leaves it to the number of files and
    processors. Raises UsageError where there is no such folder, StateError where the disk refuses or the
    archive is damaged.
    """
    if not folder.is_dir():
        raise UsageError(f"{folder}: no such folder: give the one that holds the patients' files")
    own = Path(home).absolute() / FOLDER
    own.mkdir(mode=0o700, parents=True, exist_ok=True)
    with locked(own / ".lock", 1.0, BUSY):
        index = Index(own)
        try:
            return _Import(index, Path(home), folder, task, progress, fault, workers).run()
        finally:
            index.close()


def trace(home: Path, folder: Path, patient: str) -> Iterator[Path]:
    """The files in the folder that an import took for that patient's; raises as `import_folder`."""
    if not folder.is_dir():
        raise UsageError(f"{folder}: no such folder: give the one that was imported")
    index = Index(Path(home).absolute() / FOLDER)
    try:
        for _, files in _walk(folder, index.folder):
            for path in files:
                with index.look() as connection:
                    found = connection.execute(
                        "SELECT 1 FROM sources WHERE source = ? AND patient = ?",
                        (index.source(path), patient),
                    ).fetchone()
                if found:
                    yield path
    finally:
        index.close()


class _Import:
    def __init__(
        self,
        index: Index,
        home: Path,
        folder: Path,
        task: Task | None,
        progress: Callable[[int, int], None],
        fault: Callable[[str], None],
        workers: int | None,
    ) -> None:
        self._workers = workers
        self._index, self._folder, self._task = index, folder, task
        self._progress, self._fault = progress, fault
        self._pseudonyms = self._own(home)
        self._counts = Counts()
        self._notes: dict[str, None] = {}
        self._contours: list[Path] = []
        self._unplaced = 0
        self._before = self._held()

    def _own(self, home: Path) -> Pseudonyms:
        """The home's; a lost key is not made anew beside patients whom the old one named."""
        if not (home / KEY_FILE).exists() and self._patients():
            raise StateError(
                f"{home / KEY_FILE}: is gone: restore it from a backup; a new one would give every patient a "
                "second pseudonym"
            )
        return Pseudonyms.of(home)

    def _patients(self) -> int:
        with self._index.look() as connection:
            [count] = connection.execute("SELECT count(*) FROM patients").fetchone()
        return int(count)

    def run(self) -> ImportReport:
        total = sum(len(files) for _, files in _walk(self._folder, self._index.folder))
        batch = Batch(self._index, self._counts, self._fault)
        count = how_many(total) if self._workers is None else self._workers
        done = 0
        try:
            with Readers(self._pseudonyms, count) as readers:
                for _, files in _walk(self._folder, self._index.folder):
                    owners: set[str] = set()
                    lost: list[Source] = []
                    for (path, source), reads in readers.ahead(self._new(files, owners)):
                        if source is not None:
                            self._one(batch, path, source, reads, owners, lost)
                        done += 1
                        self._progress(done, total)
                    self._place(batch, owners, lost)
            batch.commit()
            self._draw(batch)
        finally:
            batch.close()
        for patient in waiting(self._index):
            examine(self._index, patient)
            self._fault("examined")
        return self._report()

    def _new(
        self, files: list[Path], owners: set[str]
    ) -> Iterator[tuple[tuple[Path, Source | None], Path | None, int]]:
        """Each file with its source, where it must be read; its path again where it is DICOM, and its size"""
        for path in files:
            try:
                status = path.stat()
                source = Source(self._index.source(path), status.st_size, status.st_mtime_ns)
                before = self._outcome(source)
                if before is None:
                    is_dicom = looks_like_dicom(path)
                    yield (path, source), path if is_dicom else None, source.size if is_dicom else 0
                    continue
            except OSError:
                self._skip("cannot be read")
            else:
                outcome, patient = before
                if outcome == "conflicting":
                    self._counts.conflicting += 1
                elif outcome in ("stored", "known", "damaged", "table"):
                    self._counts.known += 1
                else:
                    self._skip(outcome)
                if patient:
                    owners.add(patient)
            yield (path, None), None, 0

    def _one(
        self,
        batch: Batch,
        path: Path,
        source: Source,
        dicom: Callable[[], list[Read]],
        owners: set[str],
        lost: list[Source],
    ) -> None:
        """One file: read, or counted as something else; an error in it stays with its patient."""
        try:
            reads = dicom() or self._read(batch, path, source)
        except OSError:
            self._skip("cannot be read")
            return
        for read in reads:
            if read.patient:
                owners.add(read.patient)
            elif read.outcome == "damaged":
                lost.append(source)
        reads = [read for read in reads if read.patient or read.outcome == "skipped"]
        if reads:
            batch.add(source, reads)

    def _read(self, batch: Batch, path: Path, source: Source) -> list[Read]:
        """What a file that is not DICOM gives."""
        name = path.name.lower()
        if name.endswith(nifti.ENDINGS):
            return [nifti.read_nifti(path, self._folder, self._index, self._pseudonyms)]
        if tables.is_table(path, self._task):
            sheet = tables.read(path, self._task, self._pseudonyms)
            self._notes |= dict.fromkeys(sheet.notes)
            if sheet.rows:
                batch.add_rows(source, sheet.rows)
            else:
                self._skip("table without patients' values")
        elif contours.is_contour(path):
            self._contours.append(path)  # drawn when all images are in, which may come later
        elif name.endswith(PACKED):
            self._notes["packed files (zip, tar) are not opened: unpack them first"] = None
            self._skip("packed")
        else:
            self._skip("neither image nor table")
        return []

    def _draw(self, batch: Batch) -> None:
        """Contour files become labels of the images that they were drawn on."""
        if not self._contours:
            return
        drawn = contours.draw(self._contours, self._folder, self._index, self._pseudonyms)
        for source, read in drawn.labels:
            if self._outcome(source) is None:
                batch.add(source, [read])
            else:
                self._counts.known += 1
        batch.commit()
        for kind, count in drawn.skipped.items():
            self._counts.skipped[kind] = self._counts.skipped.get(kind, 0) + count
        if drawn.contours:
            images = {read.patient for _, read in drawn.labels}
            self._notes[
                f"{counted(drawn.contours, 'contour')} of the left cavity became labels of "
                f"{counted(len(images), 'patient')}"
            ] = None

    def _place(self, batch: Batch, owners: set[str], lost: list[Source]) -> None:
        """A damaged file that does not say whose it is belongs to whom the rest of its folder belongs to."""
        for source in lost:
            if len(owners) == 1:
                [patient] = owners
                batch.add(source, [Read("damaged", "dicom", patient, ("a file is damaged or cut short",))])
            else:
                self._unplaced += 1

    def _outcome(self, source: Source) -> tuple[str, str] | None:
        with self._index.look() as connection:
            row: tuple[str, str] | None = connection.execute(
                "SELECT outcome, patient FROM sources WHERE source = ? AND size = ? AND modified = ?",
                (source.key, source.size, source.modified),
            ).fetchone()
        return row

    def _held(self) -> set[tuple[str, str]]:
        """Who is set aside, and for what kind of reason: without numbers, which may be hers alone."""
        with self._index.look() as connection:
            rows = connection.execute("SELECT patient, reason FROM reasons WHERE released_by = ''").fetchall()
        return {(patient, kind_of(reason)) for patient, reason in rows}

    def _skip(self, kind: str) -> None:
        self._counts.skipped[kind] = self._counts.skipped.get(kind, 0) + 1

    def _report(self) -> ImportReport:
        counts, held = self._counts, self._held()
        return ImportReport(
            counts.stored,
            counts.known,
            counts.conflicting,
            counts.rows,
            counts.damaged,
            self._unplaced,
            dict(sorted(counts.skipped.items())),
            self._patients(),
            len({patient for patient, _ in held}),
            dict(Counter(kind for _, kind in sorted(held - self._before))),
            tuple(self._notes),
        )


def _walk(folder: Path, own: Path) -> Iterator[tuple[Path, list[Path]]]:
    """Each folder and its files, by name; hidden ones and the archive itself are left out."""
    for root, folders, files in os.walk(folder):
        here = Path(root)
        folders[:] = sorted(each for each in folders if each[:1] != "." and (here / each).absolute() != own)
        yield here, [here / each for each in sorted(files) if each[:1] != "."]
