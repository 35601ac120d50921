"""A folder of digital hearts: one folder a patient, a contact sheet over all, one heart that beats.

A patient's folder appears whole or not at all, so an interrupted command goes on where it stopped; a folder
that holds another recipe is refused rather than mixed in.
"""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ground.errors import UsageError
from ground.files import locked, write_atomically
from simulation.heart.export import dicom, nifti, pictures
from simulation.heart.export.curves import curves
from simulation.heart.export.tables import cohort_csv, ecg_csv, facts, strains_csv, volumes_csv
from simulation.heart.patient import DigitalHeart, simulate
from simulation.heart.picture import Protocol
from simulation.recipe import Recipe

ON_THE_SHEET = 40  # patients; more would not be looked at
SUMS = "SHA256SUMS"
TILE = 96  # pixels around the heart


@dataclass(frozen=True)
class Wanted:
    """What is written of each patient.

    Attributes:
        protocol: how the hearts are imaged.
        as_dicom: the cine as DICOM instead of NIfTI; labels are NIfTI either way.

    """

    protocol: Protocol
    as_dicom: bool = False


Job = tuple[Recipe, Wanted, Path]


def write_cohort(
    recipes: Sequence[Recipe],
    folder: Path,
    wanted: Wanted,
    advanced: Callable[[], None] = lambda: None,
    workers: int = 1,
    title: str = "",
) -> list[Path]:
    """Write every patient that is not there yet, then the pictures; gives the patients' folders.

    `advanced` is called once a patient. `title` stands above the contact sheet, by default the stratum of
    the first. With more than one worker, patients are made in as many processes;
    their bytes are the same. Raises UsageError where a folder holds somebody else, or more patients.
    """
    paths = [folder / f"patient-{number:04d}" for number in range(1, len(recipes) + 1)]
    for recipe, path in zip(recipes, paths, strict=True):
        _check(recipe, wanted, path)
    if others := sorted(each.name for each in folder.glob("patient-*") if each not in paths):
        raise UsageError(
            f"{folder}: holds {others[0]} too, and {len(paths)} were asked for: choose another --out"
        )
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder / ".lock", 0.0, f"{folder}: another command is writing here: wait for it"):
        return _written(recipes, folder, paths, wanted, advanced, workers, title)


def _written(
    recipes: Sequence[Recipe],
    folder: Path,
    paths: list[Path],
    wanted: Wanted,
    advanced: Callable[[], None],
    workers: int,
    title: str,
) -> list[Path]:
    for path in paths:
        for left in folder.glob(f".{path.name}.*"):  # of a command that was killed
            shutil.rmtree(left)
    missing = [
        (recipe, wanted, path) for recipe, path in zip(recipes, paths, strict=True) if not path.exists()
    ]
    for _ in range(len(recipes) - len(missing)):
        advanced()
    for _ in _made(missing, workers):
        advanced()
    shown = paths[:ON_THE_SHEET]
    rows = [_row(path) for path in shown]
    title = title or f"{recipes[0].stratum}: {len(paths)} digital patients" + (
        f", the first {len(shown)}" if len(shown) < len(paths) else ""
    )
    sheet = pictures.contact_sheet(rows, title, "circumferential strain at end-systole", -0.3, 0.3)
    write_atomically(folder / "contact-sheet.png", sheet, mode=0o644)
    write_atomically(folder / "cohort.csv", cohort_csv(paths), mode=0o644)
    write_atomically(folder / "heart.gif", (paths[0] / "heart.gif").read_bytes(), mode=0o644)
    return paths


def _made(jobs: list[Job], workers: int) -> Iterator[None]:
    """Make each patient, here or in processes; an interruption waits for those that are being written."""
    if workers == 1 or len(jobs) < 2:
        yield from map(_make, jobs)
        return
    # spawn: a fork would copy locks that other threads hold.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(workers, len(jobs)), context, initializer=_deaf) as pool:
        try:
            for future in as_completed([pool.submit(_make, job) for job in jobs]):
                yield future.result()
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise


