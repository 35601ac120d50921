"""What is to happen to each attribute: DICOM PS3.15, Table E.1-1, as in `profile.csv`, and beyond it.

The table speaks of the attributes that it lists. Of the others only numbers, coded strings and well-known
identifiers stay, and the text and bytes that `kept.toml` names. Options taken: Retain Longitudinal Temporal
Information with Modified Dates, and Clean Descriptors (PS3.15, E.3.6 and E.3.5).
"""

from __future__ import annotations

import csv
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.resources import files
from typing import Literal

from pydicom.datadict import dictionary_has_tag, dictionary_VR, tag_for_keyword

Action = Literal["remove", "empty", "dummy", "identity", "uid", "shift", "clean", "recurse", "check", "bytes"]

_DATES = ("DA", "DT", "TM")
_FREE = ("PN", "LO", "SH", "LT", "ST", "UT", "UC", "UR", "AE", "UN")
_BYTES = ("OB", "OW", "OD", "OF", "OL", "OV", "OB or OW", "US or OW", "US or SS or OW")
_SET = 0x00080005  # Specific Character Set: what stays is plain ASCII


@dataclass(frozen=True)
class Row:
    """One attribute of Table E.1-1: tag (x for any digit), name, action codes by column."""

    tag: str
    name: str
    codes: dict[str, str]


@dataclass(frozen=True)
class Plan:
    """What happens to one attribute.

    Attributes:
        action: see `cleaning`.
        vr: the value representations that its value may have; what stays of others is removed.
        fallback: what happens where a descriptor or a date has nothing left: "remove" or "empty".
        needed: kept in a right form even where it equals an identifier.

    """

    action: Action
    vr: tuple[str, ...] = ()
    fallback: Literal["remove", "empty"] = "remove"
    needed: bool = False


REMOVE = Plan("remove")


@cache
def table() -> tuple[Row, ...]:
    """Table E.1-1, as it is in the package."""
    text = _text("profile.csv")
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    return tuple(
        Row(tag=row.pop("tag"), name=row.pop("name"), codes={k: v for k, v in row.items() if v})
        for row in csv.DictReader(lines)
    )


@lru_cache(maxsize=16_384)
def plan_of(tag: int) -> Plan:
    """What happens to the attribute with this tag, listed or not."""
    group = tag >> 16
    # Private; group lengths; commands, media and padding; curves and overlays, whose numbers are of no use
    # without their data.
    if group & 1 or not tag & 0xFFFF or group < 0x0008 or group >= 0xFFFA:
        return REMOVE
    if group & 0xFF00 in (0x5000, 0x6000) or tag == _SET or not dictionary_has_tag(tag):
        return REMOVE
    vr = dictionary_VR(tag)
    codes = _listed().get(tag)
    return _unlisted(tag, vr) if codes is None else _of_codes(tag, vr, codes)


def _of_codes(tag: int, vr: str, codes: dict[str, str]) -> Plan:
    """An attribute of the table under the two options.

    Where the table leaves the choice to the IOD (X/Z/D), the last letter is taken: it is right in any IOD,
    and says no more than the first.
    """
    basic = codes["basic"].split("/")[-1]
    fallback: Literal["remove", "empty"] = "remove" if basic == "X" else "empty"
    if tag == 0x00100020 or tag == 0x00100010:
        return Plan("identity", (vr,))
    if codes.get("modified-dates") == "C" and vr in _DATES:
        return Plan("shift", (vr,), fallback)
    if codes.get("clean-descriptors") == "C" and tag in _kept("cleaned"):
        return Plan("clean", (vr,), fallback)
    if vr == "UI":
        return Plan("uid", ("UI",)) if basic in ("U", "U*", "D") else REMOVE
    if basic == "U*":
        return Plan("recurse", ("SQ",))
    if basic == "X":
        return REMOVE
    return Plan("dummy" if basic == "D" and vr != "SQ" else "empty", (vr.split(" or ")[0],))


def _unlisted(tag: int, vr: str) -> Plan:
    """An attribute that the table does not list: kept where its kind of value cannot say who somebody is."""
    if tag in _kept("cleaned"):
        return Plan("clean", (vr,))
    if vr in _FREE:
        return Plan("check", (vr,)) if tag in _kept("verbatim") else REMOVE
    if vr in _BYTES:
        return Plan("bytes", tuple(vr.split(" or ")), needed=True) if tag in _kept("bytes") else REMOVE
    if vr == "SQ":
        return Plan("recurse", ("SQ",))
    if vr == "UI":
        return Plan("uid", ("UI",))
    if vr in _DATES:
        return Plan("shift", (vr,))
    return Plan("check", tuple(vr.split(" or ")), needed=tag in _kept("needed"))


@cache
def _listed() -> dict[int, dict[str, str]]:
    return {int(row.tag, 16): row.codes for row in table() if row.tag != "private" and "x" not in row.tag}


@cache
def _kept(kind: str) -> frozenset[int]:
    return frozenset(_tags(tomllib.loads(_text("kept.toml"))[kind]))


def _tags(keywords: list[str]) -> Iterator[int]:
    for keyword in keywords:
        tag = tag_for_keyword(keyword)
        if tag is None:
            raise ValueError(f"kept.toml: {keyword} is no keyword of the DICOM dictionary")
        yield tag


@cache
def vocabulary() -> frozenset[str]:
    """The words, in capitals, that may stay in a description."""
    return frozenset(tomllib.loads(_text("words.toml"))["words"].split())


def _text(name: str) -> str:
    return (files(__package__) / name).read_text(encoding="utf-8")
