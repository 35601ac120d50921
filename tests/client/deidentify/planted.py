"""A made-up image with a patient's values wherever a file can carry one, to be looked for afterwards."""

from __future__ import annotations

import io

import numpy as np
from pydicom import dcmread
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian, MRImageStorage, generate_uid

NAME, NUMBER, BIRTH, TOWN = "Quixotte^Dulcinea", "ZX-4711-0815", "19371118", "Zwickmuehle"
STUDIED = "20031231"
SECRETS = ("quixotte", "dulcinea", "4711", "0815", BIRTH, TOWN.lower(), STUDIED, "windmill", "sancho")


def planted(implicit: bool = False) -> FileDataset:
    """As if just read from a file: the values are still bytes."""
    return again(_image(implicit))


def bytes_of(dataset: FileDataset) -> bytes:
    """As a file."""
    stream = io.BytesIO()
    dataset.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


def again(dataset: FileDataset) -> FileDataset:
    """Written and read again."""
    return read(bytes_of(dataset))


def read(content: bytes) -> FileDataset:
    """A file's bytes as pydicom reads them."""
    return dcmread(io.BytesIO(content))


def _image(implicit: bool) -> FileDataset:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = MRImageStorage
    meta.TransferSyntaxUID = ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian
    meta.SourceApplicationEntityTitle = "SANCHO"
    meta.ImplementationVersionName = "WINDMILL"
    image = FileDataset("", {}, file_meta=meta, preamble=b"Dulcinea".ljust(128, b"\1"))
    image.SOPClassUID, image.SOPInstanceUID = MRImageStorage, generate_uid(entropy_srcs=["instance"])
    meta.MediaStorageSOPInstanceUID = image.SOPInstanceUID
    image.StudyInstanceUID = generate_uid(entropy_srcs=["study"])
    image.SeriesInstanceUID = generate_uid(entropy_srcs=["series"])
    _person(image)
    _texts(image)
    _sequences(image)
    _pixels(image)
    return image


def _person(image: Dataset) -> None:
    image.SpecificCharacterSet = "ISO_IR 192"
    image.PatientName, image.PatientID, image.PatientBirthDate = NAME, NUMBER, BIRTH
    image.PatientSex, image.PatientAge, image.PatientWeight = "F", "066Y", "61"
    image.OtherPatientIDs = [NUMBER, "4711"]
    image.PatientAddress, image.PatientTelephoneNumbers = f"Windmill 1, {TOWN}", "0815-4711"
    image.ReferringPhysicianName = image.OperatorsName = "Panza^Sancho"
    image.InstitutionName = image.StationName = TOWN
    image.AccessionNumber = image.StudyID = "4711"
    image.DeviceSerialNumber = "0815"
    image.StudyDate = image.SeriesDate = STUDIED
    image.AcquisitionDateTime = f"{STUDIED}101500.5+0100"
    image.StudyTime = "101500.25"


def _texts(image: Dataset) -> None:
    image.Modality, image.ImageType = "MR", ["ORIGINAL", "PRIMARY", "M"]
    image.Manufacturer, image.ManufacturerModelName = "Maker", "Quixotte scanner"
    image.StudyDescription = f"Cardiac MRI {NAME.replace('^', ' ')} of {STUDIED}"
    image.SeriesDescription = "cine SAX Dulcinea windmill 4711"
    image.ProtocolName, image.ImageComments = "Sancho", "spoke with Dulcinea in Zwickmuehle"
    image.BodyPartExamined, image.SequenceName = "HEART", "*tfi2d1 4711"
    image.PatientComments = image.AdditionalPatientHistory = "windmill"
    image.TextComments = image.RequestedProcedureDescription = "Dulcinea"
    block = image.private_block(0x0029, "SANCHO", create=True)
    block.add_new(0x01, "LO", NAME)
    block.add_new(0x02, "OB", b"Dulcinea Quixotte")
    image.add_new(0x60003000, "OW", b"Dulcinea")
    image.add_new(0x60004000, "LT", "Dulcinea")
    image.add_new(0x50000020, "CS", "DULCINEA")
    image.add_new(0xFFFCFFFC, "OB", b"Dulcinea")


def _sequences(image: Dataset) -> None:
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = "T-32000", "SRT", "Heart of Dulcinea"
    code.StudyDate, code.PatientName, code.PatientID = STUDIED, NAME, NUMBER
    code.ReferencedSOPInstanceUID = image.SOPInstanceUID
    code.private_block(0x0029, "SANCHO", create=True).add_new(0x01, "LO", NAME)
    inner = Dataset()
    inner.PersonName, inner.TextValue, inner.Date = NAME, "windmill", STUDIED
    code.AnatomicRegionModifierSequence = Sequence([inner])
    image.AnatomicRegionSequence = Sequence([code])
    reference = Dataset()
    reference.ReferencedSOPClassUID = MRImageStorage
    reference.ReferencedSOPInstanceUID = image.SOPInstanceUID
    image.ReferencedImageSequence = Sequence([reference])
    person = Dataset()
    person.PatientName = NAME
    image.OtherPatientIDsSequence = image.RequestAttributesSequence = Sequence([person])


def _pixels(image: Dataset) -> None:
    image.ImagePositionPatient, image.ImageOrientationPatient = [-1.5, 2, 3.25], [1, 0, 0, 0, 1, 0]
    image.PixelSpacing, image.SliceThickness, image.InstanceNumber = ["1.25", "1.25"], "8", "3"
    image.Rows = image.Columns = 32
    image.SamplesPerPixel, image.PhotometricInterpretation = 1, "MONOCHROME2"
    image.BitsAllocated, image.BitsStored, image.HighBit, image.PixelRepresentation = 16, 12, 11, 0
    hidden = np.arange(1024, dtype="<u2") | 0xA000  # in the four bits that no picture uses
    image.add(DataElement(0x7FE00010, "OW", hidden.tobytes() + b"Dulcinea"))
