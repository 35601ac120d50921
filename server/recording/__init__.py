"""A study's course as it is written down while it happens, and where it stands by what is written.

HOME/studies/DIGEST/events.jsonl holds one JSON object a line, append-only; now.json what changes every
second (whom the study waits for). Both are for people who look on: a study resumes from its checkpoint
alone, and a line that is lost or written twice changes no model. Modules: `lines` (the files), `recorder`
(writes them), `standing` (where a study
stands), `course` (what the lines add up to), `reading` (of a folder).

    with recording(folder, study):      # begin, every event, and how it ended
        drive(grid, study, terms, folder / "state")
    standing(folder)                    # any process, at any time
"""

from server.recording.lines import EVENTS, Line, Lines
from server.recording.reading import standing
from server.recording.recorder import Recorder, recording
from server.recording.standing import HospitalStanding, Shown, Standing

__all__ = [
    "EVENTS",
    "HospitalStanding",
    "Line",
    "Lines",
    "Recorder",
    "Shown",
    "Standing",
    "recording",
    "standing",
]
