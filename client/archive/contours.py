"""Contours that experts drew, in text files beside DICOM images, as labels of those images.

The layout is Sunnybrook's (Radau et al., 2009): `…/PATIENT/…/IM-0001-0048-icontour-manual.txt` is drawn
on image 48 of PATIENT, one point a line, column and row from the middle of the first pixel. The image is
the DICOM file called `48.dcm` or `IM-0001-0048.dcm` in or below a folder called PATIENT, or called as a
table in a folder above says in its columns `patient_id` and `original_id`. Contours of the left cavity
(`icontour`) become labels: what is stored is a mask on the images' own grid, under the patient's
pseudonym, and no name of a file.
"""

from __future__ import annotations

import csv
import gzip
import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from client.archive.batch import Source
from client.archive.examining import Series, series_of
from client.archive.geometry import Stack
from client.archive.index import Index
from client.archive.reading import Read, looks_like_dicom, quiet
from client.deidentify import Pseudonyms

NAME = re.compile(r".*?(\d+)-([a-z]+\d?)contour-[a-z]+\.txt", re.IGNORECASE)
IMAGE = re.compile(r"(?:IM-\d+-)?0*(\d+)(\.dcm|\.ima|\.dicom)?", re.IGNORECASE)
CAVITY = "i"
CONVENTION = {"lv": 3}  # as in ACDC and in `laennec patients`
OTHER = "contour of something else than the left cavity"
NO_IMAGE = "contour on an image that is not here"
UNREADABLE = "a contour cannot be read, or leaves its image"
MOST_POINTS = 10_000

Points = npt.NDArray[np.float64]


@dataclass
class Drawn:
    """What came of contour files.

    Attributes:
        labels: one a series of images, to be stored, or a patient's unreadable contour.
        skipped: kinds of contours that did not become labels, and how many.
        contours: how many did.

    """

    labels: list[tuple[Source, Read]] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)
    contours: int = 0


def is_contour(path: Path) -> bool:
    """Whether the file is called as contours are."""
    return NAME.fullmatch(path.name) is not None


def draw(paths: Sequence[Path], root: Path, index: Index, pseudonyms: Pseudonyms) -> Drawn:
    """Labels from the contour files of the import of `root`, whose images are in the archive already.

    Raises OSError where a file cannot be read.
    """
    drawn = Drawn()
    images = _Images(root, index, pseudonyms)
    patients: dict[str, dict[str, list[Path]]] = {}
    for path in paths:
        if _part(path) != CAVITY:
            drawn.skipped[OTHER] += 1
            continue
        found = images.of(path)
        if found is None:
            drawn.skipped[NO_IMAGE] += 1
            continue
        patient, file = found
        patients.setdefault(patient, {}).setdefault(file, []).append(path)
    for patient, files in patients.items():
        left = dict(files)
        for series in series_of(index, patient):
            mine = {name: left.pop(name) for name in _places(series.stack) if name in left}
            if mine:
                drawn.labels.append(_label(index, patient, series, mine, drawn))
        drawn.skipped[NO_IMAGE] += sum(len(each) for each in left.values())
    drawn.skipped = +drawn.skipped
    return drawn


class _Images:
    """Which stored image a contour file was drawn on."""

    def __init__(self, root: Path, index: Index, pseudonyms: Pseudonyms) -> None:
        self._root, self._index, self._pseudonyms = root, index, pseudonyms
        self._folders: dict[str, list[Path]] = {}
        for above, folders, _ in os.walk(root):
            folders[:] = sorted(each for each in folders if each[:1] != ".")
            for each in folders:
                self._folders.setdefault(each, []).append(Path(above) / each)
        self._numbers: dict[str, dict[int, Path | None]] = {}
        self._links: dict[Path, dict[str, str]] = {}

    def of(self, contour: Path) -> tuple[str, str] | None:
        """Pseudonym and stored file; None where no image, or more than one, fits."""
        match = NAME.fullmatch(contour.name)
        number = int(match[1]) if match else -1
        for name in self._names(contour):
            numbers = self._numbered(name)
            if numbers:  # the patient's own folder: no other will do
                path = numbers.get(number)
                return None if path is None else self._stored(path)
        return None

    def _names(self, contour: Path) -> Iterator[str]:
        """What the folder with the images may be called, the likeliest first."""
        above = [each for each in contour.parents if each.is_relative_to(self._root)]
        for folder in above:
            for holder in above:
                linked = self._linked(holder).get(folder.name)
                if linked is not None:
                    yield linked
            yield folder.name

    def _linked(self, folder: Path) -> dict[str, str]:
        """What tables in the folder say: original name -> name of the patient."""
        if folder not in self._links:
            self._links[folder] = {}
            for path in sorted(folder.glob("*.csv")):
                self._links[folder] |= _link(path)
        return self._links[folder]

    def _numbered(self, name: str) -> dict[int, Path | None]:
        """Images in and below the folders of that name by number; None for a number that two have."""
        if name not in self._numbers:
            found: dict[int, Path | None] = {}
            for folder in self._folders.get(name, []):
                for path in (each for each in sorted(folder.rglob("*")) if each.is_file()):
                    match = IMAGE.fullmatch(path.name)
                    if match and looks_like_dicom(path):
                        found[int(match[1])] = None if int(match[1]) in found else path
            self._numbers[name] = found
        return self._numbers[name]

    def _stored(self, path: Path) -> tuple[str, str] | None:
        from pydicom import dcmread

        try:
            with quiet():
                header = dcmread(
                    path, force=True, stop_before_pixels=True, specific_tags=["PatientID", "SOPInstanceUID"]
                )
                patient = self._pseudonyms.patient(str(header.PatientID))
                uid = self._pseudonyms.uid(str(header.SOPInstanceUID))
        except Exception:  # whatever a damaged file makes the parser raise
            return None
        with self._index.look() as connection:
            row = connection.execute(
                "SELECT name FROM files WHERE uid = ? AND patient = ? AND kind = 'dicom'", (uid, patient)
            ).fetchone()
        return None if row is None else (patient, str(row[0]))


