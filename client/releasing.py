"""A patient is let out of quarantine by a person, and the journal says by whom: for command line and page."""

from __future__ import annotations

from client.archive import Archive
from client.home import Home
from client.journal import Journal


def release(home: Home, patient: str, by: str) -> tuple[str, ...]:
    """Let that patient pass; the reasons that no longer hold her.

    Raises UsageError where she is not set aside, or nobody takes the responsibility.
    """
    with Archive(home.path) as archive:
        reasons = archive.release(patient, by)
    Journal(home.path).write("person", "release", detail=f"{patient}, by {by}: {'; '.join(reasons)}")
    return reasons
