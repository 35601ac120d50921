"""The picture itself: nothing before, behind or beneath it, and whether there is writing in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, generate_frames
from pydicom.tag import BaseTag
from pydicom.uid import (
    UID,
    JPEG2000TransferSyntaxes,
    JPEGLSTransferSyntaxes,
    JPEGTransferSyntaxes,
    RLELossless,
)

from client.deidentify.cleaning import Element, text_of
from client.deidentify.lettering import has_lettering
from client.deidentify.streams import without_comments

PIXELS, OFFSETS, LENGTHS, FRAMES = 0x7FE00010, 0x7FE00001, 0x7FE00002, 0x00280008
WRITTEN = "there seems to be writing in the picture"
UNSEEN = "the picture cannot be looked into, so that nobody can say whether a name stands in it"
_COMMENTED = {*JPEGTransferSyntaxes, *JPEGLSTransferSyntaxes, *JPEG2000TransferSyntaxes}


def cleaned_pixels(dataset: Dataset, kept: dict[BaseTag, Element], syntax: UID) -> tuple[str, ...]:
    """Put the picture in order among what is kept; why a person should look at it, one line each.

    Cut to its size; the bits above those stored, where old overlays hide, set as the sign demands; comments
    taken out of compressed streams. A picture shorter than its size stays as it is: its reader will say so.
    """
    element = kept.get(BaseTag(PIXELS))
    if element is None:
        return _look(dataset) if "FloatPixelData" in dataset or "DoubleFloatPixelData" in dataset else ()
    if syntax.is_compressed and not syntax.is_deflated:
        return _compressed(dataset, kept, element, syntax)
    frame = Frame.of(dataset)
    if frame is None:
        del kept[BaseTag(PIXELS)]
        return (UNSEEN,)
    data = bytes(element.value or b"")
    if len(data) < frame.length:
        return ()
    # Bytes that were swapped two by two (OW, high byte first) end with the odd one's partner.
    data = data[: frame.length + (frame.length & 1 if not frame.little else 0)]
    values = frame.values(data)
    if values is None:
        _put(kept, element, data)
        return ()
    if 0 < frame.stored < frame.bits and frame.highest == frame.stored - 1:
        values = _stored(values, frame.bits - frame.stored)
        data = values.tobytes() + data[frame.length :]
    _put(kept, element, data)
    return (WRITTEN,) if has_lettering(frame.planes(values)) else ()


@dataclass(frozen=True)
class Frame:
    """How the bytes of an uncompressed picture are to be read, as its attributes say.

    Attributes:
        frames: how many pictures.
        rows: pixels down.
        columns: pixels across.
        samples: values a pixel.
        bits: of a value, as stored.
        stored: of a value, as meant.
        highest: which bit is the highest of those meant, from 0.
        signed: whether values may be negative.
        little: whether the lowest byte comes first.
        planar: whether colours stand one after another instead of pixels.
        colours: the photometric interpretation.

    """

    frames: int
    rows: int
    columns: int
    samples: int
    bits: int
    stored: int
    highest: int
    signed: bool
    little: bool
    planar: bool
    colours: str

    @classmethod
    def of(cls, dataset: Dataset) -> Frame | None:
        """As the dataset says; None where it does not say how large its picture is."""
        little = dataset.original_encoding[1] is not False

        def number(tag: int, usual: int = 0) -> int:
            return number_of(dataset, tag, usual, little)

        frame = cls(
            frames=max(number(0x00280008, 1), 1),
            rows=number(0x00280010),
            columns=number(0x00280011),
            samples=number(0x00280002, 1),
            bits=number(0x00280100),
            stored=number(0x00280101),
            highest=number(0x00280102),
            signed=number(0x00280103) == 1,
            little=little,
            planar=number(0x00280006) == 1,
            colours=text_of(dataset, 0x00280004),
        )
        return frame if min(frame.rows, frame.columns, frame.samples, frame.bits) > 0 else None

    @property
    def length(self) -> int:
        """Bytes of all pictures together."""
        values = self.frames * self.rows * self.columns * self.samples
        if self.colours.endswith("_422"):  # two pixels share their colour
            values = values * 2 // 3
        return (values * self.bits + 7) // 8

    def values(self, data: bytes) -> NDArray[Any] | None:
        """One after another; None where they are not whole bytes, or share colours."""
        if self.bits not in (8, 16, 32) or self.colours.endswith("_422"):
            return None
        kind = f"{'<' if self.little else '>'}{'i' if self.signed else 'u'}{self.bits // 8}"
        return np.frombuffer(data, kind, self.length // (self.bits // 8))

    def planes(self, values: NDArray[Any]) -> NDArray[Any]:
        """Pictures (T, Y, X): of colours the brightest."""
        if self.samples == 1:
            return values.reshape(self.frames, self.rows, self.columns)
        if self.planar:
            shaped = np.moveaxis(values.reshape(self.frames, self.samples, self.rows, self.columns), 1, -1)
        else:
            shaped = values.reshape(self.frames, self.rows, self.columns, self.samples)
        return brightness(shaped, self.colours)


def brightness(values: NDArray[Any], colours: str) -> NDArray[Any]:
    """(..., samples) to (...): the first of those that begin with it, else the brightest."""
    picked: NDArray[Any] = values[..., 0] if colours.startswith("YBR") else values[..., :3].max(axis=-1)
    return picked


def number_of(dataset: Dataset, tag: int, usual: int, little: bool) -> int:
    """A whole number (US, IS) of the dataset; `usual` where there is none."""
    element = dataset.get_item(BaseTag(tag), keep_deferred=True) if BaseTag(tag) in dataset else None
    value = None if element is None else element.value
    try:
        if isinstance(value, bytes) and tag != FRAMES:
            return int.from_bytes(value, "little" if little else "big") if len(value) == 2 else usual
        if isinstance(value, bytes):
            return int(value.strip(b" \0"))
        return usual if value is None else int(value)
    except (TypeError, ValueError):
        return usual


def _stored(values: NDArray[Any], spare: int) -> NDArray[Any]:
    """Values whose spare upper bits repeat the sign, or are 0 where there is none."""
    return (values << spare) >> spare


def _compressed(
    dataset: Dataset, kept: dict[BaseTag, Element], element: Element, syntax: UID
) -> tuple[str, ...]:
    if syntax in _COMMENTED:
        frames = max(number_of(dataset, FRAMES, 1, True), 1)
        try:
            before = list(generate_frames(bytes(element.value or b""), number_of_frames=frames))
            after = [without_comments(frame) for frame in before]
        except Exception:  # whatever a broken stream makes the parser raise
            del kept[BaseTag(PIXELS)]
            return (UNSEEN,)
        if after != before:
            for tag in (OFFSETS, LENGTHS):
                kept.pop(BaseTag(tag), None)
            _put(kept, element, encapsulate(after), undefined=True)
    elif syntax != RLELossless:
        del kept[BaseTag(PIXELS)]
        return (UNSEEN,)
    return _look(dataset)


def _look(dataset: Dataset) -> tuple[str, ...]:
    try:
        values = dataset.pixel_array
    except Exception:  # no decoder, or a stream that none understands
        return (UNSEEN,)
    if number_of(dataset, 0x00280002, 1, True) > 1:
        values = brightness(values, text_of(dataset, 0x00280004))
    return (WRITTEN,) if has_lettering(values) else ()


def _put(kept: dict[BaseTag, Element], old: Element, data: bytes, undefined: bool = False) -> None:
    data += b"\0" * (len(data) & 1)
    length = 0xFFFFFFFF if undefined else len(data)
    vr = str(old.VR) if old.VR in ("OB", "OW") else "OW"
    kept[old.tag] = RawDataElement(old.tag, vr, length, data, 0, False, True)
