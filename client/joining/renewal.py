"""Renewing a hospital's certificate long before its end, while its node runs and without a restart.

Whether it is time is judged by the coordinator's clock: a hospital whose own is wrong stays a member too.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from client.joining.asking import asking
from client.joining.door import RefusedError
from client.joining.joining import checked
from client.joining.membership import Member, authority_file, member_of, write_member
from client.journal import Journal
from ground.errors import LaennecError
from ground.membership.lifetimes import is_due, pause

LEAST_PAUSE = 1.0  # seconds, after a failure
log = logging.getLogger("node")


def renew(home: Path) -> Member | None:
    """Renew the certificate where it is due; the membership from then on, None where it was not due.

    Raises FederationError where the coordinator cannot be reached or refuses.
    """
    with asking(home) as asked:
        clock = asked.door.clock()
        if not is_due(asked.member.since, asked.member.until, clock.time):
            return None
        given = asked.door.renew(asked.request("renew", clock))
        authority = authority_file(home).read_text(encoding="ascii")
        member = checked(given, asked.key.public_key(), authority, given.hospital)
    write_member(home, member, given.certificate, given.authority)
    Journal(home).write("node", "renew", detail=f"certificate of {member.federation}")
    return member


def ask_whether_a_member(home: Path) -> None:
    """Raises RefusedError, with the coordinator's words, where this hospital is a member no more."""
    with asking(home) as asked:
        asked.door.peers(asked.request("peers", asked.door.clock()))


@contextmanager
def renewing(home: Path) -> Iterator[Callable[[], None]]:
    """Inside, a thread renews the certificate of this home in time, if it is a member.

    What it gives is to be called when the node was cut off: the log then says whether it is shut out.
    """
    stopping, cut_off = threading.Event(), threading.Event()
    thread = threading.Thread(target=_keep, args=(home, stopping, cut_off), name="renewal", daemon=True)
    thread.start()
    try:
        yield cut_off.set
    finally:
        stopping.set()
        cut_off.set()
        thread.join(1.0)  # a request under way ends by itself


def _keep(home: Path, stopping: threading.Event, cut_off: threading.Event) -> None:
    said, seconds = "", 0.0
    while True:
        was_cut_off = cut_off.wait(seconds)
        if stopping.is_set():
            return
        cut_off.clear()
        try:
            member = member_of(home)
            if member is None:
                return
            seconds = pause(member.since, member.until)
            if was_cut_off:
                ask_whether_a_member(home)
            if renew(home) is not None:
                log.info("the certificate was renewed")
            said = ""
        except LaennecError as error:
            seconds = max(seconds, LEAST_PAUSE)
            if str(error) != said:  # once, however often it is tried
                said = str(error)
                level = logging.ERROR if isinstance(error, RefusedError) else logging.WARNING
                log.log(level, "the membership is not sure: %s", said)
