"""Sunnybrook Cardiac Data as 805 contoured slices (CC0): four pathology groups are four hospitals.

Slice and phase follow from the image numbers in `source_png`: twenty phases to a slice, slices from base to
apex. Two phases of each patient are contoured; the one with the larger cavity, over all slices, is
end-diastole. Only the left cavity is contoured, and the files do not say how large a pixel is.
"""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt
import torch

from ground.errors import DataError
from tasks.hearts.grey import as_images, scaled
from tasks.hearts.patients import DIASTOLE, LEFT, NOT_LEFT, SIZE, SYSTOLE, Heart, HeartPatients

FILE = "sunnybrook805.npz"
GROUPS = ("SC-HF-I", "SC-HF-NI", "SC-HYP", "SC-N")
PHASES = 20
NUMBER = re.compile(r"-IM-\d+-(\d+)\.dcm\.png")
ARRAYS = ("images", "masks", "subject", "source_png")

Arrays = dict[str, npt.NDArray[Any]]


def hospitals(file: Path) -> dict[str, Path]:
    """Each group's name and the path that `read` takes: FILE#GROUP."""
    return {group: Path(f"{file}#{group}") for group in GROUPS}


def read(path: Path) -> HeartPatients:
    """One group; raises DataError where the file is not this data set."""
    name, _, group = str(path).rpartition("#")
    file = Path(name)
    if group not in GROUPS:
        raise DataError(f"{file}: has the hospitals {', '.join(GROUPS)}: write {FILE}#{GROUPS[0]}")
    try:
        stamp = file.stat()
        arrays = _arrays(file, stamp.st_mtime_ns, stamp.st_size)
    except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
        raise DataError(f"{file}: cannot be read as {FILE}: fetch it again") from error
    subjects = arrays["subject"].astype(str)
    mine = [each for each in np.unique(subjects) if each.rpartition("-")[0] == group]
    if not mine:
        raise DataError(f"{file}: no patient of {group} in it: fetch {FILE} again")
    return HeartPatients(tuple(_heart(arrays, subjects == each, group, file) for each in mine))


@lru_cache(maxsize=1)
def _arrays(file: Path, modified: int, size: int) -> Arrays:  # noqa: ARG001  they name the file's content
    """The file's arrays, cropped around the middle, where the hearts are."""
    with file.open("rb") as stream, np.load(stream, allow_pickle=False) as stored:
        arrays: Arrays = {name: stored[name] for name in ARRAYS}
    count = len(arrays["subject"])
    for name in ("images", "masks"):
        if arrays[name].ndim != 3 or len(arrays[name]) != count or min(arrays[name].shape[1:]) < SIZE:
            raise ValueError(name)
        top, left = ((side - SIZE) // 2 for side in arrays[name].shape[1:])
        arrays[name] = arrays[name][:, top : top + SIZE, left : left + SIZE]
    return arrays


def _heart(arrays: Arrays, mine: npt.NDArray[np.bool_], group: str, file: Path) -> Heart:
    matches = [NUMBER.search(str(each)) for each in arrays["source_png"][mine]]
    numbers = np.array([int(each[1]) if each else 0 for each in matches], dtype=np.int64)
    levels, contoured = np.divmod(numbers - 1, PHASES)
    inside = arrays["masks"][mine] > 0
    sizes = {int(each): int(inside[contoured == each].sum()) for each in np.unique(contoured)}
    if numbers.min() < 1 or len(sizes) != 2:
        raise DataError(f"{file}: a patient without two contoured phases: fetch {FILE} again")
    diastole = max(sizes, key=lambda each: sizes[each])
    phase = np.where(contoured == diastole, DIASTOLE, SYSTOLE).astype(np.int64)
    order = np.lexsort((phase, levels))
    return Heart(
        images=as_images(scaled(arrays["images"][mine][order])),
        labels=torch.from_numpy(np.where(inside[order], LEFT, NOT_LEFT).astype(np.uint8)),
        phase=phase[order],
        level=(levels - levels.min())[order],
        spacing=float("nan"),
        gap=float("nan"),
        group=group.removeprefix("SC-"),
    )
