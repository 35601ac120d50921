"""What `Task.read` takes, built from the archive: a folder of scans and labels, or a table.

One view a task and revision of the archive, under HOME/archive/views. Whoever is set aside, or does not fit
the task, is not in it. Volumes are written once and linked from every view that holds them.
"""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from client.archive.examining import Series
from client.archive.index import PATIENTS
from client.archive.store import Archive, Image
from ground.errors import DataError
from ground.files import locked, write_atomically

if TYPE_CHECKING:
    from tasks.contract import Task

FOLDER, MADE = "views", "made"
KEPT, VERDICTS = "view.json", "verdicts.json"
Convention = tuple[tuple[str, int], ...]
NOTHING = "nothing of hers is what this task reads"


@dataclass(frozen=True)
class View:
    """What a task would read of this archive.

    Attributes:
        sources: the paths for `Task.read`.
        left_out: pseudonym -> why she is not in them; those who are set aside are not counted here.
        patients: how many are in them.

    """

    sources: tuple[str, ...]
    left_out: dict[str, str] = field(default_factory=dict)
    patients: int = 0

    def reasons(self) -> dict[str, int]:
        """Why patients are left out, and how many for each reason."""
        return dict(Counter(self.left_out.values()).most_common())

    def to_json(self) -> str:
        """As it is kept beside the data."""
        return json.dumps({"sources": self.sources, "left_out": self.left_out, "patients": self.patients})

    @staticmethod
    def from_json(text: str) -> View:
        """The inverse of `to_json`."""
        kept = json.loads(text)
        return View(tuple(kept["sources"]), kept["left_out"], kept["patients"])


def sources(home: Path, task: Task) -> tuple[str, ...]:
    """What `task.read` takes of this home's archive; raises DataError where no patient fits the task."""
    view = view_of(home, task)
    if not view.sources:
        raise DataError(
            f"{home}: no patient in the archive fits {task.name}: "
            f"`laennec hospital import DIR --task {task.name}` says why"
        )
    return view.sources


def view_of(home: Path, task: Task) -> View:
    """The view of the present revision, made where it is not there yet."""
    with Archive(home) as archive:
        folder = archive.folder / FOLDER / task.name
        with locked(
            folder / ".lock", 600.0, f"{home}: another process is preparing the data of {task.name}: wait"
        ):
            kept = folder / archive.revision() / KEPT
            if kept.is_file():
                return View.from_json(kept.read_text("utf-8"))
            view = _scans(archive, task, folder) if reads_scans(task) else View(())
            if not view.sources:
                table = _table(archive, task, folder)
                view = table if table.sources or not view.left_out else view
            write_atomically(kept, view.to_json())
            _tidy(folder, archive.revision())
        return view


def reads_scans(task: Task) -> bool:
    """Whether the task reads short-axis scans with labels; `infarct` reads those as well as tables."""
    return {"image", "label"} <= {column.name for column in task.schema} or task.name == "infarct"


# Tables.


