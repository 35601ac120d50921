"""Small pictures of patients who are set aside, drawn from the archive's pixels alone, without any header."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from client.archive import Archive, Quarantined
from client.archive.reading import CORRUPT, NO_PIXELS
from client.page.films import Film, films, middle, written
from ground.errors import LaennecError, UsageError

Size = Literal["coarse", "small", "large"]
# Pixels of the longer side. Coarse is what is shown before a person asks: no letter can be read.
SIDES: dict[Size, int] = {"coarse": 12, "small": 192, "large": 1000}
MOST = 6  # pictures of one patient
# Reasons that have nothing to do with what can be seen in a picture, beside those about a whole series.
# Whatever else sets a patient aside may mean a name burned into it: an unknown reason hides the picture.
_HARMLESS = {CORRUPT, NO_PIXELS}


@dataclass(frozen=True)
class Shown:
    """A patient who is set aside, as the page shows her.

    Attributes:
        patient: her pseudonym.
        reasons: in plain words.
        since: seconds since 1970 of the oldest reason.
        films: the series of which there is a picture.
        more: how many further ones there are.
        hidden: whether a person must ask before the pictures are shown.

    """

    patient: str
    reasons: tuple[str, ...]
    since: float
    films: tuple[Film, ...]
    more: int
    hidden: bool


def shown(archive: Archive, held: Sequence[Quarantined]) -> list[Shown]:
    """These patients, with what can be drawn of each."""
    return [_shown(archive, each) for each in held]


def picture(archive: Archive, patient: str, name: str, size: Size) -> bytes:
    """A PNG of one picture of a series. Coarse and small: the middle one; large: one with writing, if any.

    Raises UsageError where she is not set aside or has no such series, DataError where it cannot be decoded.
    """
    if all(each.patient != patient for each in archive.quarantine()):
        raise UsageError("nobody of that pseudonym is set aside")
    film = next((each for each in films(archive, patient) if each.name == name), None)
    if film is None:
        raise UsageError("there is no such picture")
    if size == "large":
        return _png(written(archive, patient, film), SIDES[size], (0.1, 100.0))
    return _png(middle(archive, patient, film), SIDES[size], (1.0, 99.0))


def _shown(archive: Archive, held: Quarantined) -> Shown:
    found, about_series = _seen(archive, held.patient)
    texts = tuple(reason.text for reason in held.reasons)
    return Shown(
        patient=held.patient,
        reasons=texts,
        since=min(reason.since for reason in held.reasons),
        films=tuple(found[:MOST]),
        more=max(0, len(found) - MOST),
        hidden=not _HARMLESS.union(about_series).issuperset(texts),
    )


def _seen(archive: Archive, patient: str) -> tuple[list[Film], set[str]]:
    """What can be drawn of her, and the reasons that are about places and numbers of her slices alone."""
    try:
        about = {f"{each.title}: {fault}" for each in archive.series(patient) for fault in each.faults}
        return films(archive, patient), about
    except LaennecError:
        return [], set()  # she is shown, with her reasons, without a picture


def _png(pixels: npt.NDArray[np.float32], side: int, window: tuple[float, float]) -> bytes:
    """Grey, eight bits, between those percentiles of brightness; nothing but the pixels."""
    from PIL import Image

    finite = np.nan_to_num(pixels.astype(np.float64), nan=0.0, posinf=0.0, neginf=0.0)
    low, high = np.percentile(finite, window)
    grey = np.clip((finite - low) / (high - low), 0.0, 1.0) if high > low else np.zeros_like(finite)
    image = Image.fromarray((255 * grey).astype(np.uint8))
    coarse = side == SIDES["coarse"]
    image.thumbnail((side, side), Image.Resampling.BOX if coarse else Image.Resampling.LANCZOS)
    stream = io.BytesIO()
    image.save(stream, "PNG", optimize=not coarse)
    return stream.getvalue()
