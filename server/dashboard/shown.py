"""The templates, and how amounts, spans of time and states are written in them. Everything is escaped."""

from __future__ import annotations

import math
import time

from jinja2 import Environment
from markupsafe import Markup

from ground.web import shown
from ground.web.shown import moment
from server.events import duration
from server.narrator import listed


def environment() -> Environment:
    """The dashboard's templates; an unknown name is an error, and every value is escaped."""
    made = shown.environment("server.dashboard")
    made.filters.update(ago=ago, fixed=fixed, epsilon=epsilon, span=span, listed=listed, rounds_of=rounds_of)
    return made


def ago(value: float | None) -> str:
    """How long ago that was, and on asking when; "never" for none."""
    if value is None:
        return "never"
    return Markup('<span class="ago" title="{}">{} ago</span>').format(
        time.strftime("%d %b %Y, %H:%M:%S", time.localtime(value)), duration(max(0.0, time.time() - value))
    )


def fixed(value: float | None) -> str:
    """A metric with three decimals, a dash where it is undefined."""
    return "–" if value is None or not math.isfinite(value) else f"{value:.3f}"


def epsilon(value: float | None) -> str:
    """What was spent, never less than it is; ∞ without noise, a dash where nobody says."""
    if value is None:
        return "–"
    return "∞" if math.isinf(value) else f"{math.ceil(value * 1000 - 1e-9) / 1000:.3f}"


def span(seconds: float) -> str:
    """A length of time."""
    return f"{seconds:.2f} s" if seconds < 1 else duration(seconds)


def rounds_of(numbers: list[int], most: int = 8) -> str:
    """Round numbers in words: "3, 17 and 18"; of many only the first and how many more."""
    if len(numbers) <= most:
        return listed([str(each) for each in numbers]) if numbers else "none"
    return f"{', '.join(map(str, numbers[:most]))} and {len(numbers) - most} more"


__all__ = ["environment", "moment"]
