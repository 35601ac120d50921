"""The process that is at one study: it asks hospitals, round by round, and writes the results.

    python -m server.coordinating.study PARENT HOME DIGEST

Killed at any moment and started again, it goes on from its checkpoint. It ends with status 0 where there is
nothing to be done before somebody decides something, and with another where it should be started again.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import traceback
from contextlib import ExitStack
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from ground.errors import FederationError, LaennecError
from ground.files import replace_file
from ground.orphan import die_with

if TYPE_CHECKING:
    from server.coordinating.places import Places
    from server.home import CoordinatorHome
    from server.link import SuperLink
    from server.progress import Progress
    from server.registry.studies import Launched

log = logging.getLogger("laennec.study")
JOIN_SECONDS = 300.0  # for hospitals of a roster, once there is one
AGAIN = 3  # the status that asks for another start


def main(arguments: list[str]) -> int:
    """Be at that study until it is finished, stopped or in need of somebody."""
    parent, path, digest = arguments
    die_with(int(parent))
    from server.events import halt

    def stop(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - a signal handler
        halt.set()

    for each in (signal.SIGTERM, signal.SIGINT):
        signal.signal(each, stop)
    from ground.network import SILENT

    os.environ.update(SILENT)
    from server.coordinating.places import places_of
    from server.home import CoordinatorHome

    home = CoordinatorHome.open(Path(path))
    launched, places = home.registry.studies.get(digest), places_of(home, digest)
    places.make()
    os.environ["FLWR_HOME"] = str(places.folder / ".flwr")
    return _attempt(home, launched, places)


def _attempt(home: CoordinatorHome, launched: Launched, places: Places) -> int:
    """Carry the study out, and write down in the registry what came of it."""
    from server.events import halt

    studies = home.registry.studies
    studies.move(launched.digest, "running")
    try:
        finish(home, launched, places, carry_out(home, launched, places))
    except LaennecError as error:
        if halt.is_set():
            studies.move(launched.digest, "waiting")
            return 0
        passing = isinstance(error, FederationError)
        _say(launched, places, str(error))
        studies.move(launched.digest, "waiting" if passing else "failed", str(error))
        return AGAIN if passing else 0
    except Exception as error:  # of a foreign one only the kind: its text may be anybody's
        _say(launched, places, f"the study's process ended: {where(error)}")
        studies.move(launched.digest, "waiting", f"its process ended: {type(error).__name__}")
        return AGAIN
    return 0


def _say(launched: Launched, places: Places, text: str) -> None:
    """A line in the study's log, outside its recording."""
    from server.logs import about, logging_to

    with logging_to(places.log), about(launched.study):
        log.warning("%s", text)


def where(error: BaseException) -> str:
    """The kind of an error and the line of code that it comes from."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__} in {Path(frame.filename).name}, line {frame.lineno}"


def carry_out(home: CoordinatorHome, launched: Launched, places: Places) -> Progress:
    """The study's last progress: from its checkpoint on, over the hospitals that it was launched for."""
    from server import checkpoint
    from server.admission.grid import MembersGrid
    from server.coordinating.places import link_of
    from server.driver import drive
    from server.recording import recording
    from server.terms import Terms

    study, known = launched.study, checkpoint.load(places.state)
    if known is not None and known.phase == "done":
        return known
    begun = known is not None and known.phase != "enrol"
    terms = Terms(
        hospitals=len(launched.hospitals),
        join_seconds=JOIN_SECONDS if begun else max(JOIN_SECONDS, launched.approval_seconds),
        approval_seconds=launched.approval_seconds,
    )
    with ExitStack() as stack:
        stack.enter_context(recording(places.folder, study))
        link = link_of(home)
        _end_former_run(places, link)
        link.launch({"study.toml": study.to_toml().encode()})
        nodes = stack.enter_context(link.grid(launched.hospitals))
        # Which of the runs that wait a process is given is the SuperLink's choice; they are all alike.
        replace_file(places.run, str(nodes.run.run_id))
        grid = MembersGrid(nodes, lambda: {each.name for each in home.registry.hospitals.members()})
        return drive(grid, study, terms, places.state)


def finish(home: CoordinatorHome, launched: Launched, places: Places, progress: Progress) -> None:
    """Write the results; a kill on the way leaves it to be done again, from the same checkpoint."""
    from server.coordinating.outcome import describe_recorded
    from server.results import write_files

    write_files(describe_recorded(progress, places.folder), places.folder)
    home.registry.studies.move(launched.digest, "finished")
    places.tidy()


def _end_former_run(places: Places, link: SuperLink) -> None:
    """What a process that was killed left at the SuperLink: nodes should not work on it any more."""
    from server.link.flower import Failure

    try:
        link.stop_run(int(places.run.read_text(encoding="utf-8")))
    except (OSError, ValueError, Failure):  # there is none, or it ended by itself
        return


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
