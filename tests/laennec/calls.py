"""What the tests of the command line share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

NAMES = ("cleveland", "hungary", "long-beach")
STUDY = 'name = "short"\ntask = "heart-disease"\nrounds = 2\n'
PRIVATE = STUDY.replace("short", "private") + "[privacy]\nepsilon = 4.0\n"


@dataclass(frozen=True)
class Finished:
    """Exit status, and what was printed."""

    code: int
    out: str
    err: str


Laennec = Callable[..., Finished]


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path
