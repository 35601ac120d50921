"""Words for people."""

from __future__ import annotations


def counted(number: int, thing: str, things: str = "") -> str:
    """How many of them there are: "1 patient", "2 patients"; `things` where the plural has no s."""
    return f"{number} {thing if number == 1 else things or f'{thing}s'}"
