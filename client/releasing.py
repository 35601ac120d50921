"""A patient is let out of quarantine by a person, and the journal says by whom: for command line and page."""

from __future__ import annotations

from client.archive import Archive
from client.home import Home
from client.journal import Journal
from ground.errors import UsageError


def release(home: Home, patient: str, by: str) -> tuple[str, ...]:
    """Let that patient pass; the reasons that no longer hold her.

    Raises UsageError where she is not set aside, or nobody takes the responsibility.
    """
    with Archive(home.path) as archive:
        reasons = archive.release(patient, by)
    Journal(home.path).write("person", "release", detail=f"{patient}, by {by}: {'; '.join(reasons)}")
    return reasons


def held_for(home: Home, words: str) -> list[str]:
    """Pseudonyms of those who are set aside for a reason with these words, and for no other.

    Raises UsageError where there are none.
    """
    with Archive(home.path) as archive:
        held = archive.quarantine()
    found = [each.patient for each in held if words and all(words in reason.text for reason in each.reasons)]
    if not found:
        raise UsageError(
            f"{words[:60]!r}: nobody is set aside for this alone: `laennec hospital status` shows the reasons"
        )
    return found
