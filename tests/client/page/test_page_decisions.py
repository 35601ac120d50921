"""What is decided on the page is what the command line would have decided: signed, and in the journal."""

from __future__ import annotations

from pathlib import Path

import pytest
import ward
from ward import Browser

from client import approval
from client.archive import Archive
from client.home import Home
from client.journal import Journal
from ground.errors import ApprovalError


def last(home: Home) -> tuple[str, str, str | None, str]:
    journal = Journal(home.path)
    journal.verify()
    line = journal.lines()[-1]
    return line.who, line.what, line.digest, line.detail


def test_a_study_that_is_approved_may_run(browser: Browser, home: Home):
    study = ward.offered(home)
    seen = browser.send(f"/studies/{study.digest}/approve", by="the data manager", days="30")
    paper = approval.check(home, study)
    assert paper.by == "the data manager"
    assert paper.until is not None
    assert "warm-hearts is approved until" in seen
    assert approval.waiting(home) == []
    who, what, digest, detail = last(home)
    assert (who, what, digest) == ("person", "approve", study.digest)
    assert "the data manager" in detail


def test_without_days_it_is_valid_until_it_is_revoked(browser: Browser, home: Home):
    study = ward.offered(home)
    browser.send(f"/studies/{study.digest}/approve", by="anne", days="")
    assert approval.check(home, study).until is None
    seen = browser.send(f"/studies/{study.digest}/revoke", by="yann")
    assert "is revoked, by yann" in seen
    with pytest.raises(ApprovalError):
        approval.check(home, study)
    assert last(home)[:3] == ("person", "revoke", study.digest)


def test_a_study_that_is_refused_waits_no_more(browser: Browser, home: Home):
    study = ward.offered(home)
    assert "warm-hearts is refused, by anne" in browser.send(f"/studies/{study.digest}/refuse", by="anne")
    assert approval.waiting(home) == []
    with pytest.raises(ApprovalError):
        approval.check(home, study)
    assert last(home)[:3] == ("person", "decline", study.digest)


def test_an_approved_study_cannot_be_refused_by_an_old_page(browser: Browser, home: Home):
    study = ward.offered(home)
    browser.send(f"/studies/{study.digest}/approve", by="anne", days="30")
    assert "does not wait" in browser.send(f"/studies/{study.digest}/refuse", by="anne")
    assert last(home)[1] == "approve"


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"by": "", "days": "30"}, "give your name"),
        ({"days": "30"}, "give your name"),
        ({"by": "x" * 65, "days": "30"}, "give your name"),
        ({"by": "a\nb", "days": "30"}, "give your name"),
        ({"by": "anne", "days": "0"}, "from 1 to 3650"),
        ({"by": "anne", "days": "-3"}, "a whole number"),
        ({"by": "anne", "days": "1.5"}, "a whole number"),
        ({"by": "anne", "days": "²"}, "a whole number"),
    ],
)
def test_what_cannot_be_decided_is_said_in_one_line(
    browser: Browser, home: Home, fields: dict[str, str], said: str
):
    study = ward.offered(home)
    seen = browser.send(f"/studies/{study.digest}/approve", **fields)
    assert said in seen
    assert 'role="alert"' in seen
    assert approval.approvals(home) == []


@pytest.mark.parametrize("verb", ["approve", "refuse", "revoke"])
def test_a_study_that_is_not_here_cannot_be_decided(browser: Browser, home: Home, verb: str):
    before = Journal(home.path).lines()
    token = browser.token()
    for digest in ("0" * 64, "0" * 63, "..", "%2e%2e%2fidentity"):
        answer = browser.client.post(
            f"/studies/{digest}/{verb}", data={"token": token, "by": "anne"}, headers={"Origin": ward.ROOT}
        )
        assert answer.status_code in (303, 404)
    assert Journal(home.path).lines() == before
    assert approval.approvals(home) == []


def test_a_patient_is_released_by_name(browser: Browser, home: Home, tmp_path: Path):
    ward.set_aside(home, tmp_path / "films")
    with Archive(home.path) as archive:
        patient = archive.quarantine()[0].patient
        assert patient not in archive.patients()
    seen = browser.send(f"/quarantine/{patient}/release", by="anne")
    assert f"{patient} is released, by anne" in seen
    with Archive(home.path) as archive:
        assert patient in archive.patients()
    who, what, _, detail = last(home)
    assert (who, what) == ("person", "release")
    assert detail.startswith(f"{patient}, by anne: ")


def test_nobody_is_released_without_a_name_or_twice(browser: Browser, home: Home, tmp_path: Path):
    ward.set_aside(home, tmp_path / "films")
    with Archive(home.path) as archive:
        patient = archive.quarantine()[0].patient
    assert "give your name" in browser.send(f"/quarantine/{patient}/release", by=" ")
    browser.send(f"/quarantine/{patient}/release", by="anne")
    assert "is not set aside" in browser.send(f"/quarantine/{patient}/release", by="anne")
    assert sum(line.what == "release" for line in Journal(home.path).lines()) == 1


def test_the_name_given_last_is_proposed_next(browser: Browser, home: Home):
    study = ward.offered(home)
    browser.send(f"/studies/{study.digest}/approve", by="anne", days="30")
    assert 'value="anne"' in browser.see(f"/studies/{study.digest}")
