"""The archive of a hospital, to read: who is in it, who is set aside and why, and their volumes."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from client.archive.examining import Series, series_of
from client.archive.geometry import Frame
from client.archive.index import FOLDER, PATIENTS, RESTORE, Index
from client.archive.volume import Volume, from_dicom, from_nifti
from ground.errors import StateError, UsageError


@dataclass(frozen=True)
class Reason:
    """Why a patient is set aside.

    Attributes:
        text: in plain words, without a value of hers.
        since: seconds since 1970.
        released_by: who looked and let her pass; "" while nobody did.
        released_at: when; 0 likewise.

    """

    text: str
    since: float
    released_by: str
    released_at: float


@dataclass(frozen=True)
class Quarantined:
    """A patient who is set aside, and why."""

    patient: str
    reasons: tuple[Reason, ...]


@dataclass(frozen=True)
class Status:
    """The archive at a glance.

    Attributes:
        patients: all of them.
        usable: those whom a study may read.
        waiting: those whose import was interrupted: import again.
        quarantined: those who are set aside.
        released: those who were, until a person let them pass.
        files: stored files.
        rows: rows of tables.
        bytes: of the stored files.
        revision: another one whenever the content changed.

    """

    patients: int
    usable: int
    waiting: int
    quarantined: tuple[Quarantined, ...]
    released: int
    files: int
    rows: int
    bytes: int
    revision: str


@dataclass(frozen=True)
class Image:
    """A stored NIfTI file: an image, or labels (`convention` then says which number is what, if told)."""

    name: str
    file: str
    base: str
    phase: str
    shape: tuple[int, ...]
    affine: tuple[tuple[float, ...], ...]
    is_label: bool
    convention: tuple[tuple[str, int], ...]
    digest: str


class Archive:
    """An open archive; raises StateError, in plain words, where it is damaged."""

    def __init__(self, home: Path) -> None:
        folder = Path(home).absolute() / FOLDER
        if not folder.is_dir():
            raise UsageError(f"{home}: no archive there: import patients with `laennec hospital import DIR`")
        self._index = Index(folder)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give the index back."""
        self._index.close()

    @property
    def folder(self) -> Path:
        """Where it lies."""
        return self._index.folder

    def patients(self) -> list[str]:
        """Pseudonyms of those whom a study may read: examined, and not set aside."""
        return self._column(
            "SELECT patient FROM patients WHERE ready AND patient NOT IN "
            "(SELECT patient FROM reasons WHERE released_by = '') ORDER BY patient"
        )

    def quarantine(self) -> list[Quarantined]:
        """Those who are set aside, with every reason that nobody released."""
        with self._index.look() as connection:
            rows = connection.execute(
                "SELECT patient, reason, min(since) FROM reasons WHERE released_by = '' "
                "GROUP BY patient, reason ORDER BY patient, reason"
            ).fetchall()
        found: dict[str, list[Reason]] = {}
        for patient, text, since in rows:
            found.setdefault(patient, []).append(Reason(text, since, "", 0.0))
        return [Quarantined(patient, tuple(reasons)) for patient, reasons in found.items()]

    def release(self, patient: str, by: str) -> tuple[str, ...]:
        """Let a patient pass whom somebody has looked at; the reasons that no longer hold her.

        Raises UsageError where she is not set aside, or nobody takes the responsibility. A reason that is
        found later sets her aside again.
        """
        if not by.strip():
            raise UsageError("a release needs a name: say who looked at the patient")
        held = next((each for each in self.quarantine() if each.patient == patient), None)
        if held is None:
            raise UsageError(f"{patient[:40]}: is not set aside here: `laennec hospital status` lists who is")
        with self._index.change() as connection:
            connection.execute(
                "UPDATE reasons SET released_by = ?, released_at = ? WHERE patient = ? AND released_by = ''",
                (by.strip(), time.time(), patient),
            )
        return tuple(each.text for each in held.reasons)

    def status(self) -> Status:
        """Counts, and who is set aside."""
        with self._index.look() as connection:
            one = connection.execute
            [patients] = one("SELECT count(*) FROM patients").fetchone()
            [waiting] = one("SELECT count(*) FROM patients WHERE NOT ready").fetchone()
            [released] = one("SELECT count(DISTINCT patient) FROM reasons WHERE released_by <> ''").fetchone()
            files, size = one("SELECT count(*), coalesce(sum(size), 0) FROM files").fetchone()
            [rows] = one("SELECT count(*) FROM rows").fetchone()
        return Status(
            *(patients, len(self.patients()), waiting, tuple(self.quarantine()), released, files, rows, size),
            self.revision(),
        )

    def revision(self) -> str:
        """Another text whenever the content, or who is set aside, has changed."""
        return self._index.meta("revision")

    def series(self, patient: str) -> list[Series]:
        """Her volumes from DICOM, by name."""
        return series_of(self._index, patient)

    def frames(self, patient: str) -> dict[str, list[Frame]]:
        """Every stored DICOM picture of hers by series, whether or not they make up a volume.

        A person who judges a patient has to see what sets her aside: also what lies nowhere in space.
        """
        with self._index.look() as connection:
            rows = connection.execute(
                "SELECT series, name, detail FROM files WHERE patient = ? AND kind = 'dicom' ORDER BY name",
                (patient,),
            ).fetchall()
        found: dict[str, list[Frame]] = {}
        for series, name, detail in rows:
            frames = [Frame.from_list(name, each) for each in json.loads(detail)["frames"]]
            found.setdefault(self._index.short("S-", series), []).extend(frames)
        return found

    def images(self, patient: str) -> list[Image]:
        """Her NIfTI files."""
        with self._index.look() as connection:
            rows = connection.execute(
                "SELECT series, name, kind, digest, detail FROM files WHERE patient = ? AND kind <> 'dicom' "
                "ORDER BY name",
                (patient,),
            ).fetchall()
        found = []
        for series, name, kind, digest, detail in rows:
            each = json.loads(detail)
            found.append(
                Image(
                    *(series, name, each["base"], each["phase"], tuple(each["shape"])),
                    tuple(tuple(row) for row in each["affine"]),
                    kind == "label",
                    tuple(sorted(each.get("labels", {}).items())),
                    digest,
                )
            )
        return found

    def rows(self) -> Iterator[tuple[str, dict[str, str]]]:
        """Pseudonym and cells of each row of a table, in the order of import."""
        with self._index.look() as connection:
            for patient, cells in connection.execute("SELECT patient, cells FROM rows ORDER BY number"):
                yield patient, json.loads(cells)

    def volume(self, patient: str, series: str) -> Volume:
        """Values and affine of one of her series or images, whether she is set aside or not.

        Raises UsageError where there is none of that name, StateError where a stored file is damaged.
        """
        for image in self.images(patient):
            if image.name == series:
                return from_nifti(self.content(image.file))
        for each in self.series(patient):
            if each.name == series:
                return from_dicom(each, self.content)
        raise UsageError(f"{patient[:40]}, {series[:40]}: no such series in this archive")

    def content(self, name: str) -> bytes:
        """The bytes of a stored file; raises StateError where they are not those that were stored."""
        with self._index.look() as connection:
            row = connection.execute("SELECT size, digest FROM files WHERE name = ?", (name,)).fetchone()
        path = self.folder / PATIENTS / name
        if row is None:
            raise StateError(f"{path}: the index does not know this file: {RESTORE}")
        try:
            raw = path.read_bytes()
        except OSError as error:
            raise StateError(f"{path}: a stored file is gone or cannot be read: {RESTORE}") from error
        if len(raw) != row[0]:
            raise StateError(f"{path}: a stored file has {len(raw)} bytes of {row[0]}: {RESTORE}")
        if sha256(raw).hexdigest() != row[1]:
            raise StateError(f"{path}: a stored file was changed since it was imported: {RESTORE}")
        return raw

    def check(self, *, thorough: bool = False) -> int:
        """Hold every stored file against the index, by size, or byte by byte; how many there are.

        Raises StateError that says how many are gone, short or changed.
        """
        wrong, count = 0, 0
        with self._index.look() as connection:
            for name, size in connection.execute("SELECT name, size FROM files"):
                count += 1
                if thorough:
                    try:
                        self.content(name)
                    except StateError:
                        wrong += 1
                    continue
                path = self.folder / PATIENTS / name
                wrong += not path.is_file() or path.stat().st_size != size
        if wrong:
            raise StateError(
                f"{self.folder}: {wrong} of {count} stored files are gone, short or changed: {RESTORE}"
            )
        return count

    def _column(self, query: str, values: tuple[Any, ...] = ()) -> list[str]:
        with self._index.look() as connection:
            return [str(row[0]) for row in connection.execute(query, values)]


@contextmanager
def opened(home: Path) -> Iterator[Archive]:
    """The archive of a home, closed afterwards."""
    archive = Archive(home)
    try:
        yield archive
    finally:
        archive.close()
