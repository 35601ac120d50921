"""What an unfinished run was started with, so that nobody goes on with other data or other noise.

Noise drawn from a seed for some rounds and from the operating system for others, or rounds over two sets of
patients, would make one privacy card of two stories.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

from client.hospital import Settings
from ground.errors import UsageError
from ground.files import write_atomically

FILE = "origin.json"


def is_of(folder: Path, hospitals: Sequence[Settings]) -> bool:
    """Whether the origin noted in that folder is these hospitals' data as they are now, with this noise."""
    try:
        return bool(json.loads((folder / FILE).read_text(encoding="utf-8")) == _origin(hospitals))
    except (OSError, ValueError):
        return False


def check(state: Path, hospitals: Sequence[Settings], *, begun: bool) -> None:
    """Note the origin of a new run; raises UsageError where a run that was begun had another one."""
    origin = _origin(hospitals)
    file = state / FILE
    if not begun or not file.is_file():
        write_atomically(file, json.dumps(origin))
        return
    before = json.loads(file.read_text(encoding="utf-8"))
    for name in sorted(origin.keys() | before.keys()):
        then, now = before.get(name), origin.get(name)
        if then != now:
            what = "noise" if then and now and then[1] == now[1] else "data"
            raise UsageError(
                f"{state.parent}: its unfinished run began with other {what} (hospital {name}): "
                f"give the same again, choose another --out, or delete {state}"
            )


def _origin(hospitals: Sequence[Settings]) -> dict[str, list[object]]:
    return {each.name: [each.secret_noise, list(map(_fingerprint, each.sources))] for each in hospitals}


def _fingerprint(path: str) -> str:
    """SHA-256 of a file, or of the names, sizes and times of all files below a folder."""
    source = Path(path)
    if source.is_file():
        return hashlib.sha256(source.read_bytes()).hexdigest()
    files = sorted(file for file in source.rglob("*") if file.is_file())
    listed = [(str(f.relative_to(source)), f.stat().st_size, f.stat().st_mtime_ns) for f in files]
    return hashlib.sha256(json.dumps(listed).encode()).hexdigest()
