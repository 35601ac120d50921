"""What a person decides on the page: through the functions of the command line, which sign and journal."""

from __future__ import annotations

import re

from client import approval, releasing
from client.home import Home
from ground.errors import UsageError
from tasks.study import Study

Form = dict[str, str]
_NO_STUDY = "no study here has such a digest: go back to the list of studies"


def known_study(home: Home, digest: str) -> Study:
    """The study of just this digest, waiting or decided on; raises UsageError where there is none."""
    if not re.fullmatch("[0-9a-f]{64}", digest):
        raise UsageError(_NO_STUDY)
    return approval.find_study(home, digest)


def approve(home: Home, digest: str, form: Form) -> str:
    """Approve what the page showed; what to say afterwards."""
    study, by, days = known_study(home, digest), _name(form), form.get("days", "")
    if days and not re.fullmatch("[0-9]{1,4}", days):
        raise UsageError("the days of validity are a whole number: nothing was approved")
    paper = approval.approve(home, study, by, int(days) if days else None)
    until = "until it is revoked" if paper.until is None else f"until {paper.until[:10]}"
    over = approval.overrun(home, study)
    return f"{study.name} is approved {until}, by {by}." + (f" Mind: {over}." if over else "")


def refuse(home: Home, digest: str, form: Form) -> str:
    """Take a study from those that wait; what to say afterwards."""
    study, by = known_study(home, digest), _name(form)
    if all(each.digest != digest for each in approval.waiting(home)):
        raise UsageError(f"{study.name} does not wait for a decision any more: to end an approval, revoke it")
    approval.decline(home, digest, by)
    return f"{study.name} is refused, by {by}."


def revoke(home: Home, digest: str, form: Form) -> str:
    """Take an approval back; what to say afterwards."""
    by = _name(form)
    if not re.fullmatch("[0-9a-f]{64}", digest):
        raise UsageError(_NO_STUDY)
    paper = approval.revoke(home, digest, by)
    return f"The approval of {paper.name} is revoked, by {by}: no further round of it runs here."


def release(home: Home, patient: str, form: Form) -> str:
    """Let a patient pass whom that person has looked at; what to say afterwards."""
    by = _name(form)
    releasing.release(home, patient, by)
    return f"{patient} is released, by {by}: studies may read this patient from now on."


def _name(form: Form) -> str:
    name = form.get("by", "")
    if not (0 < len(name) <= 64 and name.isprintable()):
        raise UsageError("give your name, of 1 to 64 printable characters: nothing was decided")
    return name
