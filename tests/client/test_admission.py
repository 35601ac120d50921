"""Through the app: what a governed hospital answers, what it refuses, and what its journal says."""

from __future__ import annotations

import errno
import time
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import clinic
import governed
import numpy as np
import pytest
import torch
from governed import STUDY, WHOLE, Dwelling

from client import admission, approval, recording, training
from client.home import Home
from client.hospital import Settings
from client.journal import Journal, journal
from ground.errors import ApprovalError, LaterError, PrivacyError, StateError, StudyError, UsageError
from tasks import refusals
from tasks.messages import pack_reply, unpack_reply


@pytest.fixture
def brest(tmp_path: Path, table: Path) -> Dwelling:
    recording._unwritten.clear()
    return governed.dwelling(tmp_path / "home", table)


@pytest.fixture
def unread(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Fills up where a patient is read."""
    read: list[str] = []

    def reading(*_: object, **__: object) -> None:
        read.append("patients")

    monkeypatch.setattr(training, "answer", reading)
    return read


def test_an_approved_study_runs_to_its_end_and_the_journal_tells_it(brest: Dwelling) -> None:
    brest.budget(1.2)
    brest.approve()
    replies = [brest.send(phase, number) for phase, number in WHOLE]
    assert [reply.error for reply in replies] == [None] * 4
    assert [reply.signature for reply in replies] == [""] * 4
    assert [(who, what) for who, what, _ in brest.journal()] == [
        ("person", "approve"),
        ("node", "begin"),
        ("node", "round"),
        ("node", "round"),
        ("node", "end"),
    ]
    details = [detail for *_, detail in brest.journal()[1:]]
    assert details[0].startswith("clinic, 2 rounds, ε 1 asked; ε ")
    assert details[1].startswith("clinic, round 1 of 2; ε ")
    assert details[3].startswith("clinic, after 2 rounds; ε ")
    assert all(detail.endswith("spent of 1.2, at δ 0.001") for detail in details)
    spent = [float(detail.split("; ε ")[1].split()[0]) for detail in details]
    assert 0 < spent[0] < spent[1] < spent[2] == spent[3] == pytest.approx(1.0, abs=0.01)
    assert Journal(brest.path).verify() == 6


def test_asked_again_it_answers_again_and_writes_no_line(brest: Dwelling) -> None:
    brest.approve()
    for _ in range(3):
        assert brest.send("enrol", 0).error is None
    assert [what for _, what, _ in brest.journal()] == ["approve", "begin"]


def test_a_study_that_nobody_approved_gets_a_signed_refusal_before_a_patient_is_read(
    brest: Dwelling, unread: list[str]
) -> None:
    reply = brest.send("enrol", 0)
    assert reply.error is not None
    assert isinstance(reply.problem(), ApprovalError)
    assert reply.vector is reply.patients is None
    assert unread == []
    when = refusals.check(reply, brest.home.public)
    assert abs(when.timestamp() - time.time()) < 60
    assert approval.waiting(brest.home) == [STUDY]
    [(who, what, detail)] = brest.journal()
    assert (who, what) == ("coordinator", "refuse")
    assert detail.startswith("enrol 0: study clinic (")


def test_the_same_study_is_answered_once_somebody_approved_it_by_its_digits(brest: Dwelling) -> None:
    brest.send("enrol", 0)
    approval.approve(brest.home, approval.find_study(brest.home, STUDY.digest[:8]), "ada")
    assert brest.send("enrol", 0).error is None


def test_one_more_round_is_another_study(brest: Dwelling) -> None:
    brest.approve()
    reply = brest.send("enrol", 0, STUDY.with_seed(2))
    assert isinstance(reply.problem(), ApprovalError)


def test_the_digest_of_an_approved_study_does_not_let_another_text_in(brest: Dwelling) -> None:
    brest.approve()
    reply = brest.send("enrol", 0, text=STUDY.with_seed(2).to_toml())
    assert isinstance(reply.problem(), StudyError)
    assert "does not have the digest that was sent with it" in brest.journal()[-1][2]


def test_a_study_revoked_between_two_rounds_goes_no_further(brest: Dwelling) -> None:
    brest.approve()
    assert brest.send("enrol", 0).error is None
    assert brest.send("train", 1).error is None
    approval.revoke(brest.home, STUDY.digest, "ada")
    reply = brest.send("train", 2)
    assert isinstance(reply.problem(), ApprovalError)
    refusals.check(reply, brest.home.public)


def test_outside_the_hours_it_says_when_to_ask_again(brest: Dwelling) -> None:
    brest.approve()
    now = datetime.now().astimezone()
    begin = (now.hour + 2) % 24
    brest.write("[limits]", f'hours = "{begin:02}:00-{(begin + 1) % 24:02}:00"')
    reply = brest.send("enrol", 0)
    problem = reply.problem()
    assert isinstance(problem, LaterError)
    assert 3600 <= problem.seconds <= 7200
    assert f"ask again at {begin:02}:00" in str(problem)
    refusals.check(reply, brest.home.public)
    brest.write("[limits]", f'hours = "{now.hour:02}:00-{begin:02}:00"')
    assert brest.send("enrol", 0).error is None


def test_a_model_that_is_too_large_is_refused_at_enrolment(brest: Dwelling) -> None:
    brest.approve()
    brest.write("[limits]", "upload-megabytes = 0.00001")
    reply = brest.send("enrol", 0)
    assert reply.error is not None
    assert "this hospital sends at most 1e-05 MB" in reply.error[1]


def test_a_reply_that_grew_too_large_stays_here(brest: Dwelling, monkeypatch: pytest.MonkeyPatch) -> None:
    brest.approve()
    assert brest.send("enrol", 0).error is None
    brest.write("[limits]", "upload-megabytes = 0.00001")
    monkeypatch.setattr(admission, "_least_reply", lambda *_: 0)
    reply = brest.send("train", 1)
    assert reply.error is not None
    assert "this hospital sends at most 1e-05 MB" in reply.error[1]
    assert reply.vector is None


@pytest.mark.parametrize("others", [0, 30])
def test_a_coordinator_that_asks_for_ever_fills_neither_journal_nor_folder(
    brest: Dwelling, others: int
) -> None:
    for number in range(40):
        reply = brest.send("enrol", 0, STUDY.with_seed(number + 2) if others else STUDY)
        assert reply.error is not None
        refusals.check(reply, brest.home.public)
    assert len(brest.journal()) == (recording.LINES_AN_HOUR if others else 1)
    assert len(approval.waiting(brest.home)) == (20 if others else 1)
    recent = time.time()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recording.time, "time", lambda: recent + 3700)
        patch.setattr(journal.time, "time", lambda: recent + 3700)
        brest.send("enrol", 0, STUDY.with_seed(99))
    assert brest.journal()[-1][2].endswith(f"(and {30 if others else 39} more before it)")


def test_what_a_coordinator_claims_as_a_digest_is_written_only_where_it_is_one(brest: Dwelling) -> None:
    reply = brest.send("enrol", 0, digest="x" * 10_000)
    assert reply.error is not None
    assert Journal(brest.path).lines()[-1].digest is None


def test_where_the_journal_cannot_be_written_nothing_is_let_out(brest: Dwelling) -> None:
    brest.approve()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(journal, "write_atomically", full)
        reply = brest.send("enrol", 0)
    assert isinstance(reply.problem(), StateError)
    assert reply.vector is None
    refusals.check(reply, brest.home.public)
    assert brest.send("enrol", 0).error is None  # the same, once there is room
    assert [what for _, what, _ in brest.journal()] == ["approve", "begin"]


def full(*_: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_journal_that_was_cut_stops_every_study(brest: Dwelling) -> None:
    brest.approve()
    (brest.path / journal.FILE).write_bytes(b"")
    reply = brest.send("enrol", 0)
    assert isinstance(reply.problem(), ApprovalError)
    refusals.check(reply, brest.home.public)


def test_a_governed_hospital_without_a_home_answers_nothing(table: Path) -> None:
    homeless = Settings("brest", (str(table),), governed=True)
    with pytest.raises(UsageError, match="has no home"):
        admission.admit(clinic.instruction(STUDY, "enrol", 0), homeless)


def test_a_refusal_is_its_hospital_s_and_of_this_study_alone(brest: Dwelling, tmp_path: Path) -> None:
    reply = brest.send("enrol", 0)
    public = brest.home.public
    refusals.check(reply, public)
    other = Home.begin(tmp_path / "other", "lyon").public
    date, _, signature = reply.signature.partition(" ")
    forged = [
        (reply, other),
        (replace(reply, digest="cd" * 32), public),
        (replace(reply, round=1), public),
        (replace(reply, phase="train"), public),
        (replace(reply, hospital="lyon"), public),
        (replace(reply, error=("ApprovalError", "it agreed")), public),
        (replace(reply, error=None), public),
        (replace(reply, signature=""), public),
        (replace(reply, signature=f"2020-01-01T00:00:00+00:00 {signature}"), public),
        (replace(reply, signature=f"{date} {signature[:-2]}"), public),
        (replace(reply, signature=f"{date} zz"), public),
        (reply, b"short"),
    ]
    for each, key in forged:
        with pytest.raises(PrivacyError, match="did not sign this refusal"):
            refusals.check(each, key)
    with pytest.raises(ValueError, match="only a refusal is signed"):
        refusals.signed(replace(reply, error=None), bytes(32), 0.0)


def test_a_reply_s_date_to_ask_again_and_its_signature_cross_the_wire(brest: Dwelling) -> None:
    reply = replace(brest.send("enrol", 0), later=12.5)
    assert unpack_reply(pack_reply(reply)) == reply
    assert np.isclose(unpack_reply(pack_reply(reply)).later, 12.5)


def test_training_uses_one_thread_unless_more_were_lent(brest: Dwelling) -> None:
    brest.approve()
    brest.write("[limits]", "threads = 2")
    brest.send("enrol", 0)
    assert torch.get_num_threads() == 2
    brest.write()
    brest.send("enrol", 0)
    assert torch.get_num_threads() == 1


def test_the_log_of_tracebacks_is_bounded_and_its_owner_s_alone(
    brest: Dwelling, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("client.app.LONGEST_LOG", 3000)
    for seed in range(2, 30):
        brest.send("enrol", 0, STUDY.with_seed(seed))
    files = sorted(brest.path.glob("log*"))
    assert [file.name for file in files] == ["log", "log.1"]
    assert all(file.stat().st_size < 10_000 and file.stat().st_mode & 0o777 == 0o600 for file in files)
