"""Files go in by batches: written, fsynced together, and then named by one transaction of the index.

Killed before that transaction, the batch was never there; after it, it is there for good. One fsync a file
waits for the disk each time; a batch's fsyncs are asked for together, so that the file system answers with
few of its own.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from client.archive.index import PATIENTS, Index, disk_refuses
from client.archive.reading import Read
from ground.files import sync

FILES, BYTES = 128, 64 << 20  # a batch is committed when it has so many of either
FAULTS = ("written", "synced", "inserted", "committed", "examined")
REPEATED = "two images have the same identifier and different content"
OTHERS = "an image has the same identifier as one of another patient"
SAME_ROW = "two rows of one table are of the same patient"


@dataclass(frozen=True)
class Source:
    """A file of the hospital's, as the index knows it.

    Attributes:
        key: digest of its path.
        size: bytes.
        modified: ns.

    """

    key: str
    size: int
    modified: int


@dataclass
class Counts:
    """What became of the files so far."""

    stored: int = 0
    known: int = 0
    conflicting: int = 0
    damaged: int = 0
    rows: int = 0
    skipped: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Row:
    """One patient's row of a table, without what identifies her."""

    patient: str
    sheet: str
    cells: dict[str, str]


class Batch:
    """What has been written and not been committed yet."""

    def __init__(self, index: Index, counts: Counts, fault: Callable[[str], None]) -> None:
        self._index, self._counts, self._fault = index, counts, fault
        self._syncing = ThreadPoolExecutor(8, thread_name_prefix="fsync")
        self._known_folders: set[Path] = set()
        self._empty()

    def close(self) -> None:
        """Forget what was not committed: the index does not know it."""
        self._syncing.shutdown(wait=True, cancel_futures=True)

    def add(self, source: Source, reads: Sequence[Read]) -> None:
        """What one file gave; commits where the batch is full. Raises StateError where the disk refuses."""
        for read in reads:
            if read.outcome == "stored":
                self._store(source, read)
            else:
                self._note(source, read)
        if len(self._sources) >= FILES or self._bytes >= BYTES:
            self.commit()

    def add_rows(self, source: Source, rows: Sequence[Row]) -> None:
        """A table's rows, all in the transaction that says that the table was read."""
        self.commit()
        with self._index.change() as connection:
            seen: set[str] = set()
            connection.execute("DELETE FROM reasons WHERE source = ?", (source.key,))
            for row in rows:
                if row.patient in seen:
                    self._reason(row.patient, source.key, SAME_ROW)
                    continue
                seen.add(row.patient)
                cells = json.dumps(row.cells)
                changed = connection.execute(
                    "INSERT INTO rows (patient, sheet, source, cells) VALUES (?, ?, ?, ?) "
                    "ON CONFLICT (patient, sheet) DO UPDATE "
                    "SET source = excluded.source, cells = excluded.cells WHERE cells <> excluded.cells",
                    (row.patient, row.sheet, source.key, cells),
                ).rowcount
                self._counts.rows += changed
                self._counts.known += 1 - changed
                if changed:
                    self._touch(row.patient)
            self._seen(source, "table", "")
        self._fault("committed")

    def commit(self) -> None:
        """Make what was added durable and visible."""
        if not self._sources:
            return
        try:
            # Whatever order the threads take: all are done, or none is named.
            list(self._syncing.map(sync, self._open))
            for folder in sorted(self._folders):
                sync(folder)
        except OSError as error:
            raise disk_refuses(self._index.folder) from error
        self._fault("synced")
        with self._index.change() as connection:
            for source, outcome, patient in self._sources:
                connection.execute("DELETE FROM reasons WHERE source = ?", (source.key,))
                self._seen(source, outcome, patient)
            for patient, source_key, reason in self._reasons:
                self._reason(patient, source_key, reason)
            replaced = [name for file in self._files.values() for name in self._replaced(file)]
            connection.executemany(
                "INSERT INTO files VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", list(self._files.values())
            )
            for patient in self._patients:
                self._touch(patient)
            self._fault("inserted")
        self._fault("committed")
        for name in replaced:
            (self._index.folder / PATIENTS / name).unlink(missing_ok=True)
        self._empty()

    def _replaced(self, file: tuple[object, ...]) -> list[str]:
        """Older files in whose place this one comes: of no identifier of their own, from the same path."""
        _, patient, series, _, uid, *_ = file
        if uid is not None:
            return []
        rows = self._index.connection.execute(
            "DELETE FROM files WHERE patient = ? AND series = ? AND uid IS NULL RETURNING name",
            (patient, series),
        ).fetchall()
        return [str(row[0]) for row in rows]

    def _store(self, source: Source, read: Read) -> None:
        uid = read.uid or read.identity
        name = f"{read.patient}/{sha256(f'{read.patient} {uid}'.encode()).hexdigest()[:32]}{_ending(read)}"
        known = self._content_of(read.uid, name)
        if known is not None:
            owner, identity = known
            wrong = OTHERS if owner != read.patient else "" if identity == read.identity else REPEATED
            reasons = (*read.reasons, wrong) if wrong else read.reasons
            self._note(source, Read("conflicting" if wrong else "known", read.kind, read.patient, reasons))
            if owner != read.patient:  # hers may be the wrong one as well
                self._patients.add(owner)
                self._reasons.append((owner, source.key, OTHERS))
            return
        self._write(name, read.content)
        detail = json.dumps(read.detail, separators=(",", ":"))
        self._files[name] = (
            *(name, read.patient, read.series, read.kind, read.uid, len(read.content)),
            *(sha256(read.content).hexdigest(), read.identity, detail),
        )
        self._uids[read.uid or name] = (read.patient, read.identity)
        self._note(source, read)
        self._fault("written")

    def _note(self, source: Source, read: Read) -> None:
        outcome = read.outcome
        if outcome == "skipped":
            self._counts.skipped[read.kind] = self._counts.skipped.get(read.kind, 0) + 1
        else:
            setattr(self._counts, outcome, getattr(self._counts, outcome) + 1)
        self._sources.append((source, read.kind if outcome == "skipped" else outcome, read.patient))
        if read.patient and outcome != "skipped":
            self._patients.add(read.patient)
            self._reasons += [(read.patient, source.key, reason) for reason in read.reasons]

    def _content_of(self, uid: str | None, name: str) -> tuple[str, str] | None:
        """Patient and content of the stored or waiting file of that instance."""
        waiting = self._uids.get(uid or name)
        if waiting is not None:
            return waiting
        with self._index.look() as connection:
            row: tuple[str, str] | None = connection.execute(
                "SELECT patient, content FROM files WHERE uid = ? OR name = ?", (uid, name)
            ).fetchone()
        return row

    def _write(self, name: str, content: bytes) -> None:
        path = self._index.folder / PATIENTS / name
        try:
            if path.parent not in self._known_folders:
                path.parent.parent.mkdir(mode=0o700, exist_ok=True)
                path.parent.mkdir(mode=0o700, exist_ok=True)
                self._folders |= {path.parent.parent, path.parent.parent.parent}
                self._known_folders.add(path.parent)
                if len(self._known_folders) > 4096:  # memory stays flat
                    self._known_folders.clear()
            with path.open("wb") as stream:
                os.fchmod(stream.fileno(), 0o600)
                stream.write(content)
        except OSError as error:
            path.unlink(missing_ok=True)
            raise disk_refuses(self._index.folder) from error
        self._folders.add(path.parent)
        self._open.append(path)
        self._bytes += len(content)

    def _seen(self, source: Source, outcome: str, patient: str) -> None:
        self._index.connection.execute(
            "INSERT OR REPLACE INTO sources VALUES (?, ?, ?, ?, ?)",
            (source.key, source.size, source.modified, outcome, patient),
        )

    def _reason(self, patient: str, source: str, reason: str) -> None:
        self._touch(patient)
        self._index.connection.execute(
            "INSERT OR IGNORE INTO reasons (patient, source, reason, since) VALUES (?, ?, ?, ?)",
            (patient, source, reason, time.time()),
        )

    def _touch(self, patient: str) -> None:
        self._index.connection.execute(
            "INSERT INTO patients VALUES (?, 0) ON CONFLICT (patient) DO UPDATE SET ready = 0", (patient,)
        )

    def _empty(self) -> None:
        self._files: dict[str, tuple[object, ...]] = {}
        self._uids: dict[str, tuple[str, str]] = {}
        self._sources: list[tuple[Source, str, str]] = []
        self._reasons: list[tuple[str, str, str]] = []
        self._patients: set[str] = set()
        self._open: list[Path] = []
        self._folders: set[Path] = set()
        self._bytes = 0


def _ending(read: Read) -> str:
    return ".dcm" if read.kind == "dicom" else ".nii.gz"
