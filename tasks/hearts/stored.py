"""Our own layout: HOSPITAL.npz, all hearts of a hospital. I items of P patients.

| array | shape, type | what |
|---|---|---|
| images | (I, 128, 128) uint8 | grey values times 128, as `tasks.hearts.grey` scales them |
| labels | (I, 128, 128) uint8 | as in `Heart` |
| patient | (I,) int64 | from 0 to P − 1, ascending |
| phase, level | (I,) int64 | as in `Heart` |
| spacing, gap | (P,) float64 | mm, NaN where unknown |
| group | (P,) text | as in `Heart` |
"""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from ground.errors import DataError
from ground.files import write_atomically
from tasks.hearts.grey import as_bytes, as_images
from tasks.hearts.patients import NOT_LEFT, SIZE, Heart, HeartPatients

OF_ITEMS = {"images": "u1", "labels": "u1", "patient": "i8", "phase": "i8", "level": "i8"}
OF_PATIENTS = {"spacing": "f8", "gap": "f8", "group": "U"}


def write(path: Path, patients: HeartPatients) -> None:
    """Write the file whole or not at all; equal hearts make equal files."""
    hearts = patients.hearts
    numbers = np.repeat(np.arange(len(hearts)), [len(each) for each in hearts]).astype(np.int64)
    arrays = {
        "images": as_bytes(torch.cat([each.images for each in hearts])),
        "labels": torch.cat([each.labels for each in hearts]).numpy(),
        "patient": numbers,
        "phase": np.concatenate([each.phase for each in hearts]),
        "level": np.concatenate([each.level for each in hearts]),
        "spacing": np.array([each.spacing for each in hearts]),
        "gap": np.array([each.gap for each in hearts]),
        "group": np.array([each.group for each in hearts]),
    }
    stream = io.BytesIO()
    np.savez_compressed(stream, allow_pickle=False, **arrays)
    write_atomically(path, stream.getvalue(), mode=0o644)


def read(path: Path) -> HeartPatients:
    """Read what `write` wrote; raises DataError where the file is something else."""
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in (*OF_ITEMS, *OF_PATIENTS)}
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(f"{path}: is not a hospital's hearts as `laennec patients` writes them") from error
    if wrong := _wrong(arrays):
        raise DataError(f"{path}: {wrong}: write it again with `laennec patients`")
    hearts = []
    for number in range(len(arrays["spacing"])):
        mine = arrays["patient"] == number
        hearts.append(
            Heart(
                images=as_images(arrays["images"][mine]),
                labels=torch.from_numpy(arrays["labels"][mine]),
                phase=arrays["phase"][mine],
                level=arrays["level"][mine],
                spacing=float(arrays["spacing"][number]),
                gap=float(arrays["gap"][number]),
                group=str(arrays["group"][number]),
            )
        )
    return HeartPatients(tuple(hearts))


def _wrong(arrays: dict[str, npt.NDArray[np.generic]]) -> str:
    """What of the arrays is not as the layout says; "" where nothing is."""
    for name, kind in {**OF_ITEMS, **OF_PATIENTS}.items():
        right = arrays[name].dtype.kind == "U" if kind == "U" else arrays[name].dtype == np.dtype(kind)
        count = len(arrays["patient"] if name in OF_ITEMS else arrays["spacing"])
        shape = (count, SIZE, SIZE) if name in ("images", "labels") else (count,)
        if not right or arrays[name].shape != shape:
            return f"{name} has another shape or type"
    everybody = np.arange(len(arrays["spacing"]))
    if not np.array_equal(np.unique(arrays["patient"]), everybody):
        return "a patient has no slice"
    if arrays["labels"].size and int(arrays["labels"].max()) > NOT_LEFT:
        return "labels has an unknown label"
    if not np.isin(arrays["phase"], (0, 1)).all():
        return "phase is neither 0 nor 1"
    return ""
