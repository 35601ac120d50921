"""The process that speaks with the coordinator: `flower-supernode`, at our pace. No patient is read here.

python -m client.node.supernode PARENT FOLDER [arguments of flower-supernode]
"""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

from client.node import logs
from client.node.places import Places
from ground.files import replace_file
from ground.network import SILENT
from ground.orphan import die_with

QUICKEST, SLOWEST, SHARE = 0.05, 1.0, 0.1
IDLE = 3.0  # what Flower asks for between two questions to the coordinator; it waits for its executor in 0.5
log = logging.getLogger("node")


class Pauses:
    """How long to wait where Flower would wait 0.5 or 3 seconds: a tenth of how long nothing happened.

    So a round is not held up by waiting, and a node with nothing to do asks once a second.
    """

    def __init__(self, noted: Callable[[], None], sleep: Callable[[float], None] = time.sleep) -> None:
        self._noted, self._sleep = noted, sleep
        self._idle = 0.0

    def __call__(self, seconds: float) -> None:
        """Wait; a wait between two questions means that the coordinator has answered."""
        if seconds >= IDLE:
            self._noted()
            pause = min(seconds, SLOWEST, max(QUICKEST, SHARE * self._idle))
            self._idle += pause
        else:
            self._idle, pause = 0.0, min(seconds, QUICKEST)
        self._sleep(pause)


def main(arguments: list[str]) -> None:
    """Run the node until it is ended."""
    parent, folder, *passed = arguments
    die_with(int(parent))
    logs.write_to(Places(Path(folder)).log, "supernode")
    serve(Places(Path(folder)), passed)


def serve(places: Places, passed: list[str], fault: Callable[[str], None] = lambda _: None) -> None:
    """Speak with the coordinator until ended; `fault` is called between the steps, for tests only."""
    os.environ.update(SILENT)
    from client.node.flower import run_supernode

    logs.write_to(places.log, "supernode")  # Flower sets up its own logging when it is imported

    def connected(number: int, ahead: float) -> None:
        replace_file(places.number, str(number))
        if ahead:
            log.warning(
                "this machine's clock is %.0f s ahead of the coordinator's: put one right (NTP)", ahead
            )
        places.contact.touch(mode=0o600)

    run_supernode(passed, Pauses(places.contact.touch), connected, _before(places.number), fault)


def _before(file: Path) -> int | None:
    try:
        return int(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


if __name__ == "__main__":
    main(sys.argv[1:])
