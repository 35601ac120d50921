"""One DICOM file of a hospital: read, checked, de-identified, ready to be stored. Writes nothing."""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from client.archive.geometry import Frame
from client.archive.headers import counted, frames_of, is_scout

if TYPE_CHECKING:
    from pydicom import Dataset, FileDataset

    from client.deidentify import Pseudonyms

# What is not an image of a patient's inside, by the middle of its SOP class (PS3.4 B.5), and what to call it.
OTHERS = {
    "1.2.840.10008.5.1.4.1.1.66": "segmentation or registration",
    "1.2.840.10008.5.1.4.1.1.88": "structured report",
    "1.2.840.10008.5.1.4.1.1.91": "annotation",
    "1.2.840.10008.5.1.4.1.1.11": "presentation state",
    "1.2.840.10008.5.1.4.1.1.481": "radiotherapy object",
    "1.2.840.10008.5.1.4.1.1.77.1.6": "microscopy",
    "1.2.840.10008.5.1.4.1.1.9": "waveform",
    "1.2.840.10008.5.1.4.1.1.104": "encapsulated document",
    "1.2.840.10008.1.3.10": "directory of a disc",
}
CORRUPT = "a file is damaged or cut short"
CRASHED = "a file makes its decoder crash"
NO_PIXELS = "an image has no pixels"


@dataclass(frozen=True)
class Read:
    """What one file gave.

    Attributes:
        outcome: "stored", "skipped" (see `kind`) or "damaged".
        kind: what a skipped file is; the kind of a stored one.
        patient: her pseudonym; "" where the file does not say.
        reasons: why she is set aside for a person to look at.
        content: the bytes to store.
        series: the pseudonymous series.
        uid: of this instance, pseudonymous; None where files have none.
        identity: digest of pixels and place: two files of one uid must have the same.
        detail: what the index keeps of it.

    """

    outcome: str
    kind: str
    patient: str = ""
    reasons: tuple[str, ...] = ()
    content: bytes = field(default=b"", repr=False)
    series: str = ""
    uid: str | None = None
    identity: str = ""
    detail: dict[str, Any] = field(default_factory=dict, repr=False)


def looks_like_dicom(path: Path) -> bool:
    """Whether the file says that it is DICOM, or is called so."""
    with path.open("rb") as stream:
        start = stream.read(132)
    named = path.suffix.lower() in (".dcm", ".ima", ".dicom")
    # Without the preamble: group 0002 or 0008 first, as old archives write it.
    return (
        start[128:] == b"DICM"
        or (named and bool(start))
        or start[:4] in (b"\x08\x00\x05\x00", b"\x02\x00\x00\x00")
    )


def read_dicom(path: Path, pseudonyms: Pseudonyms) -> Read:
    """Read one file; an error inside it is a reason, never an exception. Raises OSError."""
    from pydicom import dcmread
    from pydicom.errors import InvalidDicomError

    raw = path.read_bytes()
    with quiet():
        try:
            dataset = dcmread(io.BytesIO(raw), force=raw[128:132] != b"DICM")
            other = _other(dataset)
            if other:
                return Read("skipped", other)
        except InvalidDicomError:
            return Read("damaged", CORRUPT)
        except Exception:  # whatever a hostile file makes the parser raise
            return Read("damaged", CORRUPT, _patient(raw, pseudonyms))
        try:
            return _clean(dataset, pseudonyms)
        except Exception:  # likewise; nothing of it has been stored
            return Read("damaged", CORRUPT, _patient(raw, pseudonyms), (CORRUPT,))


def patient_of(path: Path, pseudonyms: Pseudonyms) -> str:
    """Whose file that is, by its first elements; "" where they do not say."""
    with quiet():
        return _patient(path.read_bytes(), pseudonyms)


def _clean(dataset: Dataset, pseudonyms: Pseudonyms) -> Read:
    from client.deidentify import deidentify

    # First of all, while nothing of it is converted: it is fast because it carries bytes over.
    cleaned = deidentify(dataset, pseudonyms)
    header = cleaned.dataset
    reasons = [_of_a_picture(each) for each in cleaned.suspicions]
    pixels = _pixels(header)
    if pixels:
        reasons.append(pixels)
        return Read("damaged", pixels, cleaned.patient, tuple(reasons))
    frames = frames_of(header, "")
    reasons += sorted({fault for frame in frames if (fault := frame.wrong())})
    if not all(frame.is_placed for frame in frames) and _must_be_placed(header):
        reasons.append("an image does not say where it lies")
    series = str(header.get("SeriesInstanceUID") or "")
    return Read(
        "stored",
        "dicom",
        cleaned.patient,
        tuple(reasons),
        _written(header),
        series,
        str(header.SOPInstanceUID),
        _identity(header, frames),
        {
            "modality": str(header.get("Modality") or ""),
            "study": str(header.get("StudyInstanceUID") or ""),
            "number": str(header.get("SeriesNumber") or ""),
            "acquisition": str(header.get("AcquisitionNumber") or ""),
            "thickness": float(header.get("SliceThickness") or 0),
            "scout": is_scout(header),
            "counted": counted(header),
            "frames": [frame.to_list() for frame in frames],
        },
    )


