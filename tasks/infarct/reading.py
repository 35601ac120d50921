"""Real patients: hearts as labelled slices become examinations, hospital by hospital.

Sunnybrook's four pathology groups would be four hospitals with one diagnosis each, from which nobody can
learn to tell diagnoses apart. So its patients are dealt to four hospitals of different case mix (`DEAL`), in
the order of their numbers.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from ground.errors import DataError
from ground.files import write_atomically
from simulation.heart.anatomy.segments import SEGMENTS
from tasks.hearts import reader
from tasks.hearts.patients import DIASTOLE, LEFT, MYOCARDIUM, SYSTOLE, Heart
from tasks.hearts.sunnybrook import FILE, GROUPS
from tasks.infarct import tables
from tasks.infarct.cohort import STRATA
from tasks.infarct.excursion import CONVENTIONS, Contours, outline, shortening
from tasks.infarct.excursion import thickening as thickening_of
from tasks.infarct.inputs import CHANNELS, UNKNOWN, InfarctPatients, examination

# Of each of Sunnybrook's groups (with, without infarct, hypertrophic, normal), how many go to each hospital.
DEAL: Mapping[str, tuple[int, int, int, int]] = {
    "sunnybrook-a": (4, 4, 2, 2),
    "sunnybrook-b": (4, 2, 3, 3),
    "sunnybrook-c": (3, 3, 3, 2),
    "sunnybrook-d": (1, 3, 4, 2),
}
# What a group says of a heart, in the words of Sunnybrook, of ACDC and of the digital hearts.
GROUP_STRATA: Mapping[str, str] = {
    **{"HF-I": "infarct", "MINF": "infarct", "infarct": "infarct"},
    **{"HF-NI": "dilated", "DCM": "dilated", "dilated": "dilated"},
    **{"HYP": "hypertrophic", "HCM": "hypertrophic", "hypertrophic": "hypertrophic"},
    **{"N": "normal", "NOR": "normal", "normal": "normal"},
}
LEAST_PIXELS = 12  # of a cavity: a contour of less says nothing about its parts
LEAST_SLICES = 3
ARRAYS = ("views", "targets", "strata")


def hospitals(folder: Path) -> Mapping[str, Path]:
    """The four hospitals of Sunnybrook's deal, or whatever hospitals of hearts or examinations lie there."""
    if (folder / FILE).is_file():
        return {name: Path(f"{folder / FILE}#{name}") for name in DEAL}
    strains = {file.stem: file for file in sorted(folder.glob("*.csv"))}
    return strains or reader.hospitals(folder)


def read(path: Path) -> InfarctPatients:
    """One hospital's patients; raises DataError without naming anybody."""
    if path.suffix == ".csv":
        return tables.read(path)
    file, _, dealt = str(path).rpartition("#")
    if dealt in DEAL:
        hearts: list[Heart] = []
        for number, group in enumerate(GROUPS):
            first = sum(mix[number] for name, mix in DEAL.items() if name < dealt)
            members = reader.read_hospital(Path(f"{file}#{group}")).hearts
            hearts += members[first : first + DEAL[dealt][number]]
        return from_hearts(hearts)
    if path.suffix == ".npz" and path.is_file() and _holds_examinations(path):
        return _stored(path)
    given = reader.read_hospital(path)
    return from_hearts(given.hearts, dict(given.set_aside), str(path))


def read_labelled(path: Path, labels: Mapping[str, int]) -> InfarctPatients:
    """The same, of images labelled with these numbers."""
    given = reader.read_hospital(path, labels)
    return from_hearts(given.hearts, dict(given.set_aside), str(path))


