"""A hospital's hearts, in whichever layout they lie: a folder of hospitals, and one of them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ground.errors import DataError
from tasks.hearts import scans, stored, sunnybrook
from tasks.hearts.patients import HeartPatients


def hospitals(folder: Path) -> Mapping[str, Path]:
    """Each hospital's name and the path that `read_hospital` takes; raises DataError where there is none.

    Sunnybrook's file is four hospitals; else each HOSPITAL.npz is one, and each folder of scans of more than
    one patient. A folder that holds patients is itself the only hospital.
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder: give the one that holds the hospitals")
    if (folder / sunnybrook.FILE).is_file():
        return sunnybrook.hospitals(folder / sunnybrook.FILE)
    found = {file.stem: file for file in sorted(folder.glob("*.npz"))}
    inside = {each: scans.patients_in(each) for each in sorted(folder.iterdir()) if each.is_dir()}
    several = {each.name: each for each, patients in inside.items() if len(patients) > 1}
    if several and not any(len(patients) == 1 for patients in inside.values()):
        found |= several
    elif scans.patients_in(folder):
        found[folder.resolve().name] = folder
    if not found:
        raise DataError(
            f"{folder}: no hospital in it: expected {sunnybrook.FILE}, HOSPITAL.npz each, or a folder each "
            "with images and labels; `laennec tasks ventricle-segmentation` says which"
        )
    return found


def read_hospital(path: Path, labels: Mapping[str, int] | None = None) -> HeartPatients:
    """The hearts of one hospital; raises DataError without naming anybody.

    `labels` is for scans: structure (lv, myocardium, rv) -> its number in label files. A `labels.toml` in the
    hospital's folder goes before it; without either, rv is 1, myocardium 2 and lv 3.
    """
    if path.is_dir():
        return scans.read(path, labels)
    if "#" in path.name:
        return sunnybrook.read(path)
    return stored.read(path)
