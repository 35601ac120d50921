"""Studies that a coordinator sent and nobody decided on, kept so that a person can, within bounds.

The text is kept in its canonical form, without the sender's comments: what a person reads is what is hashed.
"""

from __future__ import annotations

import re
from pathlib import Path

from client.approval import papers
from client.home import Home
from client.journal import Journal
from ground.errors import LaennecError, StudyError, UsageError
from ground.files import write_atomically
from tasks.study import Study, load, parse

FOLDER = "waiting"
MOST = 20
LONGEST = 64 * 1024
FEWEST = 6  # digits of a digest that name a study


def offer(home: Home, study_text: str) -> bool:
    """Keep the study until a person decides; False where there is no room, or it lies there already.

    When the room is full those who came first stay: a coordinator that sends a thousand studies must not push
    out the one that somebody is about to read. Raises StudyError where the text is no study.
    """
    if len(study_text) > LONGEST:
        return False
    study = parse(study_text)
    file = home.path / FOLDER / f"{study.digest}.toml"
    if file.exists() or len(_files(home)) >= MOST:
        return False
    file.parent.mkdir(mode=0o700, exist_ok=True)
    write_atomically(file, study.to_toml())
    return True


def waiting(home: Home) -> list[Study]:
    """The studies that nobody decided on, oldest first; a file that is no study is passed over."""
    found = []
    for file in sorted(_files(home), key=lambda each: (each.stat().st_mtime, each.name)):
        try:
            study = load(file)
        except LaennecError:
            continue
        if study.digest == file.stem:
            found.append(study)
    return found


def decline(home: Home, digest: str, by: str) -> None:
    """Take a study from those that wait; sent again, it waits again."""
    (home.path / FOLDER / f"{digest}.toml").unlink(missing_ok=True)
    Journal(home.path).write("person", "decline", digest, f"by {by}")


def find_study(home: Home, which: str) -> Study:
    """The study in the file `which`, or the one here whose digest begins so (at least 6 digits).

    Raises StudyError or UsageError where there is none, or more than one.
    """
    if not Path(which).is_file() and re.fullmatch("[0-9a-fA-F]{1,64}", which):
        return _known(home, which.lower())
    return load(Path(which))


def _known(home: Home, which: str) -> Study:
    """The one that waits here, or that was decided on, whose digest begins so."""
    if len(which) < FEWEST:
        raise UsageError(
            f"{which}: no such file, and for a digest give at least {FEWEST} digits: "
            "`laennec hospital approve --list` shows them"
        )
    found = {study.digest: study for study in waiting(home) if study.digest.startswith(which)}
    for digest in papers.digests(home.path):
        if digest.startswith(which) and digest not in found:
            paper = papers.read(home.path, digest)
            if paper is not None and paper.study:
                found[digest] = parse(paper.study)
    if not found:
        raise StudyError(
            f"{which}: no study here has such a digest: see `laennec hospital approve --list`, "
            "or give the path of a .toml file"
        )
    if len(found) > 1:
        raise UsageError(f"{which}: {len(found)} studies have digests that begin so: give more digits")
    return next(iter(found.values()))


def _files(home: Home) -> list[Path]:
    return list((home.path / FOLDER).glob("[0-9a-f]*.toml"))
