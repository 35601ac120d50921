"""NIfTI files: whose they are, which is an image and which its labels, and their bytes without free text.

A NIfTI header has no patient: she is taken from the names. A folder of its own is a patient (`sub-NAME` of
BIDS is one wherever it stands above); files side by side in one folder, image and labels in pairs, are a
patient each. Where in doubt two people become one patient, never one person two: a guarantee for each patient
then holds for both.
"""

from __future__ import annotations

import gzip
import re
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from client.archive.index import Index
from client.archive.reading import CORRUPT, Read, looks_like_dicom, quiet
from client.deidentify import Pseudonyms
from ground.errors import DataError

ENDINGS = (".nii.gz", ".nii")
LABELLED = re.compile(r"(.+)_(gt|labels?|seg)", re.IGNORECASE)
PHASE = re.compile(r"_(frame\d+|ed|es)$", re.IGNORECASE)
SUBJECT = re.compile(r"sub-.+")
GENERIC = {"labels", "cine", "image", "scan"}  # of `laennec patients`, or nobody's name
TEXTS = ("data_type", "db_name", "descrip", "aux_file", "intent_name", "magic_text")


def read_nifti(path: Path, root: Path, index: Index, pseudonyms: Pseudonyms) -> Read:
    """Read one file of the import of `root`; an error inside it is a reason. Raises OSError."""
    patient = pseudonyms.patient(whose(path, root))
    stem = stem_of(path)
    match = LABELLED.fullmatch(stem)
    is_label = stem.lower() == "labels" or match is not None
    base = match[1] if match else stem
    phase = PHASE.search(base)
    raw = path.read_bytes()
    try:
        with quiet():
            content, shape, affine, faults = _cleaned(raw)
    except Exception:  # whatever a damaged file makes the parser raise
        return Read("damaged", "nifti", patient, (CORRUPT,))
    folder = index.source(path.parent)  # images and labels of one visit lie in one folder
    detail: dict[str, Any] = {
        "base": index.short("", folder, "" if base.lower() in GENERIC else PHASE.sub("", base)),
        "phase": phase[1].lower() if phase else "",
        "shape": shape,
        "affine": affine,
    }
    if is_label:
        detail["labels"] = _convention(path.parent, root)
    identity = sha256(content).hexdigest()
    name = index.short("I-", index.source(path))
    kind = "label" if is_label else "nifti"
    return Read("stored", kind, patient, tuple(faults), content, name, None, identity, detail)


def whose(path: Path, root: Path) -> str:
    """What the hospital calls the patient whose file this is."""
    folder = path.parent
    for above in (folder, *folder.parents):
        if above == root or not above.is_relative_to(root):
            break
        if SUBJECT.fullmatch(above.name):
            return above.name
    if stem_of(path).lower() in GENERIC:
        return _of_dicom(folder / "dicom") or folder.resolve().name
    base = _base(path)
    if folder == root:
        return base
    # Image and labels in pairs side by side, none called after the folder: patients; else it is one
    # patient's.
    names = [each for each in folder.iterdir() if each.name.lower().endswith(ENDINGS)]
    pairs = {_base(each) for each in names if LABELLED.fullmatch(stem_of(each))}
    if len(pairs) > 1 and not any(each.startswith(folder.name) for each in pairs):
        return base
    return folder.name


def stem_of(path: Path) -> str:
    """The name without .nii or .nii.gz."""
    for ending in ENDINGS:
        if path.name.lower().endswith(ending):
            return path.name[: -len(ending)]
    return path.stem


def _base(path: Path) -> str:
    stem = stem_of(path)
    match = LABELLED.fullmatch(stem)
    return PHASE.sub("", match[1] if match else stem)


def _of_dicom(folder: Path) -> str:
    """The patient of the DICOM images that these labels belong to."""
    from pydicom import dcmread

    if not folder.is_dir():
        return ""
    for path in sorted(folder.iterdir()):
        if path.is_file() and looks_like_dicom(path):
            try:
                with quiet():
                    header = dcmread(path, specific_tags=["PatientID"], stop_before_pixels=True, force=True)
                    return str(header.get("PatientID") or "")
            except Exception:  # noqa: S112  the next one may be whole
                continue
    return ""


def _convention(folder: Path, root: Path) -> Mapping[str, int]:
    """What the nearest labels.toml says, from the file's folder up to the import's; {} without one."""
    from tasks.hearts import conventions

    for above in (folder, *folder.parents):
        if (above / conventions.FILE).is_file():
            return dict(conventions.said(above, None))
        if above == root:
            break
    return {}


def _cleaned(raw: bytes) -> tuple[bytes, list[int], list[list[float]], list[str]]:
    """The file without free text and extensions, its voxels bit for bit; shape, affine, and what is wrong."""
    import nibabel

    plain = gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw
    kind = nibabel.Nifti2Image if plain[:4] in (b"\x1c\x02\0\0", b"\0\0\x02\x1c") else nibabel.Nifti1Image
    image = kind.from_bytes(plain)
    header = image.header.copy()
    header.extensions.clear()
    for name in TEXTS:
        if name in header.keys():  # noqa: SIM118  a structured array, not a mapping
            header[name] = b""
    stored: Any = image.dataobj
    voxels = np.asarray(stored.get_unscaled())
    header["scl_slope"], header["scl_inter"] = stored.slope, stored.inter
    start = 352 if kind is nibabel.Nifti1Image else 544
    header["vox_offset"] = start
    affine = np.asarray(image.affine, dtype=np.float64)
    steps = np.linalg.norm(affine[:3, :3], axis=0)
    faults = []
    if not np.isfinite(affine).all() or not ((steps > 1e-3) & (steps <= 100)).all():
        faults.append("an image's voxel size is impossible")
    if voxels.ndim not in (2, 3, 4):
        faults.append("an image is no stack of slices")
    if voxels.dtype.kind == "f" and not np.isfinite(voxels).all():
        faults.append("an image holds values that are no numbers")
    block = header.binaryblock.ljust(start, b"\0")
    content = gzip.compress(block + voxels.tobytes(order="F"), compresslevel=1, mtime=0)
    if not np.isfinite(affine).all():
        raise DataError("no place")
    return content, [int(each) for each in voxels.shape], affine.tolist(), faults
