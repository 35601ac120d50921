"""Memory that was freed goes back to the system."""

from __future__ import annotations

import ctypes
import sys


def give_back() -> None:
    """Return what this process freed and the C library kept for later; does nothing where there is no glibc.

    glibc keeps pieces below 32 MB that were freed: `malloc_trim(3)` returns all that lies on whole pages,
    also between pieces in use. It takes milliseconds, so it is for the end of large work, not for its steps.
    """
    if sys.platform != "linux":
        return
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # musl has none
    if trim is not None:
        trim(0)
