"""Scans of any centre: a hospital is a folder of images with labels beside them.

- NAME.nii.gz with NAME_gt.nii.gz (or _label, _labels, _seg): one volume a phase or a cine, labels likewise.
  Files that differ in `_frame01`, `_ED` or `_ES` alone are phases of one patient (ACDC); labels of a cine may
  be empty at all other phases (M&Ms).
- PATIENT/labels.nii.gz with PATIENT/cine.nii.gz, or with the cine as PATIENT/dicom/: `laennec patients`.

Of the labelled phases that with the largest left cavity is end-diastole, that with the smallest end-systole.
Slices that show neither the left cavity nor its wall are left out. Which end is the base is seen from the
labels: there the heart is larger.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from scipy import ndimage

from ground.errors import DataError
from tasks.hearts import conventions
from tasks.hearts.grey import as_images, scaled
from tasks.hearts.patients import (
    BACKGROUND,
    DIASTOLE,
    LEFT,
    MYOCARDIUM,
    NOT_LEFT,
    SIZE,
    SPACING,
    SYSTOLE,
    Heart,
    HeartPatients,
)
from tasks.hearts.volumes import Volume, dicom, nifti, same_place

ENDINGS = (".nii.gz", ".nii")
LABELLED = re.compile(r"(.+)_(gt|labels?|seg)")
PHASE = re.compile(r"_(frame\d+|ed|es)$", re.IGNORECASE)
OWN = "labels"  # of `laennec patients`
NO_CAVITY = "no left cavity is labelled"

Labels = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Pair:
    """An image, a file or a folder of DICOM, and its labels."""

    image: Path
    labels: Path


def patients_in(folder: Path) -> dict[str, list[Pair]]:
    """The pairs of each patient in this folder and in those directly inside, in order of their names."""
    found: dict[str, list[Pair]] = {}
    for inside in (folder, *sorted(each for each in folder.iterdir() if each.is_dir())):
        for file in sorted(inside.iterdir()):
            stem = _stem(file)
            match = LABELLED.fullmatch(stem)
            if match and (image := _image(inside, match[1])):
                name = PHASE.sub("", match[1])
            elif stem == OWN and (image := _image(inside, "cine") or _folder(inside / "dicom")):
                name = ""
            else:
                continue
            found.setdefault(f"{inside.name}/{name}", []).append(Pair(image, file))
    return found


def read(folder: Path, labels: Mapping[str, int] | None = None) -> HeartPatients:
    """One hospital; `labels` says which number is which structure unless its own labels.toml does."""
    named = conventions.said(folder, labels)
    patients = patients_in(folder)
    if not patients:
        raise DataError(f"{folder}: no image with labels in it: see `laennec tasks ventricle-segmentation`")
    # A file may be called after a person: errors count instead.
    hearts = [
        _heart(pairs, named, f"{folder}: patient {number} in order of names")
        for number, pairs in enumerate(patients.values(), start=1)
    ]
    known = tuple(heart for heart in hearts if heart is not None)
    if not known:
        raise DataError(f"{folder}: {NO_CAVITY} in any patient: say in {conventions.FILE} which number it is")
    return HeartPatients(known, {NO_CAVITY: len(hearts) - len(known)} if len(known) < len(hearts) else {})


def _heart(pairs: list[Pair], named: Mapping[str, int], where: str) -> Heart | None:
    """One patient; None where her left cavity is nowhere labelled."""
    phases = [phase for pair in pairs for phase in _phases(pair, named, where)]
    if not phases:
        return None
    places = {phase.labels.shape for phase in phases}
    if len(places) > 1:
        raise DataError(f"{where}: phases have different sizes: leave this patient out")
    volumes = [int((phase.labels == LEFT).sum()) for phase in phases]
    chosen = {DIASTOLE: phases[int(np.argmax(volumes))]}
    if len(phases) > 1:
        chosen[SYSTOLE] = phases[int(np.argmin(volumes))]
    images, labels, phase, level = [], [], [], []
    for number, one in chosen.items():
        shown = np.flatnonzero(np.isin(one.labels, (LEFT, MYOCARDIUM)).any(axis=(1, 2)))
        images.append(one.images[shown])
        labels.append(one.labels[shown])
        phase.append(np.full(len(shown), number))
        level.append(shown)
    levels, when = np.concatenate(level), np.concatenate(phase)
    inside = np.concatenate(labels)
    if _starts_at_the_apex(inside, levels):
        levels = -levels
    order = np.lexsort((when, levels))
    return Heart(
        images=as_images(scaled(np.concatenate(images)[order])),
        labels=torch.from_numpy(inside[order]),
        phase=when[order].astype(np.int64),
        level=(levels - levels.min())[order].astype(np.int64),
        spacing=SPACING,
        gap=round(phases[0].gap, 3),
    )


@dataclass(frozen=True, eq=False)
class _Phase:
    """(slice, 128, 128) each, at 1.4 mm around the middle of the picture, and mm between slices."""

    images: npt.NDArray[np.float32]
    labels: Labels
    gap: float


def _phases(pair: Pair, named: Mapping[str, int], where: str) -> list[_Phase]:
    """Those phases of a pair at which the left cavity is labelled."""
    truth = nifti(pair.labels, where)
    image = dicom(pair.image, where) if pair.image.is_dir() else nifti(pair.image, where)
    if not same_place(image, truth) or image.values.shape[1] != truth.values.shape[1]:
        raise DataError(
            f"{where}: image and labels differ in slices, phases, size or place: write the labels on the "
            "image's own grid"
        )
    ours = conventions.translated(truth.values, named, where)
    partial = BACKGROUND if len(named) == len(conventions.NAMES) else NOT_LEFT
    kept = [time for time in range(ours.shape[1]) if (ours[:, time] == LEFT).any()]
    return [
        _Phase(
            _resampled(image.values[:, time].astype(np.float32), image, order=1, outside=0),
            _resampled(ours[:, time], truth, order=0, outside=partial),
            image.gap,
        )
        for time in kept
    ]


def _resampled(
    slices: npt.NDArray[Any], volume: Volume, order: Literal[0, 1], outside: int
) -> npt.NDArray[Any]:
    """(slice, 128, 128) at `SPACING` around the picture's middle; `order` 0 takes the nearest pixel."""
    # Rounded, so that a picture which has that grid already is taken as it is.
    places = [
        np.round((np.arange(SIZE) - 0.5 * (SIZE - 1)) * SPACING / step + 0.5 * (count - 1), 4)
        for step, count in zip(volume.spacing, slices.shape[1:], strict=True)
    ]
    grid = np.stack(np.meshgrid(*places, indexing="ij"))
    if order:  # finer pictures would be picked from at random otherwise
        blur = [0.0, *(max(0.0, 0.5 * (SPACING / step - 1)) for step in volume.spacing)]
        slices = ndimage.gaussian_filter(slices, blur) if any(blur) else slices
    taken = [
        ndimage.map_coordinates(each, grid, order=order, mode="constant", cval=outside) for each in slices
    ]
    return np.stack(taken)


def _starts_at_the_apex(labels: Labels, levels: npt.NDArray[np.int64]) -> bool:
    """Whether the labelled hearts are larger at the far end of the stack."""
    sizes = (labels == LEFT).sum((1, 2)) if (labels == NOT_LEFT).any() else (labels > 0).sum((1, 2))
    middle = 0.5 * (levels.min() + levels.max())
    return float((sizes * (levels - middle)).sum()) > 0


def _stem(file: Path) -> str:
    for ending in ENDINGS:
        if file.name.endswith(ending):
            return file.name.removesuffix(ending)
    return ""


def _image(folder: Path, stem: str) -> Path | None:
    return next((folder / f"{stem}{each}" for each in ENDINGS if (folder / f"{stem}{each}").is_file()), None)


def _folder(path: Path) -> Path | None:
    return path if path.is_dir() else None
