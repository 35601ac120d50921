"""How a worker process begins. Light to import itself, so that Ctrl-C ends a worker at once, warm or not."""

from __future__ import annotations

import signal


def warm_up() -> None:
    """End silently on Ctrl-C, which was held back until here; then import what every message needs."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    import client.app  # noqa: F401