def _part(path: Path) -> str:
    """What was drawn: "i" for the cavity, "o" for the wall's outside, "p1" for a papillary muscle."""
    match = NAME.fullmatch(path.name)
    return match[2].lower() if match else ""


def _link(path: Path) -> dict[str, str]:
    """Original name -> name of the patient, where the table has these two columns."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            rows = csv.reader(stream)
            header = [re.sub(r"[\W_]", "", each).lower() for each in next(rows, [])]
            if not {"patientid", "originalid"} <= set(header):
                return {}
            new, old = header.index("patientid"), header.index("originalid")
            return {row[old].strip(): row[new].strip() for row in rows if len(row) > max(new, old)}
    except (OSError, UnicodeDecodeError, csv.Error):
        return {}


def _whole(stack: Stack) -> Stack:
    """The slices that a volume of this stack is made of."""
    return Stack(tuple(each for each in stack.frames if len(each) == stack.phases))


def _places(stack: Stack) -> dict[str, tuple[int, int]]:
    """Slice and phase of each file that holds one image."""
    places: dict[str, tuple[int, int]] = {}
    several = Counter(frame.file for here in stack.frames for frame in here)
    for slice_, here in enumerate(_whole(stack).frames):
        for phase, frame in enumerate(here):
            if several[frame.file] == 1:
                places[frame.file] = slice_, phase
    return places


def _label(
    index: Index, patient: str, series: Series, files: dict[str, list[Path]], drawn: Drawn
) -> tuple[Source, Read]:
    """The series' contours as one volume of labels; a patient is set aside for one that cannot be read."""
    stack = _whole(series.stack)
    rows, columns = stack.first.shape
    values = np.zeros((columns, rows, len(stack.frames), stack.phases), dtype=np.uint8)
    faults: set[str] = set()
    for name, (slice_, phase) in _places(series.stack).items():
        for path in files.get(name, []):
            points = points_in(path, (rows, columns))
            if points is None:
                faults.add(UNREADABLE)
                continue
            values[:, :, slice_, phase][inside(points, (rows, columns)).T] = CONVENTION["lv"]
            drawn.contours += 1
    affine = stack.affine(series.thickness or 1.0)
    content = _nifti(values, affine)
    shape = list(values.shape if stack.phases > 1 else values.shape[:3])
    detail = {
        "base": index.short("", "contours", series.name),
        "phase": "",
        "shape": shape,
        "affine": affine.tolist(),
        "labels": CONVENTION,
    }
    name = index.short("I-", "contours", series.name)
    # One source for all files of the series: another one when a contour, or the series itself, changed.
    read = Read(
        "stored", "label", patient, tuple(faults), content, name, None, sha256(content).hexdigest(), detail
    )
    mark = int.from_bytes(sha256(content + repr(sorted(faults)).encode()).digest()[:7], "big")
    return Source(index.short("contours ", patient, series.name), len(content), mark), read


def points_in(path: Path, shape: tuple[int, int]) -> Points | None:
    """(point, 2) column and row; None where the file is no polygon in an image of these rows and columns."""
    try:
        with quiet():  # an empty file is a warning
            points = np.loadtxt(path, dtype=np.float64, ndmin=2, max_rows=MOST_POINTS)
    except ValueError:
        return None
    rows, columns = shape
    if points.ndim != 2 or points.shape[1] != 2 or len(points) < 3 or not np.isfinite(points).all():
        return None
    fits = (points >= -0.5).all() and (points <= (columns + 0.5, rows + 0.5)).all()
    return points if fits else None


def inside(points: Points, shape: tuple[int, int]) -> npt.NDArray[np.bool_]:
    """(row, column): pixels whose middle is inside the polygon."""
    from matplotlib.path import Path as Outline

    rows, columns = np.mgrid[: shape[0], : shape[1]]
    found = Outline(points).contains_points(np.stack([columns.ravel(), rows.ravel()], axis=1))
    mask: npt.NDArray[np.bool_] = np.asarray(found, dtype=np.bool_).reshape(shape)
    return mask


def _nifti(values: npt.NDArray[np.uint8], affine: npt.NDArray[np.float64]) -> bytes:
    import nibabel

    kind: Any = nibabel.Nifti1Image
    image = kind(values[..., 0] if values.shape[3] == 1 else values, affine)
    image.set_sform(affine, 1)
    image.set_qform(affine, 1)
    image.header.set_xyzt_units("mm", "msec")
    return gzip.compress(image.to_bytes(), compresslevel=1, mtime=0)
