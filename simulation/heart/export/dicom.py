"""A short-axis cine as DICOM MR images, one file a slice and phase, as a scanner sends it.

Everything that a viewer sorts and places images by is there; nothing in it is a person's: the patient is
named after the recipe's digest and marked as a quality-control subject (0010,0200); it has no dates.
Identifiers are derived from the recipe (DICOM PS3.5 annex B.2), so that the same recipe gives the same files.
"""

from __future__ import annotations

import io
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian, MRImageStorage, generate_uid

from simulation.heart.imaging.acquisition import Acquisition


def cine(
    images: NDArray[np.uint16], how: Acquisition, patient: str, digest: str
) -> Iterator[tuple[str, bytes]]:
    """(File name, bytes) of each image of a cine (S, T, Y, X).

    `patient` is the recipe's digest in hexadecimal; `digest` that of the recipe and of how it was imaged,
    from which identifiers are made: other pixels, other identifiers.
    """
    study, series = generate_uid(entropy_srcs=[digest, "study"]), generate_uid(entropy_srcs=[digest, "cine"])
    frame = generate_uid(entropy_srcs=[digest, "frame"])
    low, high = (float(each) for each in np.percentile(images, (1.0, 99.5)))
    window = ((low + high) / 2, max(high - low, 1.0))  # one for all, so that a cine does not flicker
    for place in range(images.shape[0]):
        for phase in range(images.shape[1]):
            number = place * images.shape[1] + phase + 1
            name = generate_uid(entropy_srcs=[digest, "cine", str(number)])
            header = _header(name)
            dataset = FileDataset("", {}, file_meta=header, preamble=b"\0" * 128)
            dataset.SOPInstanceUID, dataset.SOPClassUID = name, MRImageStorage
            dataset.StudyInstanceUID, dataset.SeriesInstanceUID = study, series
            dataset.FrameOfReferenceUID, dataset.InstanceNumber = frame, number
            _who(dataset, patient)
            _sequence(dataset, how)
            _place(dataset, how, place, phase, images.shape[1])
            _pixels(dataset, images[place, phase], window)
            stream = io.BytesIO()
            dataset.save_as(stream, enforce_file_format=True)
            yield f"slice-{place + 1:02d}-phase-{phase + 1:02d}.dcm", stream.getvalue()


def _header(name: UID) -> FileMetaDataset:
    header = FileMetaDataset()
    header.MediaStorageSOPClassUID, header.MediaStorageSOPInstanceUID = MRImageStorage, name
    header.TransferSyntaxUID = ExplicitVRLittleEndian
    header.ImplementationClassUID = generate_uid(entropy_srcs=["laennec"])
    header.ImplementationVersionName = "LAENNEC"
    return header


def _who(dataset: Dataset, digest: str) -> None:
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.PatientName, dataset.PatientID = f"Digital^{digest[:12]}", digest[:16]
    dataset.PatientBirthDate = dataset.PatientSex = ""
    dataset.QualityControlSubject = dataset.SyntheticData = "YES"
    dataset.StudyDate = dataset.StudyTime = dataset.AccessionNumber = dataset.ReferringPhysicianName = ""
    dataset.StudyID, dataset.SeriesNumber = "1", 1
    dataset.Modality, dataset.Manufacturer = "MR", "Laennec"
    dataset.ImageType = ["DERIVED", "PRIMARY", "OTHER"]
    dataset.SeriesDescription, dataset.BurnedInAnnotation = "Short-axis cine, simulated", "NO"
    dataset.BodyPartExamined, dataset.PatientPosition = "HEART", "HFS"


def _sequence(dataset: Dataset, how: Acquisition) -> None:
    dataset.ManufacturerModelName = how.scanner
    dataset.ScanningSequence, dataset.SequenceVariant, dataset.ScanOptions = "GR", "SS", "CG"
    dataset.MRAcquisitionType, dataset.EchoTrainLength = "2D", 1
    dataset.MagneticFieldStrength = f"{how.field_tesla:g}"
    dataset.EchoTime, dataset.RepetitionTime = f"{how.echo_ms:g}", f"{how.repetition_ms:g}"
    dataset.FlipAngle = f"{how.flip_degrees:g}"


def _place(dataset: Dataset, how: Acquisition, place: int, phase: int, phases: int) -> None:
    step = how.cycle_ms / phases
    dataset.SliceThickness, dataset.SpacingBetweenSlices = f"{how.thickness_mm:g}", f"{how.distance_mm:g}"
    dataset.ImagePositionPatient = [f"{each:.6g}" for each in how.positions[place]]
    dataset.ImageOrientationPatient = [f"{each:.8f}" for each in (*how.rows, *how.columns)]
    dataset.PixelSpacing = [f"{each:.6g}" for each in how.spacing_mm]
    dataset.PositionReferenceIndicator = ""
    dataset.SliceLocation = f"{float(how.positions[place] @ np.cross(how.rows, how.columns)):.6g}"
    dataset.TriggerTime, dataset.NominalInterval = f"{phase * step:.4f}", round(how.cycle_ms)
    dataset.CardiacNumberOfImages = phases
    dataset.HeartRate = round(60_000 / how.cycle_ms)


def _pixels(dataset: Dataset, image: NDArray[np.uint16], window: tuple[float, float]) -> None:
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.Rows, dataset.Columns = image.shape
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 16, 15
    dataset.PixelRepresentation = 0
    dataset.WindowCenter, dataset.WindowWidth = (f"{each:.6g}" for each in window)
    dataset.PixelData = np.ascontiguousarray(image, dtype="<u2").tobytes()