def _of_a_picture(suspicion: str) -> str:
    """The same as a sentence of its own: some begin with what the picture does."""
    begins_with_verb = suspicion.split(" ")[0] in ("is", "says", "comes", "was")
    return f"a picture {suspicion}" if begins_with_verb else suspicion


def _other(dataset: Dataset) -> str:
    """What it is, where it is no image; raises where it is not DICOM at all."""
    meta = getattr(dataset, "file_meta", {})
    kind = str(dataset.get("SOPClassUID") or meta.get("MediaStorageSOPClassUID") or "")
    for prefix, name in OTHERS.items():
        if kind == prefix or kind.startswith(prefix + "."):
            return name
    if not dataset.get("SOPInstanceUID"):
        raise ValueError("no instance")
    if "Rows" not in dataset and "PixelData" not in dataset:
        return "DICOM without an image"
    return ""


def _pixels(dataset: Dataset) -> str:
    """What is wrong with the pixels; "" where nothing is. Compressed ones are decoded to find out."""
    if "PixelData" not in dataset:
        return NO_PIXELS
    syntax = getattr(dataset, "file_meta", {}).get("TransferSyntaxUID")
    if syntax is None or not syntax.is_compressed:
        from pydicom.pixels.utils import get_expected_length

        return "" if len(dataset.PixelData) >= get_expected_length(dataset) else CORRUPT
    try:
        dataset.pixel_array  # noqa: B018  decoding is the check
    except Exception:
        return "an image cannot be decompressed"
    return ""


def _must_be_placed(header: Dataset) -> bool:
    """Slices of MR, CT and PET have a place (type 1); scouts and secondary captures need none."""
    return header.get("Modality") in ("MR", "CT", "PT") and "Secondary" not in header.SOPClassUID.name


def _written(header: FileDataset) -> bytes:
    """The file's bytes (PS3.10)."""
    from pydicom.filebase import DicomBytesIO
    from pydicom.filewriter import write_dataset, write_file_meta_info
    from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

    syntax = header.file_meta.TransferSyntaxUID
    if syntax not in (ExplicitVRLittleEndian, ImplicitVRLittleEndian):
        stream = io.BytesIO()
        header.save_as(stream, enforce_file_format=True)
        return stream.getvalue()
    # The same two steps without looking over every element once more, which takes longer than writing them.
    plain = DicomBytesIO()
    plain.is_little_endian, plain.is_implicit_VR = True, syntax == ImplicitVRLittleEndian
    plain.write(b"\0" * 128 + b"DICM")
    write_file_meta_info(plain, header.file_meta, enforce_standard=True)
    write_dataset(plain, header)
    return plain.getvalue()


def _identity(header: Dataset, frames: Sequence[Frame]) -> str:
    digest = sha256(header.PixelData)
    digest.update(repr([each.to_list() for each in frames]).encode())
    return digest.hexdigest()


def _patient(raw: bytes, pseudonyms: Pseudonyms) -> str:
    """Whose damaged file this is, as far as its first elements can still be read."""
    from pydicom import dcmread

    try:
        found = dcmread(io.BytesIO(raw), force=True, specific_tags=["PatientID"], stop_before_pixels=True)
        name = str(found.get("PatientID") or "")
    except Exception:
        return ""
    return pseudonyms.patient(name) if name else ""


class quiet(warnings.catch_warnings):  # noqa: N801  used as a context manager, like the one that it extends
    """pydicom's warnings and log lines quote patients' values: nobody hears them."""

    def __enter__(self) -> Any:
        self._log = logging.getLogger("pydicom")
        self._level = self._log.level
        self._log.setLevel(logging.CRITICAL + 1)
        found = super().__enter__()
        warnings.simplefilter("ignore")
        return found

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)
        self._log.setLevel(self._level)
