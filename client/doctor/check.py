"""What one check found."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Check:
    """One line of the doctor's.

    Attributes:
        name: what was looked at.
        good: whether it is as it should be.
        text: what was found.
        todo: what to do, where it is not good; empty where it is.

    """

    name: str
    good: bool
    text: str
    todo: str = ""
