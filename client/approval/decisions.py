"""Approve, revoke, and whether a study may run now."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

from client.approval import papers
from client.approval.papers import Paper
from client.home import Home
from client.journal import Journal
from ground.errors import ApprovalError, DeclinedError, StateError, UsageError
from tasks.study import Study

DAY = 86400.0
LONGEST_DAYS = 3650


@dataclass(frozen=True)
class Standing:
    """A decision and what it is worth now: "approved", "expired", "revoked", "changed" or "no line"."""

    digest: str
    state: str
    paper: Paper | None
    why: str = ""


def approve(home: Home, study: Study, by: str, days: int | None = None) -> Paper:
    """Let this study, of just this digest, run here; for so many days, or until it is revoked.

    Raises UsageError where `by` names nobody or `days` is out of range.
    """
    check_terms(by, days)
    moment = time.time()
    until = None if days is None else papers.now_text(moment + days * DAY)
    paper = Paper(study.digest, study.name, study.to_toml(), by, papers.now_text(moment), until)
    paper = paper.signed(home.path)
    paper.write(home.path)
    # Without this line the paper approves nothing: a crash between the two is as if nobody had decided.
    term = "until it is revoked" if until is None else f"until {until}"
    Journal(home.path).write(
        "person", "approve", study.digest, f"{study.name}, by {by}, {term}, signature {paper.mark}"
    )
    (home.path / "waiting" / f"{study.digest}.toml").unlink(missing_ok=True)
    return paper


def check_terms(by: str, days: int | None) -> None:
    """Raises UsageError where `by` names nobody or `days` is out of range: before anything is shown."""
    if not (0 < len(by) <= 64 and by.isprintable() and by == by.strip()):
        raise UsageError("whoever decides has a name of 1 to 64 printable characters: give --by NAME")
    if days is not None and not 1 <= days <= LONGEST_DAYS:
        raise UsageError(f"--days is from 1 to {LONGEST_DAYS}: give another, or leave it out")


def revoke(home: Home, digest: str, by: str) -> Paper:
    """Take an approval back; a round that is being computed ends, and no other begins.

    Raises UsageError where that study was never approved here, or is revoked already.
    """
    try:
        paper = papers.read(home.path, digest)
    except StateError:
        paper = None
        known = (home.path / papers.FOLDER / f"{digest}.json").exists()
        if not known:
            raise
        paper = Paper(digest, "unknown", "", by, "")
    if paper is None:
        raise UsageError(f"study {digest[:12]} was never approved here: there is nothing to revoke")
    if standing_of(home, digest).state == "revoked":
        raise UsageError(f"{paper.name} ({digest[:12]}) is revoked already: it does not run here")
    # The line first: from here on the approval counts no more, whatever becomes of the file.
    Journal(home.path).write("person", "revoke", digest, f"{paper.name}, by {by}")
    no = replace(paper, by=by, at=papers.now_text(time.time()), until=None, revoked=True).signed(home.path)
    no.write(home.path)
    return no


def check(home: Home, study: Study) -> Paper:
    """The approval under which this study runs now; raises ApprovalError where there is none."""
    standing = standing_of(home, study.digest)
    what = f"study {study.name} ({study.digest[:12]})"
    if standing.state == "approved" and standing.paper is not None:
        return standing.paper
    if standing.state == "expired" and standing.paper is not None:
        _expired(home, standing.paper)
    said = {
        "expired": f"{what}: its approval here has expired: a person at the hospital can renew it",
        "revoked": f"{what}: its approval here was revoked by a person at the hospital",
        "changed": f"{what}: its approval here was changed after it was signed and counts for nothing",
        "no line": f"{what}: its approval here is not the one in the journal and counts for nothing",
        "declined": f"{what} was declined by a person at the hospital",
        "nobody": f"{what} is not approved here: a person at the hospital decides; ask again when they have",
    }
    decided = standing.state in ("revoked", "declined")
    raise (DeclinedError if decided else ApprovalError)(said[standing.state])


def approvals(home: Home) -> list[Standing]:
    """Every decision that was taken here, and what it is worth now."""
    return [standing_of(home, digest) for digest in papers.digests(home.path)]


def standing_of(home: Home, digest: str) -> Standing:
    """What the decision about that study is worth now."""
    try:
        paper = papers.read(home.path, digest)
    except StateError as error:
        return Standing(digest, "changed", None, str(error))
    if paper is None:
        lines = Journal(home.path).about(digest, "decline")
        return Standing(digest, "declined" if lines else "nobody", None)
    lines = Journal(home.path).about(digest, "approve", "revoke")
    last = lines[-1] if lines else None
    if last is not None and last.what == "revoke":
        return Standing(digest, "revoked", paper)
    if paper.revoked:
        return Standing(digest, "revoked", paper)
    if last is None or not last.detail.endswith(f", signature {paper.mark}"):
        return Standing(digest, "no line", paper, "the journal knows another approval, or none")
    return Standing(digest, "expired" if paper.has_expired(time.time()) else "approved", paper)


def _expired(home: Home, paper: Paper) -> None:
    """Say once in the journal that an approval expired."""
    journal = Journal(home.path)
    detail = f"{paper.name}, approved by {paper.by}, until {paper.until}, signature {paper.mark}"
    if not any(line.detail == detail for line in journal.about(paper.digest, "expire")):
        journal.write("node", "expire", paper.digest, detail)
