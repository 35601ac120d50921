"""Templates in which everything is escaped, and how moments, digests and parts are written in them."""

from __future__ import annotations

import math
from datetime import UTC, datetime

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape


def environment(package: str) -> Environment:
    """The templates of that package, and "house.html" with parts of pages that all have.

    An unknown name is an error, and every value is escaped.
    """
    made = Environment(
        loader=ChoiceLoader([PackageLoader(package), PackageLoader("ground.web")]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(moment=moment, digest=digest, percent=percent)
    return made


def moment(value: float | str | None) -> str:
    """Date and time in this machine's time zone, from seconds since 1970 or ISO 8601; a dash for none."""
    if value is None or value == "":
        return Markup("–")
    try:
        when = datetime.fromisoformat(value) if isinstance(value, str) else datetime.fromtimestamp(value, UTC)
        local = when.astimezone()
    except (OverflowError, ValueError, OSError):
        return escape(value)  # a wrong clock wrote what no calendar has
    return Markup('<time datetime="{}">{}</time>').format(
        local.isoformat(timespec="seconds"), f"{local:%d %b %Y, %H:%M}"
    )


def digest(value: str) -> str:
    """The first digits of a digest, and all of them on asking."""
    return Markup('<code title="{}">{}</code>').format(value, value[:12])


def percent(part: float, whole: float) -> str:
    """For the width of a bar: 0 to 100, with two decimals."""
    if not whole > 0 or math.isnan(part):
        return "0"
    return f"{min(100.0, max(0.0, 100.0 * part / whole)):.2f}"
