"""Nothing runs that no person approved: what an approval is worth, and what somebody might do to one."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path

import pytest

from client import approval
from client.approval import decisions
from client.home import Home
from client.journal import Journal
from ground.errors import ApprovalError, StudyError, UsageError
from ground.signing import new_private
from tasks.study import parse

STUDY = parse('name = "short"\ntask = "heart-disease"\nrounds = 2\n')
OTHER = parse('name = "short"\ntask = "heart-disease"\nrounds = 3\n')


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home.begin(tmp_path / "home", "brest")


def file_of(home: Home) -> Path:
    return home.path / "approvals" / f"{STUDY.digest}.json"


def refused(home: Home) -> str:
    with pytest.raises(ApprovalError) as caught:
        approval.check(home, STUDY)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_study_that_nobody_approved_does_not_run(home: Home) -> None:
    assert "is not approved here: a person at the hospital decides" in refused(home)


def test_an_approval_says_who_when_and_until(home: Home) -> None:
    paper = approval.approve(home, STUDY, "ada", days=3)
    assert approval.check(home, STUDY) == paper
    assert (paper.digest, paper.by, paper.revoked) == (STUDY.digest, "ada", False)
    line = Journal(home.path).lines()[-1]
    assert (line.who, line.what, line.digest) == ("person", "approve", STUDY.digest)
    assert "by ada, until " in line.detail


def test_a_study_that_differs_by_one_character_is_another_study(home: Home) -> None:
    approval.approve(home, STUDY, "ada")
    with pytest.raises(ApprovalError, match="is not approved here"):
        approval.check(home, OTHER)


def test_a_revoked_approval_is_none_until_somebody_approves_again(home: Home) -> None:
    approval.approve(home, STUDY, "ada")
    approval.revoke(home, STUDY.digest, "bo")
    assert "was revoked by a person" in refused(home)
    approval.approve(home, STUDY, "ada")
    approval.check(home, STUDY)
    assert [line.what for line in Journal(home.path).lines()] == ["init", "approve", "revoke", "approve"]


def test_what_was_never_approved_cannot_be_revoked(home: Home) -> None:
    with pytest.raises(UsageError, match="was never approved here"):
        approval.revoke(home, STUDY.digest, "ada")


def test_an_expired_approval_is_none_and_the_journal_says_so_once(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    approval.approve(home, STUDY, "ada", days=2)
    now = time.time()
    monkeypatch.setattr(decisions.time, "time", lambda: now + 2 * 86400 + 1)
    for _ in range(3):
        assert "has expired" in refused(home)
    assert [line.what for line in Journal(home.path).lines()] == ["init", "approve", "expire"]


@pytest.mark.parametrize("days", [0, -1, 3651])
def test_an_approval_lasts_for_some_days(home: Home, days: int) -> None:
    with pytest.raises(UsageError, match="--days is from 1 to 3650"):
        approval.approve(home, STUDY, "ada", days)


@pytest.mark.parametrize("by", ["", " ", "a\nb", "b" * 65, "ada "])
def test_somebody_approves(home: Home, by: str) -> None:
    with pytest.raises(UsageError, match="give --by NAME"):
        approval.approve(home, STUDY, by)
    assert "is not approved here" in refused(home)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("by", "eve"),
        ("until", "2999-01-01T00:00:00+00:00"),
        ("revoked", True),
        ("at", "2020-01-01T00:00:00+00:00"),
        ("study", OTHER.to_toml()),
        ("digest", OTHER.digest),
        ("signature", "00" * 64),
    ],
)
def test_an_approval_that_was_changed_approves_nothing_and_is_named(
    home: Home, key: str, value: object
) -> None:
    approval.approve(home, STUDY, "ada", days=3)
    values = json.loads(file_of(home).read_text())
    file_of(home).write_text(json.dumps(values | {key: value}))
    assert "was changed after it was signed and counts for nothing" in refused(home)
    [standing] = approval.approvals(home)
    assert standing.state == "changed"
    assert str(file_of(home)) in standing.why


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"digest": 1}', "[" * 100_000])
def test_a_file_that_is_no_approval_approves_nothing(home: Home, text: str) -> None:
    approval.approve(home, STUDY, "ada")
    file_of(home).write_text(text)
    assert "counts for nothing" in refused(home)


def test_an_approval_of_another_study_under_this_one_s_name_approves_nothing(home: Home) -> None:
    approval.approve(home, OTHER, "ada")
    (home.path / "approvals" / f"{OTHER.digest}.json").rename(file_of(home))
    assert "counts for nothing" in refused(home)


def test_an_approval_that_another_hospital_signed_approves_nothing(home: Home, tmp_path: Path) -> None:
    other = Home.begin(tmp_path / "other", "lyon")
    approval.approve(home, STUDY, "ada")
    approval.approve(other, STUDY, "ada")
    file_of(home).write_text(file_of(other).read_text())
    assert "counts for nothing" in refused(home)


def test_a_file_put_back_after_it_was_revoked_approves_nothing(home: Home) -> None:
    approval.approve(home, STUDY, "ada")
    before = file_of(home).read_text()
    approval.revoke(home, STUDY.digest, "ada")
    file_of(home).write_text(before)
    assert "was revoked" in refused(home)
    approval.approve(home, STUDY, "ada", days=1)
    file_of(home).write_text(before)  # an older and longer one in place of the present one
    assert "is not the one in the journal" in refused(home)


def test_an_approval_that_the_journal_does_not_know_approves_nothing(home: Home) -> None:
    private = (home.path / "identity").read_bytes()
    assert len(private) == 32
    paper = approval.Paper(STUDY.digest, STUDY.name, STUDY.to_toml(), "eve", "2026-01-01T00:00:00+00:00")
    paper.signed(home.path).write(home.path)
    assert "is not the one in the journal" in refused(home)
    [standing] = approval.approvals(home)
    assert standing.state == "no line"


def test_with_another_identity_no_approval_counts_any_more(home: Home) -> None:
    approval.approve(home, STUDY, "ada")
    (home.path / "identity").write_bytes(new_private())
    assert "counts for nothing" in refused(home)


def test_an_approval_is_revoked_once(home: Home) -> None:
    approval.approve(home, STUDY, "ada")
    approval.revoke(home, STUDY.digest, "bo")
    with pytest.raises(UsageError, match="is revoked already"):
        approval.revoke(home, STUDY.digest, "bo")
    assert [line.what for line in Journal(home.path).lines()[1:]] == ["approve", "revoke"]
    approval.approve(home, STUDY, "ada")
    approval.revoke(home, STUDY.digest, "bo")
    assert Journal(home.path).lines()[-1].what == "revoke"


def test_a_changed_approval_can_still_be_revoked(home: Home) -> None:
    approval.approve(home, STUDY, "ada")
    file_of(home).write_text("{}")
    approval.revoke(home, STUDY.digest, "ada")
    assert "was revoked" in refused(home)


def test_approvals_are_listed_with_what_they_are_worth(home: Home) -> None:
    approval.approve(home, STUDY, "ada")
    approval.approve(home, OTHER, "ada")
    approval.revoke(home, OTHER.digest, "ada")
    assert {each.digest: each.state for each in approval.approvals(home)} == {
        STUDY.digest: "approved",
        OTHER.digest: "revoked",
    }


# Studies that wait.


def test_what_a_coordinator_sent_waits_until_somebody_decides(home: Home) -> None:
    assert approval.offer(home, f"# hello\n{STUDY.to_toml()}")
    assert not approval.offer(home, STUDY.to_toml())
    assert approval.waiting(home) == [STUDY]
    assert approval.find_study(home, STUDY.digest[:6]) == STUDY
    assert "#" not in (home.path / "waiting" / f"{STUDY.digest}.toml").read_text()
    approval.approve(home, STUDY, "ada")
    assert approval.waiting(home) == []
    assert approval.find_study(home, STUDY.digest[:8]) == STUDY  # from its approval, to look at it again


def test_a_declined_study_waits_no_more(home: Home) -> None:
    approval.offer(home, STUDY.to_toml())
    approval.decline(home, STUDY.digest, "ada")
    assert approval.waiting(home) == []
    line = Journal(home.path).lines()[-1]
    assert (line.what, line.digest, line.detail) == ("decline", STUDY.digest, "by ada")


def test_a_flood_of_studies_neither_fills_the_disk_nor_pushes_out_who_came_first(home: Home) -> None:
    approval.offer(home, STUDY.to_toml())
    kept = [approval.offer(home, STUDY.with_seed(seed).to_toml()) for seed in range(2, 60)]
    assert sum(kept) == 19
    assert approval.waiting(home)[0] == STUDY or STUDY in approval.waiting(home)
    assert not approval.offer(home, STUDY.to_toml() + "#" * 70_000)


def test_what_is_no_study_does_not_wait(home: Home) -> None:
    with pytest.raises(StudyError):
        approval.offer(home, "rounds = ")
    (home.path / "waiting").mkdir()
    (home.path / "waiting" / f"{OTHER.digest}.toml").write_text(STUDY.to_toml())
    assert approval.waiting(home) == []


def test_a_study_is_found_by_its_file_or_by_enough_digits(home: Home, tmp_path: Path) -> None:
    file = tmp_path / "short.toml"
    file.write_text(STUDY.to_toml())
    assert approval.find_study(home, str(file)) == STUDY
    with pytest.raises(StudyError, match="no study here has such a digest"):
        approval.find_study(home, "abcdef")
    with pytest.raises(StudyError, match="no study can be read there"):
        approval.find_study(home, "missing.toml")
    approval.offer(home, STUDY.to_toml())
    assert approval.find_study(home, STUDY.digest[:8].upper()) == STUDY
    for few in (STUDY.digest[:5], "ffff"):
        with pytest.raises(UsageError, match="for a digest give at least 6 digits"):
            approval.find_study(home, few)


def test_a_paper_is_signed_over_everything_that_it_says(home: Home) -> None:
    paper = approval.approve(home, STUDY, "ada", days=3)
    changes = {
        "digest": OTHER.digest,
        "name": "x",
        "study": "",
        "by": "x",
        "at": "x",
        "until": None,
        "revoked": True,
    }
    for name, value in changes.items():
        assert replace(paper, **{name: value}).signed(home.path).signature != paper.signature
    assert set(changes) | {"signature"} == set(vars(paper))
