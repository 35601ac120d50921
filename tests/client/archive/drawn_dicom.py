"""DICOM series of drawn values, to import: where each voxel lies is known."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.sequence import Sequence as Items
from pydicom.uid import EnhancedMRImageStorage, ExplicitVRLittleEndian, MRImageStorage, generate_uid

ROWS, COLUMNS = 12, 16
# Directions of a short axis, left-posterior-superior.
ROW = np.array([0.712, 0.702, 0.0]) / np.hypot(0.712, 0.702)
COLUMN = np.array([0.0, 0.0, -1.0])
NORMAL = np.cross(ROW, COLUMN)
CORNER = np.array([-30.0, -200.0, 95.0])


def place(slice_: int, gap: float = 8.0) -> list[float]:
    return [round(float(each), 6) for each in CORNER + slice_ * gap * NORMAL]


def pixels(slice_: int, phase: int, size: tuple[int, int] = (ROWS, COLUMNS)) -> npt.NDArray[np.uint16]:
    """Every voxel of a series has a value of its own: 10,000 a slice, 1,000 a phase, row and column."""
    rows, columns = np.mgrid[: size[0], : size[1]]
    values: npt.NDArray[np.uint16] = (slice_ * 10_000 + phase * 1_000 + rows * 20 + columns).astype(np.uint16)
    return values


def image(patient: str, slice_: int, phase: int, **changed: Any) -> FileDataset:
    """One frame; `changed` overrides any attribute, None removes it."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = MRImageStorage
    meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=[patient, str(slice_), str(phase)])
    made = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    made.SOPClassUID, made.SOPInstanceUID = MRImageStorage, meta.MediaStorageSOPInstanceUID
    made.PatientID, made.PatientName = patient, "Doe^Jane"
    made.StudyInstanceUID = generate_uid(entropy_srcs=[patient, "study"])
    made.SeriesInstanceUID = generate_uid(entropy_srcs=[patient, "series"])
    made.FrameOfReferenceUID = generate_uid(entropy_srcs=[patient, "frame"])
    made.Modality, made.SeriesNumber = "MR", 5
    made.ImageType = ["ORIGINAL", "PRIMARY", "M"]
    made.InstanceNumber = slice_ * 100 + phase + 1
    made.TriggerTime = phase * 40.0
    made.ImagePositionPatient, made.ImageOrientationPatient = place(slice_), [*ROW.round(6), *COLUMN]
    made.PixelSpacing, made.SliceThickness = [1.5, 1.25], 8
    made.Rows, made.Columns = ROWS, COLUMNS
    made.SamplesPerPixel, made.PhotometricInterpretation = 1, "MONOCHROME2"
    made.BitsAllocated, made.BitsStored, made.HighBit, made.PixelRepresentation = 16, 16, 15, 0
    made.PixelData = pixels(slice_, phase).tobytes()
    for name, value in changed.items():
        if value is None:
            delattr(made, name)
        else:
            setattr(made, name, value)
    if "SOPInstanceUID" in changed:
        made.file_meta.MediaStorageSOPInstanceUID = made.SOPInstanceUID
    return made


def save(folder: Path, made: FileDataset, name: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    made.save_as(folder / name, enforce_file_format=True)
    return folder / name


def series(
    folder: Path, patient: str, slices: Sequence[int] = range(4), phases: int = 3, **changed: Any
) -> list[Path]:
    """A cine, written in an order that says nothing."""
    order = np.random.default_rng(0).permutation(len(slices) * phases).tolist()
    wanted = [(slice_, phase) for slice_ in slices for phase in range(phases)]
    return [
        save(folder, image(patient, *which, **changed), f"im{order[number]:04d}.dcm")
        for number, which in enumerate(wanted)
    ]


def enhanced(patient: str, slices: int = 4, phases: int = 3) -> FileDataset:
    """The same in one multi-frame file, its frames in an order that says nothing."""
    wanted = [(slice_, phase) for slice_ in range(slices) for phase in range(phases)]
    wanted = [wanted[each] for each in np.random.default_rng(1).permutation(len(wanted))]
    absent = (
        "ImagePositionPatient",
        "ImageOrientationPatient",
        "PixelSpacing",
        "TriggerTime",
        "SliceThickness",
    )
    made = image(patient, 0, 0, **dict.fromkeys(absent))
    made.SOPClassUID = made.file_meta.MediaStorageSOPClassUID = EnhancedMRImageStorage
    made.NumberOfFrames = len(wanted)
    shared, plane, measures = Dataset(), Dataset(), Dataset()
    plane.ImageOrientationPatient = [*ROW.round(6), *COLUMN]
    measures.PixelSpacing, measures.SliceThickness = [1.5, 1.25], 8
    shared.PlaneOrientationSequence, shared.PixelMeasuresSequence = Items([plane]), Items([measures])
    made.SharedFunctionalGroupsSequence = Items([shared])
    groups = []
    for slice_, phase in wanted:
        group, position, beat = Dataset(), Dataset(), Dataset()
        position.ImagePositionPatient = place(slice_)
        beat.NominalCardiacTriggerDelayTime = phase * 40.0
        group.PlanePositionSequence = Items([position])
        group.CardiacSynchronizationSequence = Items([beat])
        groups.append(group)
    made.PerFrameFunctionalGroupsSequence = Items(groups)
    made.PixelData = b"".join(pixels(*which).tobytes() for which in wanted)
    return made
