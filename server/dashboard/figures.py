"""The pictures of a finished study's report: its drawings alone, taken out of the page that holds them.

A report may also show patients (of hospitals that disclose them); those stay in the report.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from html import unescape
from pathlib import Path

REPORT = "report.html"
# As `server.report.charts` writes them: we made the page, and nothing else in it is an SVG of that class.
_DRAWING = re.compile(r'<svg class="picture" role="img" aria-label="([^"]*)".*?</svg>', re.DOTALL)
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox",
    "Cross-Origin-Resource-Policy": "same-origin",
}


@dataclass(frozen=True)
class Figure:
    """One drawing: what it shows in words, and its SVG."""

    words: str
    svg: str


def figures(folder: Path) -> tuple[Figure, ...]:
    """The drawings of the report in that folder; none where there is no report yet."""
    file = folder / REPORT
    try:
        mark = file.stat().st_mtime_ns
        return _figures(file, mark)
    except OSError:
        return ()


@lru_cache(maxsize=16)
def _figures(file: Path, _mark: int) -> tuple[Figure, ...]:
    text = file.read_text(encoding="utf-8")
    return tuple(Figure(unescape(found[1]), found[0]) for found in _DRAWING.finditer(text))
