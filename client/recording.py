"""What came of an instruction: refusals signed and written down, rounds written down with what they cost.

A coordinator that asks a thousand times gets a thousand answers and fills no disk.
"""

from __future__ import annotations

import logging
import re
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

from client.hospital import Settings
from client.journal import Journal, What
from client.journal.lines import private_of
from client.ledger import BOOK, Ledger, up
from ground.errors import DataError, LaennecError, LaterError
from ground.words import counted
from tasks.messages import Instruction, Reply
from tasks.refusals import signed
from tasks.study import Study, parse

log = logging.getLogger("laennec.client")
HOUR = 3600.0
# The most refusals that are written in an hour; the same one of the same study only once.
LINES_AN_HOUR = 10
LONGEST = 400
# What is written of each phase that reads patients.
WRITTEN: dict[str, What] = {"enrol": "begin", "count": "round", "train": "round", "report": "end"}
# By journal: refusals not written since the last that was, in this process.
_unwritten: Counter[Path] = Counter()


def refused(reply: Reply, error: Exception, settings: Settings) -> Reply:
    """The refusal signed and dated, with when to ask again; it has its line in the journal."""
    if settings.home is None:
        return reply
    if isinstance(error, LaterError):
        reply = replace(reply, later=error.seconds)
    own = isinstance(error, LaennecError) and not isinstance(error, DataError)  # which might name a file
    said = str(error) if own else "" if reply.error is None else reply.error[1]
    # The digest is what the coordinator claims: anything else than one is not written down.
    digest = reply.digest if re.fullmatch("[0-9a-f]{64}", reply.digest) else None
    try:
        _write(Journal(settings.home), digest, f"{reply.phase} {reply.round}: {said}"[:LONGEST])
    except LaennecError as trouble:  # a journal that cannot be written stops every study; no refusal
        log.warning("a refusal is not in the journal: %s", trouble)
    return signed(reply, private_of(settings.home), time.time())


def answered(instruction: Instruction, settings: Settings) -> None:
    """The line of a study's begin, round or end, with ε; asked again, it is not written again."""
    what = WRITTEN.get(instruction.phase)
    if settings.home is None or what is None:
        return
    study, journal = parse(instruction.study), Journal(settings.home)
    place = f"{study.name}, {_place(instruction, study)}"
    lines = [line for line in journal.last() if (line.what, line.digest) == (what, study.digest)]
    if not any(line.detail.startswith(f"{place}; ") for line in lines):
        journal.write("node", what, study.digest, f"{place}; {_spent(settings, study)}")


def _place(instruction: Instruction, study: Study) -> str:
    if instruction.phase == "enrol":
        asked = "no privacy asked" if study.privacy is None else f"ε {study.privacy.epsilon:g} asked"
        return f"{counted(study.rounds, 'round')}, {asked}"
    if instruction.phase == "count":
        return "patients counted"
    if instruction.phase == "train":
        return f"round {instruction.round} of {study.rounds}"
    return f"after {counted(study.rounds, 'round')}"


def _spent(settings: Settings, study: Study) -> str:
    """ε of all that this hospital's patients have spent, as its book has it."""
    if settings.home is None or not (settings.home / BOOK).exists():
        return "nothing spent yet"
    with Ledger(settings.home / BOOK) as ledger:
        limit, events = ledger.budget(settings.account), ledger.spent(settings.account)
    if limit is None:
        delta = 1e-5 if study.privacy is None else study.privacy.delta
        # By RDP, which is never less and takes no time. With a budget the book has worked it out already.
        return f"at most ε {up(events.epsilon_rdp(delta))} spent, at δ {delta:g}, of no budget"
    return f"ε {up(events.epsilon(limit.delta))} spent of {limit.epsilon:g}, at δ {limit.delta:g}"


def _write(journal: Journal, digest: str | None, detail: str) -> None:
    """At most some lines an hour, and the same once: what is not written is counted in the next line."""
    since = time.time() - HOUR
    recent = [line for line in journal.last() if line.what == "refuse" and line.time > since]
    same = any(line.digest == digest and line.detail.startswith(detail) for line in recent)
    if same or len(recent) >= LINES_AN_HOUR:
        _unwritten[journal.path] += 1
        return
    more = _unwritten.pop(journal.path, 0)
    journal.write(
        "coordinator", "refuse", digest, f"{detail} (and {more} more before it)" if more else detail
    )
