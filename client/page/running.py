"""What the node is doing: the study that runs, how far it is, and what the journal knows of its rounds."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass

from client.approval import papers
from client.home import Home
from client.journal import Journal, Line
from ground.errors import LaennecError
from tasks.study import Study, parse

FRESH = 15 * 60.0  # seconds after its last round in which a study counts as running


@dataclass(frozen=True)
class Progress:
    """One study that runs.

    Attributes:
        digest: the study's.
        name: its name; its digest's first digits where it is not known here.
        round: the last round answered or being worked on; 0 before the first.
        rounds: how many there are; None where the study is not known here.
        phase: what is being worked on now; None between two messages.
        since: when that began, or when the last answer left; ISO 8601 or seconds since 1970.

    """

    digest: str
    name: str
    round: int
    rounds: int | None
    phase: str | None
    since: str | float | None


@dataclass(frozen=True)
class Node:
    """The node as its status file shows it; `state` is "never" where none ran here."""

    state: str
    since: str | None
    last_contact: str | None
    coordinator: str | None
    progress: tuple[Progress, ...]


def node_of(home: Home) -> Node:
    """The node and what runs on it; raises StateError where the journal is damaged."""
    from client.node.supervisor import read_status

    said = read_status(home.path) or {}
    found = {line.digest: _of_line(home, line) for line in _recent(Journal(home.path).last()) if line.digest}
    digest = said.get("study")
    if isinstance(digest, str) and re.fullmatch("[0-9a-f]{64}", digest):
        number = said.get("round")
        found[digest] = _progress(
            home,
            digest,
            number if isinstance(number, int) else 0,
            _text(said.get("phase")),
            _text(said.get("working_since")),
        )
    return Node(
        state=_text(said.get("state")) or "never",
        since=_text(said.get("since")),
        last_contact=_text(said.get("last_contact")),
        coordinator=_text(said.get("coordinator")),
        progress=tuple(found.values()),
    )


def study_of(home: Home, digest: str) -> Study | None:
    """The study as it was approved here; None where it was not."""
    try:
        paper = papers.read(home.path, digest)
        return None if paper is None or not paper.study else parse(paper.study)
    except LaennecError:
        return None


def _recent(lines: list[Line]) -> list[Line]:
    """The last line of each study that began and has not ended, where it was written a short while ago."""
    last = {line.digest: line for line in lines if line.digest and line.what in ("begin", "round", "end")}
    since = time.time() - FRESH
    return [line for line in last.values() if line.what != "end" and line.time > since]


def _of_line(home: Home, line: Line) -> Progress:
    number = re.match(r"round (\d{1,6})\b", line.detail)
    at = int(number[1]) if number and line.what == "round" else 0
    return _progress(home, line.digest or "", at, None, line.time)


def _progress(home: Home, digest: str, number: int, phase: str | None, since: str | float | None) -> Progress:
    study = study_of(home, digest)
    rounds = None if study is None else study.rounds
    name = digest[:12] if study is None else study.name
    return Progress(digest, name, min(number, rounds or number), rounds, phase, since)


def _text(value: object) -> str | None:
    return value[:100] if isinstance(value, str) else None