def _deaf() -> None:
    """Ctrl-C is for the process that started the others: it lets them finish and says how to go on."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _make(job: Job) -> None:
    recipe, wanted, path = job
    _write(simulate(recipe, wanted.protocol), wanted, path)


def patient_files(heart: DigitalHeart, wanted: Wanted) -> Iterator[tuple[str, bytes]]:
    """(Path inside the patient's folder, bytes) of each file."""
    said = json.dumps(_said(heart.recipe, wanted), sort_keys=True)
    digest = _digest(said.encode())
    images, labels = heart.images, heart.labels
    if wanted.as_dicom:
        for name, content in dicom.cine(images, heart.acquisition, heart.recipe.digest(), digest):
            yield f"dicom/{name}", content
    else:
        yield "cine.nii.gz", nifti.nifti(images, heart.affine, heart.cycle_ms)
    yield "labels.nii.gz", nifti.nifti(labels, heart.affine, heart.cycle_ms)
    if heart.enhancement is not None:
        yield "lge.nii.gz", nifti.nifti(heart.enhancement, heart.affine)
        yield "lge-labels.nii.gz", nifti.nifti(heart.scar, heart.affine)
    yield "strains.csv", strains_csv(heart)
    yield "volumes.csv", volumes_csv(heart)
    yield "ecg.csv", ecg_csv(heart)
    yield "facts.json", json.dumps(facts(heart), indent=2, sort_keys=True).encode()
    yield "recipe.json", json.dumps(_said(heart.recipe, wanted), indent=2, sort_keys=True).encode()
    yield "heart.gif", pictures.animation(_frames(heart), heart.cycle_ms)
    yield "preview.png", pictures.png(_preview(heart))
    yield "curves.png", curves(heart)
    yield "activation.nii.gz", nifti.nifti(heart.activation_map.transpose(2, 1, 0), heart.activation_affine)


def _said(recipe: Recipe, wanted: Wanted) -> dict[str, object]:
    """The recipe and how it was imaged: what makes the folder again."""
    return {**json.loads(recipe.canonical()), "protocol": wanted.protocol.said(), "dicom": wanted.as_dicom}


def _check(recipe: Recipe, wanted: Wanted, path: Path) -> None:
    """Raise UsageError where the patient's folder is another's, or not as it was written."""
    if not path.exists():
        return
    try:
        found = json.loads((path / "recipe.json").read_text())
        sums = dict(line.split("  ")[::-1] for line in (path / SUMS).read_text().splitlines())
        damaged = [n for n, digest in sums.items() if _digest((path / n).read_bytes()) != digest]
    except (OSError, ValueError) as error:
        raise UsageError(f"{path}: is not a whole patient: give another --out, or remove it") from error
    differ = sorted(k for k, v in _said(recipe, wanted).items() if found.get(k) != v)
    if differ:
        raise UsageError(f"{path}: holds another patient, {', '.join(differ)} differ: give another --out")
    if damaged:
        raise UsageError(f"{path}: {damaged[0]} is not as it was written: remove {path.name}")


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _write(heart: DigitalHeart, wanted: Wanted, path: Path) -> None:
    """Write a patient beside its place, then move it there."""
    beside = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}."))
    try:
        sums = []
        for name, content in patient_files(heart, wanted):
            _store(beside / name, content)
            sums.append(f"{_digest(content)}  {name}\n")
        _store(beside / SUMS, "".join(sums).encode())
        beside.chmod(0o755)
        beside.rename(path)
    except OSError as error:
        shutil.rmtree(beside, ignore_errors=True)
        error.filename = error.filename or str(path)  # a full disk does not say where
        raise
    except BaseException:
        shutil.rmtree(beside, ignore_errors=True)
        raise


def _store(file: Path, content: bytes) -> None:
    file.parent.mkdir(exist_ok=True)
    with file.open("wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())


def _row(path: Path) -> pictures.Row:
    known = json.loads((path / "facts.json").read_text())
    infarct = known["infarct"] or {}
    who = " ".join([known["group"], *(infarct[key] for key in ("territory", "age") if key in infarct)])
    caption = f"{path.name[-4:]} {who}, EDV {known['edv_ml']:.0f} mL, EF {known['ef_percent']:.0f} %"
    strain = np.asarray(known["end_systolic_circumferential_strain_by_segment"])
    return pictures.Row(caption, pictures.read(path / "preview.png"), strain)


def _preview(heart: DigitalHeart) -> pictures.Picture:
    """End-diastole and end-systole of a basal, a middle and an apical slice, in one row."""
    low, high = pictures.window(heart.images)
    tiles = []
    for phase in (0, heart.end_systole):
        for place in _places(heart):
            tile = pictures.grey(heart.images[place, phase], low, high)
            tiles.append(_crop(pictures.outlined(tile, heart.labels[place, phase])))
    return np.concatenate(tiles, axis=1)


def _frames(heart: DigitalHeart) -> list[pictures.Picture]:
    """Three slices side by side, plain above and outlined below, one frame a phase."""
    low, high = pictures.window(heart.images)
    frames = []
    for phase in range(heart.images.shape[1]):
        plain = [pictures.grey(heart.images[place, phase], low, high) for place in _places(heart)]
        drawn = [
            pictures.outlined(each, heart.labels[place, phase])
            for each, place in zip(plain, _places(heart), strict=True)
        ]
        upper, lower = (np.concatenate([_crop(t) for t in row], axis=1) for row in (plain, drawn))
        frames.append(np.concatenate([upper, lower], axis=0))
    return frames


def _places(heart: DigitalHeart) -> tuple[int, int, int]:
    """A basal, a middle and an apical slice among those that show the wall at end-diastole."""
    shown = np.flatnonzero((heart.labels[:, 0] == 2).any(axis=(1, 2)))
    first, last = int(shown[0]), int(shown[-1])
    return tuple(round(first + share * (last - first)) for share in (0.2, 0.5, 0.8))  # type: ignore[return-value]


def _crop(picture: pictures.Picture) -> pictures.Picture:
    top, left = (max(0, (side - TILE) // 2) for side in picture.shape[:2])
    return picture[top : top + TILE, left : left + TILE]
