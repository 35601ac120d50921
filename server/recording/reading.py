"""Where the study in a folder stands: asked by any process, at any time, as often as it likes."""

from __future__ import annotations

import time
from pathlib import Path
from threading import Lock

from server.recording import lines
from server.recording.course import Course
from server.recording.lines import Lines
from server.recording.standing import Standing

_GUARD = Lock()
_KNOWN: dict[Path, tuple[Lines, Course]] = {}


def standing(folder: Path) -> Standing:
    """Where the study in this folder stands now; it is "new" where nothing was recorded.

    Only what came since the last call is read: a caller may ask every second.
    """
    with _GUARD:
        known, course = _KNOWN.get(folder, (Lines(folder), Course()))
        came, another = known.new()
        if another:
            course = Course()
        for line in came:
            course.take(line)
        _KNOWN[folder] = (known, course)
        return course.standing(lines.now(folder), alive=lines.alive(folder), clock=time.time())
