"""Backups in a folder, by their dates: which name the next one gets, and which are too old."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path


def named(target: Path, kind: str) -> Path:
    """`target`, or a file in it named by the second where it is a folder."""
    if not target.is_dir():
        return target
    return target / f"{kind}-{datetime.now(UTC):%Y-%m-%dT%H-%M-%SZ}.tar"


def thin(folder: Path, kind: str, keep: int) -> list[Path]:
    """Remove all but the newest `keep` backups of that kind; gives what was removed. Other files stay."""
    pattern = re.compile(rf"{re.escape(kind)}-\d{{4}}-\d\d-\d\dT\d\d-\d\d-\d\dZ\.tar")
    old = sorted(each for each in folder.iterdir() if pattern.fullmatch(each.name))[: -max(1, keep)]
    for each in old:
        each.unlink()
    return old
