"""What the hospital keeps: archive, ε book, journal, approvals."""

from __future__ import annotations

from client.approval.decisions import approvals as decisions
from client.doctor.check import Check
from client.home import Home
from client.journal import Journal
from ground.words import counted

IMPORT = "bring patients in with `laennec hospital import DIR`"


def archive(home: Home) -> Check:
    """Whether the archive can be read and is as it was written."""
    if not (home.path / "archive").is_dir():
        if home.written.sources:
            return Check(
                "archive", True, f"none; {counted(len(home.written.sources), 'source')} in hospital.toml"
            )
        return Check("archive", False, "there is none", IMPORT)
    from client.archive import Archive

    with Archive(home.path) as kept:
        found, files = kept.status(), kept.check()
    apart = f", {len(found.quarantined)} in quarantine" if found.quarantined else ""
    stored = f"; {_all_there(files)}" if files else ""
    text = f"{counted(found.usable, 'patient')}{apart}{stored}"
    if found.waiting:
        said = f"{text}; the import of {found.waiting} was interrupted"
        return Check("archive", False, said, "run the same `laennec hospital import` again: it goes on")
    if not found.usable:
        return Check("archive", False, text, IMPORT)
    return Check("archive", True, text)


def _all_there(files: int) -> str:
    return "the one stored file is there" if files == 1 else f"each of {files} stored files is there"


def budget(home: Home) -> Check:
    """Whether the hospital said how much ε its patients may spend."""
    from client.ledger import BOOK, Ledger

    todo = "laennec hospital budget --set EPSILON"
    if not (home.path / BOOK).exists():
        return Check("budget", False, "no limit: studies may spend any ε", todo)
    with Ledger(home.path / BOOK) as book:
        limit = book.budget(home.name)
        if limit is None:
            return Check("budget", False, f"no limit for {home.name}: studies may spend any ε", todo)
        spent = book.spent(home.name).epsilon(limit.delta)
    text = f"ε {spent:.3f} of {limit.epsilon:g} spent, at δ {limit.delta:g}"
    return Check("budget", spent < limit.epsilon, text, "" if spent < limit.epsilon else "nothing more fits")


def restored(home: Home) -> Check:
    """Whether book and journal are those that were written here, and not older ones that were put back."""
    from client.backup.places import closed_because

    why = closed_because(home.path)
    if why:
        todo = "say what is missing: `laennec hospital reopen`; until then it answers nobody"
        return Check("restored", False, f"this home {why}", todo)
    return Check("restored", True, "book and journal are the files that were written here")


def ledger(home: Home) -> Check:
    """Whether the ε book is intact."""
    from client.ledger import BOOK, Ledger, head_of

    book = home.path / BOOK
    if not book.exists() and not head_of(book).exists():
        return Check("ledger", True, "none yet: it begins with the first study, or with a budget")
    with Ledger(book) as opened:
        return Check("ledger", True, f"entries: {opened.verify()}, each as it was written")


def journal(home: Home) -> Check:
    """Whether the journal is intact, and the clock was never set back."""
    kept = Journal(home.path)
    count = kept.verify()
    back = [line.number for line in kept.lines() if line.what == "clock"]
    said = f"; the clock was set back before line {', '.join(str(n + 1) for n in back[-3:])}" if back else ""
    return Check("journal", True, f"lines: {count}, each as it was written{said}")


def approvals(home: Home) -> Check:
    """Whether every approval is as it was signed."""
    found = decisions(home)
    bad = [each for each in found if each.state in ("changed", "no line")]
    if bad:
        names = ", ".join(f"{home.path / 'approvals' / each.digest[:12]}…" for each in bad)
        return Check(
            "approvals",
            False,
            f"{names}: not as this hospital signed and journalled it; it approves nothing",
            "find out who could write there, delete the file, and approve the study again if it is to run",
        )
    good = sum(each.state == "approved" for each in found)
    return Check("approvals", True, f"{good} in force, {len(found) - good} expired or revoked")