def from_hearts(
    hearts: Sequence[Heart], set_aside: Mapping[str, int] | None = None, where: str = "infarct"
) -> InfarctPatients:
    """Examinations of hearts from their labels; those in whom too little is seen are set aside."""
    aside = dict(set_aside or {})
    views, truths, strata = [], [], []
    for heart in hearts:
        drawn = contours_of(heart)
        stratum = GROUP_STRATA.get(heart.group)
        reason = "fewer than three slices with both phases" if drawn is None else "diagnosis unknown"
        if drawn is None or stratum is None:
            aside[reason] = aside.get(reason, 0) + 1
            continue
        known = dict(zip(CONVENTIONS, shortening(drawn), strict=True))
        wall = contours_of(heart, (LEFT, MYOCARDIUM)) if heart.is_whole else None
        if wall is not None and len(wall.place) == len(drawn.place):
            known["thickening"] = thickening_of(drawn, wall)
        views.append(examination(known)[None])
        truth = np.full(1 + SEGMENTS, UNKNOWN, dtype=np.float32)
        truth[0] = stratum == "infarct"
        if stratum != "infarct":
            truth[1:] = 0.0
        truths.append(truth)
        strata.append(STRATA.index(stratum))
    if not views:
        raise DataError(
            f"{where}: no patient with a known diagnosis and three slices at both phases: give others"
        )
    return InfarctPatients(
        torch.from_numpy(np.stack(views)),
        torch.from_numpy(np.stack(truths)),
        np.array(strata, dtype=np.int64),
        aside,
    )


def contours_of(heart: Heart, labels: tuple[int, ...] = (LEFT,)) -> Contours | None:
    """Contours in the slices that show those labels at both phases; None where they are too few."""
    seen = np.isin(heart.labels.numpy(), labels)
    size = seen.sum(axis=(1, 2))
    phases: dict[int, dict[int, npt.NDArray[np.bool_]]] = {DIASTOLE: {}, SYSTOLE: {}}
    for mask, count, phase, level in zip(seen, size, heart.phase, heart.level, strict=True):
        if count >= LEAST_PIXELS:
            phases[int(phase)][int(level)] = mask
    both = sorted(phases[DIASTOLE].keys() & phases[SYSTOLE].keys())
    if len(both) < LEAST_SLICES:
        return None
    last = max(phases[DIASTOLE])
    place = (np.array(both, dtype=np.float64) - both[0] + 0.5) / (last - both[0] + 1)
    drawn = [
        np.stack([outline(phases[phase][level], heart.pixel_mm) for level in both])
        for phase in (DIASTOLE, SYSTOLE)
    ]
    return Contours(drawn[0], drawn[1], place)


def write(path: Path, patients: InfarctPatients) -> None:
    """HOSPITAL.npz with examinations, which `read` takes; whole or not at all."""
    stream = io.BytesIO()
    np.savez_compressed(
        stream,
        allow_pickle=False,
        views=patients.views.numpy(),
        targets=patients.targets.numpy(),
        strata=patients.strata,
    )
    write_atomically(path, stream.getvalue(), mode=0o644)


def _holds_examinations(path: Path) -> bool:
    try:
        with np.load(path, allow_pickle=False) as stored:
            return set(ARRAYS) <= set(stored.files)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile):
        return False


def _stored(path: Path) -> InfarctPatients:
    try:
        with np.load(path, allow_pickle=False) as stored:
            views, targets, strata = (stored[name] for name in ARRAYS)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(f"{path}: is damaged: write it again with `laennec patients`") from error
    count = len(strata)
    right = (
        views.ndim == 4
        and views.shape[0] == count > 0
        and views.shape[2:] == (SEGMENTS, 2 * CHANNELS)
        and targets.shape == (count, 1 + SEGMENTS)
        and views.dtype == targets.dtype == np.float32
        and bool(np.isfinite(views).all())
        and bool(np.isin(targets, (UNKNOWN, 0.0, 1.0)).all())
        and bool(np.isin(strata, (UNKNOWN, *range(len(STRATA)))).all())
    )
    if not right:
        raise DataError(
            f"{path}: holds examinations of another shape: write it again with `laennec patients`"
        )
    return InfarctPatients(torch.from_numpy(views), torch.from_numpy(targets), strata.astype(np.int64))