def _table(archive: Archive, task: Task, folder: Path) -> View:
    left_out: dict[str, str] = {}
    rows: list[dict[str, str]] = []
    usable = set(archive.patients())
    for patient, cells in archive.rows():
        if patient not in usable:
            continue
        row, why = _fitted(cells, task)
        if row is None:
            left_out.setdefault(patient, why)
        else:
            rows.append(row)
            left_out.pop(patient, None)
    if not rows:
        return View((), left_out)
    file = folder / archive.revision() / "patients.csv"
    header = list(dict.fromkeys(name for row in rows for name in row))
    if task.name != "infarct":
        header = [column.name for column in task.schema]
    text = io.StringIO()
    writer = csv.DictWriter(text, header, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_atomically(file, text.getvalue())
    return View((str(file),), left_out, len(rows))


def _fitted(cells: Mapping[str, str], task: Task) -> tuple[dict[str, str] | None, str]:
    """The row as the task reads it; None and why, where it does not."""
    from tasks.tables import check_row

    if task.name == "infarct":
        from tasks.infarct.tables import is_column

        fitting = {name: cell for name, cell in cells.items() if is_column(name)}
        return (fitting, "") if "infarct" in fitting and len(fitting) > 1 else (None, NOTHING)
    missing = [column.name for column in task.schema if column.name not in cells]
    if missing:
        return None, f"no column {missing[0]}" if len(missing) < len(task.schema) else NOTHING
    row = {column.name: _plain(cells[column.name]) for column in task.schema}
    try:
        check_row("", list(row.values()), task.schema)
    except DataError as error:
        return None, str(error).removeprefix(", ").split(":")[0] + ": " + str(error).split(": ")[1]
    return row, ""


def _plain(cell: str) -> str:
    from client.archive.tables import MISSING

    return "?" if cell.lower() in MISSING else cell


# Scans.


@dataclass(frozen=True)
class _Pair:
    """An image and its labels, as files of the archive, and the name of their phase ("" for a cine)."""

    image: Path
    labels: Path
    phase: str


def _scans(archive: Archive, task: Task, folder: Path) -> View:
    from tasks.hearts import scans

    before, verdicts = _verdicts(folder), {}

    left_out: dict[str, str] = {}
    found: dict[Convention, dict[str, list[_Pair]]] = {}
    for patient in archive.patients():
        try:
            pairs, convention = _pairs(archive, patient)
            if pairs:
                key = _key(task, pairs, convention)
                verdicts[key] = before.get(key)
                if verdicts[key] is None:  # new, or changed: read once, and remembered
                    verdicts[key] = _verdict(folder / "trial", patient, pairs, convention, scans.read)
                if verdicts[key]:
                    left_out[patient] = str(verdicts[key])
                    continue
                found.setdefault(convention, {})[patient] = pairs
            else:
                left_out[patient] = _why_not(archive, patient)
        except DataError as error:
            left_out[patient] = _without_place(str(error))
    write_atomically(folder / VERDICTS, json.dumps(verdicts))
    view = folder / archive.revision()
    made = []
    for number, (convention, patients) in enumerate(sorted(found.items()), start=1):
        hospital = view / f"labels-{number}"
        if not hospital.is_dir():
            new = view / f".labels-{number}.new"
            shutil.rmtree(new, ignore_errors=True)
            for patient, pairs in patients.items():
                _lay_out(new / patient, patient, pairs)
            _say(new, convention)
            new.replace(hospital)
        made.append(str(hospital))
    return View(tuple(made), left_out, sum(len(each) for each in found.values()))


def _pairs(archive: Archive, patient: str) -> tuple[list[_Pair], Convention]:
    """The labelled image with the most slices, or its phases; other labels are held against DICOM."""
    stored = archive.folder / PATIENTS
    images = archive.images(patient)
    groups: dict[str, list[_Pair]] = {}
    sizes: dict[str, int] = {}
    conventions: dict[str, Convention] = {}
    for label in (each for each in images if each.is_label):
        image = next((each for each in images if _shows(each, label)), None)
        if image is not None:
            if not _same_grid(image.affine, image.shape, label):
                raise DataError("labels do not lie on their image's grid")
            pair = _Pair(stored / image.file, stored / label.file, label.phase)
        else:
            series = next((each for each in archive.series(patient) if _matches(each, label)), None)
            if series is None:
                continue
            pair = _Pair(_made(archive, patient, series), stored / label.file, "")
        groups.setdefault(label.base, []).append(pair)
        sizes[label.base] = max(sizes.get(label.base, 0), label.shape[2] if len(label.shape) > 2 else 1)
        conventions[label.base] = label.convention
    if not groups:
        return [], ()
    best = max(sorted(groups), key=lambda each: sizes[each])
    return groups[best], conventions[best]


def _shows(image: Image, label: Image) -> bool:
    return not image.is_label and (image.base, image.phase) == (label.base, label.phase)


def _matches(series: Series, label: Image) -> bool:
    """Whether labels drawn elsewhere lie on the series' own grid, mirrored or not."""
    columns, rows, slices, phases = series.shape
    times = label.shape[3] if len(label.shape) > 3 else 1
    return times == phases and _same_grid(series.affine, (columns, rows, slices), label)


def _same_grid(affine: object, shape: tuple[int, ...], label: Image) -> bool:
    """Whether two grids have their corners in the same places, within half a voxel of their own."""
    mine, hers = np.asarray(affine, dtype=np.float64), np.asarray(label.affine)
    voxel = np.linalg.norm(mine[:3, :3], axis=0).min()
    one, other = _corners(mine, shape), _corners(hers, label.shape)
    far = np.linalg.norm(one[:, None] - other[None], axis=-1)
    sizes_agree = sorted(_three(shape)) == sorted(_three(label.shape))
    return sizes_agree and bool(
        (far.min(axis=0) < 0.5 * voxel).all() and (far.min(axis=1) < 0.5 * voxel).all()
    )


def _three(shape: tuple[int, ...]) -> tuple[int, ...]:
    return (*shape, 1, 1)[:3]


def _corners(
    affine: np.ndarray[tuple[int, ...], np.dtype[np.float64]], shape: tuple[int, ...]
) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    ends = np.array(np.meshgrid(*[(0, n - 1) for n in _three(shape)], indexing="ij")).reshape(3, -1)
    corners: np.ndarray[tuple[int, ...], np.dtype[np.float64]] = (affine[:3, :3] @ ends + affine[:3, 3:]).T
    return corners


def _made(archive: Archive, patient: str, series: Series) -> Path:
    """The series as NIfTI, written once and again when one of its files changed."""
    names = [frame.file for here in series.stack.frames for frame in here]
    key = sha256("\n".join(names).encode()).hexdigest()[:16]
    file = archive.folder / FOLDER / MADE / patient / f"{series.name}-{key}.nii.gz"
    if not file.is_file():
        archive.volume(patient, series.name).write(file)
    return file


def _lay_out(folder: Path, patient: str, pairs: list[_Pair]) -> None:
    """Links in the layout of `tasks.hearts.scans`: one name, so that phases are of one patient."""
    folder.mkdir(mode=0o700, parents=True)
    for pair in pairs:
        name = f"{patient}_{pair.phase}" if pair.phase else patient
        for target, link in ((pair.image, f"{name}.nii.gz"), (pair.labels, f"{name}_gt.nii.gz")):
            os.link(target, folder / link)


def _verdict(
    trial: Path,
    patient: str,
    pairs: list[_Pair],
    convention: Convention,
    read: Callable[[Path], object],
) -> str:
    """Read her alone: why the task could not; "" where it can."""
    with _scratch(trial) as folder:
        _lay_out(folder / patient, patient, pairs)
        _say(folder, convention)
        try:
            read(folder)
        except DataError as error:
            return _without_place(str(error))
    return ""


def _verdicts(folder: Path) -> dict[str, str | None]:
    """What was found of each patient's files before; {} where that is not known."""
    try:
        kept: dict[str, str | None] = json.loads((folder / VERDICTS).read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return kept


def _key(task: Task, pairs: list[_Pair], convention: Convention) -> str:
    """The name of a verdict: another one where the files, their labels or the task's version changed."""
    files = [(str(each.image), str(each.labels), each.phase) for each in pairs]
    return sha256(repr((task.name, task.version, files, convention)).encode()).hexdigest()[:32]


@contextmanager
def _scratch(folder: Path) -> Iterator[Path]:
    shutil.rmtree(folder, ignore_errors=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _say(folder: Path, convention: Convention) -> None:
    from tasks.hearts import conventions

    if convention:
        lines = "".join(f"{name} = {number}\n" for name, number in convention)
        write_atomically(folder / conventions.FILE, f"[labels]\n{lines}")


def _why_not(archive: Archive, patient: str) -> str:
    images = archive.images(patient)
    if any(each.is_label for each in images):
        return "labels lie on the grid of none of her images"
    return "no labels" if images or archive.series(patient) else NOTHING


def _without_place(text: str) -> str:
    """A reader's words without the folder, which is ours, and without what to do about it."""
    _, named, rest = text.rpartition("in order of names: ")
    if not named and "/" in text.partition(": ")[0]:
        rest = text.partition(": ")[2]
    return rest.partition(": ")[0]


def _tidy(folder: Path, revision: str) -> None:
    """Views of older revisions go, but the latest of them, which a study may still be reading."""
    old = sorted(
        (each for each in folder.iterdir() if each.is_dir() and each.name not in (revision, "trial")),
        key=lambda each: each.stat().st_mtime,
    )
    for each in old[:-1]:
        shutil.rmtree(each, ignore_errors=True)
