"""A child that ends with its parent, however the parent ends: SIGKILL included."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
import time

_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_LOOK_EVERY = 1.0


def die_with(parent: int) -> None:
    """From here on the process is killed when its parent, whose process number that is, ends.

    To be called first of all: a parent that ended before is noticed too. Linux does it by itself; elsewhere
    the process looks once a second. The parent must have started it from its main thread.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    else:
        threading.Thread(target=_look_after, args=(parent,), daemon=True).start()
    if os.getppid() != parent:
        os._exit(1)


def _look_after(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_LOOK_EVERY)
    os._exit(1)
