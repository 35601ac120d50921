"""`laennec hospital reopen`: a person says what is missing, and the home answers again."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from client import approval
from client.backup import places
from client.backup.loss import Evidence, Loss, Possible, check_explained, missing, possible, up_to
from client.booking import terms_of
from client.home import Home
from client.journal import Journal, Line
from client.ledger import BOOK, DEFAULT_DELTA, Ledger
from client.ledger.account import Releases, accountant_of
from ground.errors import UsageError
from ground.files import sync
from privacy.accountant import Event
from tasks.study import Study, parse


def assess(home: Home, evidence: Evidence) -> Loss:
    """What would be booked and taken back; nothing is changed.

    Raises UsageError where the home is open, or the evidence does not explain what is missing; StateError
    where a head is of another book.
    """
    with Ledger(home.path / BOOK) as book:
        if not places.is_closed(home.path) and book.closed() is None:
            raise UsageError(f"{home.path}: is open: there is nothing to say")
        closing = book.closed()
        digests = [entry.digest for entry in book.history()]
        last = len(digests) if closing is None else closing.number - 1
        entries = missing(evidence.ledger, digests, last, "book")
        lines = _missing_lines(home, evidence)
        studies: tuple[Possible, ...] = ()
        if entries != 0 and not evidence.budget_is_spent:
            studies = _studies(home, evidence, book)
            check_explained(entries, studies)
        limit, spent = book.budget(home.name), Releases(_releases(book, home.name))
    to_budget = up_to(limit, spent) if evidence.budget_is_spent and entries != 0 else None
    delta = DEFAULT_DELTA if limit is None else limit.delta
    after = sum((each.releases for each in studies), spent)
    if to_budget is not None:
        after = after + Releases({(to_budget.sampling_rate, to_budget.noise_multiplier): 1})
    in_force = [each.digest for each in approval.approvals(home) if each.state == "approved"]
    return Loss(
        entries=entries,
        lines=lines,
        studies=tuple(each for each in studies if each.releases),
        to_budget=to_budget,
        # With every line of the journal there, every decision is; the book alone does not tell who revoked.
        revoked=() if entries == 0 and lines == 0 else tuple(in_force),
        before=accountant_of(spent).epsilon(delta),
        after=accountant_of(after).epsilon(delta),
        delta=delta,
    )


def reopen(home: Home, by: str, evidence: Evidence) -> Loss:
    """Book the loss, take approvals back, write who said so, and let the home answer again.

    Killed in between it is closed still, and asked again it books nothing twice.
    """
    loss = assess(home, evidence)
    why = places.closed_because(home.path) or "closed"
    with Ledger(home.path / BOOK) as book:
        book.close_book(home.name, why)
        for study in loss.studies:
            for (rate, noise), times in sorted(study.releases.items()):
                book.lose(home.name, study.digest, Event(rate, noise, times))
        if loss.to_budget is not None:
            book.lose(home.name, None, loss.to_budget)
        for digest in loss.revoked:
            approval.revoke(home, digest, by)
        Journal(home.path).write("person", "reopen", detail=f"by {by}: {said(loss)}")
        book.open_book(home.name, f"by {by}: {said(loss)}"[:400])
    places.note(home.path)
    (home.path / places.MARK).unlink(missing_ok=True)
    sync(home.path)
    return loss


def said(loss: Loss) -> str:
    """The loss in a few words, for book and journal."""
    if loss.nothing:
        return "by the heads that were kept nothing is missing"
    entries = "unknown" if loss.entries is None else str(loss.entries)
    lines = "unknown" if loss.lines is None else str(loss.lines)
    booked = ", ".join(f"{each.name} {each.digest[:8]}" for each in loss.studies) or "none"
    rest = ", the whole budget" if loss.to_budget is not None else ""
    taken = len(loss.revoked)
    return (
        f"entries missing: {entries}; lines missing: {lines}; booked as if run: {booked}{rest}; "
        f"approvals revoked: {taken}"
    )[:400]


def _missing_lines(home: Home, evidence: Evidence) -> int | None:
    lines = Journal(home.path).lines()
    last = _last_before(lines)
    return missing(evidence.journal, [line.head().digest for line in lines], last, "journal")


def _last_before(lines: Sequence[Line]) -> int:
    """The number of the last line that was written before the home was put back."""
    put_back = [line.number for line in lines if line.what == "restore"]
    if put_back:
        return put_back[-1] - 1
    # Copied by hand: a node that was started there has only refused since.
    since = ("refuse", "start", "stop")
    return next((line.number for line in reversed(lines) if line.what not in since), len(lines))


def _studies(home: Home, evidence: Evidence, book: Ledger) -> tuple[Possible, ...]:
    """What may have run since: what was approved when the backup was made, and what a person names."""
    named = {study.digest: study for study in _approved(home)}
    for digits in evidence.never_ran:
        out = [digest for digest in named if len(digits) >= 6 and digest.startswith(digits)]
        if len(out) != 1:
            raise UsageError(f"--never-ran {digits}: no approved study here, or more than one, begins so")
        del named[out[0]]
    named |= {study.digest: study for study in evidence.ran}
    return tuple(_possible(study, book, home.name) for study in named.values())


def _possible(study: Study, book: Ledger, account: str) -> Possible:
    cost, _ = terms_of(study, study.plan())
    return possible(study, cost.events, book.booked(account, study.digest))


def _approved(home: Home) -> list[Study]:
    """The studies whose approval was in force when the last line before the loss was written."""
    lines = Journal(home.path).lines()
    moment = lines[_last_before(lines) - 1].time
    found = []
    for each in approval.approvals(home):
        paper = each.paper
        if paper is None or each.state not in ("approved", "expired"):
            continue
        if paper.until is None or datetime.fromisoformat(paper.until).timestamp() > moment:
            found.append(parse(paper.study))
    return found


def _releases(book: Ledger, account: str) -> dict[tuple[float, float], int]:
    events = book.spent(account).events
    return {(event.sampling_rate, event.noise_multiplier): event.times for event in events}
