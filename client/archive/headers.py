"""What a DICOM header says about its frames: place, time, and which of them belong together."""

from __future__ import annotations

import math
from typing import Any

from pydicom import Dataset

from client.archive.geometry import Frame

# What the second and later values of Image Type, or a frame's own, tell apart: magnitude, phase, real,
# imaginary.
SORTS = {"M", "P", "R", "I", "M_FFE", "PHASE MAP", "PHASE", "MAGNITUDE", "REAL", "IMAGINARY"}
SCOUT = "LOCALIZER"


def frames_of(header: Dataset, file: str) -> list[Frame]:
    """One for each image in the file; raises ValueError, TypeError or AttributeError where it has none."""
    shape = (int(header.Rows), int(header.Columns))
    if min(shape) < 1:
        raise ValueError("no pixels")
    count = int(header.get("NumberOfFrames") or 1)
    groups = header.get("PerFrameFunctionalGroupsSequence")
    # Some exporters put an empty description of frames into an image of one frame that has its own place.
    if not groups or (count == 1 and header.get("ImagePositionPatient")):
        one = _frame(header, header, header, header, file, 0, shape)
        if count == 1:
            return [one]
        # Frames of a multi-frame image without functional groups follow each other in time.
        step = _number(header.get("FrameTime"))
        return [
            Frame(file, n, shape, *_place_of(one), None if step is None else n * step, (n, n), one.sort)
            for n in range(count)
        ]
    if len(groups) != count:
        raise ValueError("frames without a description")
    shared = (header.get("SharedFunctionalGroupsSequence") or [Dataset()])[0]
    return [_grouped(header, shared, group, file, n, shape) for n, group in enumerate(groups)]


def counted(header: Dataset) -> dict[str, int]:
    """How many phases and how many images of this acquisition the scanner says that there are."""
    names = {"phases": "CardiacNumberOfImages", "images": "ImagesInAcquisition"}
    found = {name: _number(header.get(keyword)) for name, keyword in names.items()}
    return {name: int(value) for name, value in found.items() if value is not None and value > 0}


def is_scout(header: Dataset) -> bool:
    """Whether it is a picture to plan others by: three planes, few slices, nothing to learn from."""
    return SCOUT in _types(header)


def _grouped(
    header: Dataset, shared: Dataset, own: Dataset, file: str, number: int, shape: tuple[int, int]
) -> Frame:
    def group(name: str) -> Dataset:
        found = own.get(name) or shared.get(name)
        return found[0] if found else Dataset()

    content, beat = group("FrameContentSequence"), group("CardiacSynchronizationSequence")
    kind = group("MRImageFrameTypeSequence") or group("CTImageFrameTypeSequence")
    when = {
        "TriggerTime": beat.get("NominalCardiacTriggerDelayTime"),
        "TemporalPositionIdentifier": content.get("TemporalPositionIndex"),
        "InstanceNumber": number + 1,
        "ImageType": kind.get("FrameType") or header.get("ImageType"),
        "EchoNumbers": group("MREchoSequence").get("EffectiveEchoTime"),
    }
    place, plane = group("PlanePositionSequence"), group("PlaneOrientationSequence")
    return _frame(place, plane, group("PixelMeasuresSequence"), when, file, number, shape)


def _frame(
    place: Dataset,
    plane: Dataset,
    measures: Dataset,
    when: Dataset | dict[str, Any],
    file: str,
    number: int,
    shape: tuple[int, int],
) -> Frame:
    time = _number(when.get("TriggerTime"))
    temporal = _number(when.get("TemporalPositionIdentifier"))
    instance = _number(when.get("InstanceNumber"))
    position = _numbers(place.get("ImagePositionPatient"), 3)
    orientation = _numbers(plane.get("ImageOrientationPatient"), 6)
    spacing = _numbers(measures.get("PixelSpacing"), 2)
    return Frame(
        file,
        number,
        shape,
        position,
        orientation,
        None if spacing is None else (spacing[0], spacing[1]),
        time,
        (int(temporal or 0), int(instance or 0)),
        _sort(when),
    )


def _place_of(frame: Frame) -> tuple[Any, Any, Any]:
    return frame.position, frame.orientation, frame.spacing


def _sort(header: Dataset | dict[str, Any]) -> str:
    kinds = sorted(SORTS.intersection(_types(header)[2:]))
    echo = _number(header.get("EchoNumbers"))
    return " ".join([*kinds, "" if echo is None else f"echo {echo:g}"]).strip()


def _types(header: Dataset | dict[str, Any]) -> list[str]:
    value = header.get("ImageType") or []
    return [str(each).upper() for each in ([value] if isinstance(value, str) else value)]


def _number(value: Any) -> float | None:
    if value is None or value == "":
        return None
    number = float(value)
    return number if math.isfinite(number) else None


def _numbers(value: Any, count: int) -> tuple[float, ...] | None:
    """So many numbers; None where the header has none at all. Raises ValueError where it has others."""
    if value is None or value == "" or (hasattr(value, "__len__") and len(value) == 0):
        return None
    numbers = tuple(float(each) for each in value)
    if len(numbers) != count or not all(math.isfinite(each) for each in numbers):
        raise ValueError("not a place")
    return numbers
