"""Dates moved by a number of days; what is not a date becomes empty."""

from __future__ import annotations

import datetime
import re

_DATE = re.compile(r"(\d{4})\.?(\d{2})\.?(\d{2})", re.ASCII)  # with dots: ACR-NEMA's old form
_MOMENT = re.compile(r"(\d{4})(\d{2})?(\d{2})?((?:\d{2}){0,3}(?:\.\d{1,6})?)(?:[+-]\d{4})?", re.ASCII)
_TIME = re.compile(r"(?:[01]\d|2[0-3])(?::?[0-5]\d(?::?(?:[0-5]\d|60)(?:\.\d{1,6})?)?)?", re.ASCII)


def shift_date(text: str, days: int) -> str:
    """A DICOM date (DA), moved; empty where it is none, or none that a calendar has."""
    found = _DATE.fullmatch(text.strip(" \0"))
    return "" if found is None else _moved(found[1], found[2], found[3], days)


def shift_moment(text: str, days: int) -> str:
    """A DICOM date and time (DT), moved, as exact as it was; without its zone, which says where it was."""
    found = _MOMENT.fullmatch(text.strip(" \0"))
    if found is None or (found[4] and not (found[3] and _TIME.fullmatch(found[4]))):
        return ""
    exact = 4 + 2 * (found[2] is not None) + 2 * (found[3] is not None)
    moved = _moved(found[1], found[2] or "01", found[3] or "01", days)
    return moved and moved[:exact] + found[4]


def time_of_day(text: str) -> str:
    """A DICOM time (TM) as it was; empty where it is none."""
    stripped = text.strip(" \0")
    return stripped if _TIME.fullmatch(stripped) else ""


def _moved(year: str, month: str, day: str, days: int) -> str:
    try:
        moved = datetime.date(int(year), int(month), int(day)) + datetime.timedelta(days)
    except (ValueError, OverflowError):
        return ""
    return f"{moved.year:04d}{moved.month:02d}{moved.day:02d}"
