"""From a DICOM dataset to one that may be stored, with the reasons why a person should look at it first."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from pydicom.charset import default_encoding
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_sequence_item
from pydicom.tag import BaseTag
from pydicom.uid import (
    UID,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    generate_uid,
)

from client.deidentify.cleaning import Cleaner, Element, text, text_of
from client.deidentify.pixels import WRITTEN, cleaned_pixels
from client.deidentify.pseudonyms import Pseudonyms
from client.deidentify.suspicion import by_tag
from client.deidentify.words import Identifiers
from ground.errors import DataError

NAME, PATIENT, BIRTH, STUDY = 0x00100010, 0x00100020, 0x00100030, 0x0020000D
BURNED_IN = 0x00280301
INSTANCE, SOP_CLASS, SYNTAX = 0x00080018, 0x00080016, 0x00020010
METHOD = "Laennec: PS3.15 Basic Profile, dates moved, descriptors cleaned"
# PS3.16, CID 7050: what was done.
CODES = (
    ("113100", "Basic Application Confidentiality Profile"),
    ("113105", "Clean Descriptors Option"),
    ("113107", "Retain Longitudinal Temporal Information Modified Dates Option"),
)


@dataclass(frozen=True)
class Cleaned:
    """A dataset without what identifies.

    Attributes:
        dataset: it, with its file's header; none of its bytes is the patient's but the picture.
        patient: the pseudonym.
        suspicions: why a person should look at the picture first, one line each.

    """

    dataset: FileDataset
    patient: str
    suspicions: tuple[str, ...]


def deidentify(dataset: Dataset, pseudonyms: Pseudonyms) -> Cleaned:
    """A new dataset of what may stay of this one, which is not changed.

    Raises DataError, which quotes no value, where it names neither patient nor study, or cannot be read.
    """
    patient = pseudonyms.patient(_identity(dataset))
    cleaner = Cleaner(pseudonyms, patient, pseudonyms.shift(patient))
    kept = cleaner.clean(dataset, Identifiers())
    implicit, little = _encoding(dataset)
    kept.update(_marks(implicit, little))
    for tag, vr in ((NAME, "PN"), (PATIENT, "LO")):
        kept[BaseTag(tag)] = text(tag, vr, patient)
    meta = _meta(dataset, kept, implicit, little)
    written = cleaned_pixels(dataset, kept, meta.TransferSyntaxUID)
    if WRITTEN in written:
        kept[BaseTag(BURNED_IN)] = text(BURNED_IN, "CS", "YES")
    made = FileDataset("", kept, b"\0" * 128, meta, implicit, little)
    made.set_original_encoding(implicit, little, default_encoding)
    return Cleaned(made, patient, by_tag(dataset) + written)


def _identity(dataset: Dataset) -> str:
    """What the hospital knows the patient by: a number; without one name and birth date, or the study."""
    number = _exact(dataset, PATIENT)
    if number:
        return number
    name = _exact(dataset, NAME)
    if name:
        return f"name\0{name}\0{text_of(dataset, BIRTH)}"
    study = text_of(dataset, STUDY)
    if study:
        return f"study\0{study}"
    raise DataError("a DICOM file names no patient and no study: it belongs to nobody")


def _exact(dataset: Dataset, tag: int) -> str:
    """A text in its own character set, so that the same patient in a table has the same pseudonym."""
    plain = text_of(dataset, tag)
    if plain.isascii():
        return plain
    try:
        return str(dataset[tag].value).strip(" \0")
    except Exception:  # an unknown character set: the bytes are as good a name
        return plain


def _encoding(dataset: Dataset) -> tuple[bool, bool]:
    implicit, little = dataset.original_encoding
    return (True if implicit is None else implicit), (True if little is None else little)


def _meta(dataset: Dataset, kept: dict[BaseTag, Element], implicit: bool, little: bool) -> FileMetaDataset:
    """A file header of our own: nothing of who wrote or sent the file."""
    old = getattr(dataset, "file_meta", None)
    syntax = "" if old is None else text_of(old, SYNTAX)
    if not UID(syntax).is_transfer_syntax:
        explicit = ExplicitVRLittleEndian if little else ExplicitVRBigEndian
        syntax = str(ImplicitVRLittleEndian if implicit else explicit)
    header: dict[BaseTag, Element] = dict(_header())
    header[BaseTag(SYNTAX)] = text(SYNTAX, "UI", syntax, "\0")
    for tag, source in ((0x00020002, SOP_CLASS), (0x00020003, INSTANCE)):
        element = kept.get(BaseTag(source))
        if element is not None:
            header[BaseTag(tag)] = text(tag, "UI", bytes(element.value or b"").decode("ascii"), "\0")
    return FileMetaDataset(header)


@cache
def _header() -> Mapping[BaseTag, Element]:
    """What says which program wrote a file: always the same."""
    version = RawDataElement(BaseTag(0x00020001), "OB", 2, b"\0\1", 0, False, True)
    ours = generate_uid(entropy_srcs=["laennec"])
    return _by_tag(version, text(0x00020012, "UI", str(ours), "\0"), text(0x00020013, "SH", "LAENNEC"))


@cache
def _marks(implicit: bool, little: bool) -> Mapping[BaseTag, Element]:
    """What says that the file was de-identified, and how (PS3.15, E.1.1, steps 6 and 7)."""
    stream = DicomBytesIO()
    stream.is_implicit_VR, stream.is_little_endian = implicit, little
    for code, meaning in CODES:
        item = Dataset()
        item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = code, "DCM", meaning
        write_sequence_item(stream, item, [default_encoding])
    codes = stream.getvalue()
    return _by_tag(
        text(0x00120062, "CS", "YES"),
        text(0x00120063, "LO", METHOD),
        RawDataElement(BaseTag(0x00120064), "SQ", len(codes), codes, 0, implicit, little),
        text(0x00280303, "CS", "MODIFIED"),
    )


def _by_tag(*elements: Element) -> Mapping[BaseTag, Element]:
    return {element.tag: element for element in elements}
