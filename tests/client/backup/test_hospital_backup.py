"""A home put back from a backup forgets no ε that was spent, and never passes for the newest."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import stat
import tarfile
import threading
from pathlib import Path

import pytest
from governed import STUDY, Dwelling, dwelling

from client import approval, backup
from client.backup import Evidence, places
from client.backup.reopening import said
from client.booking import terms_of
from client.home import Home
from client.journal import FILE as JOURNAL
from client.journal import Journal
from client.ledger import BOOK, Ledger, head_of
from ground import saving
from ground.errors import BudgetError, StateError, UsageError
from ground.heads import Head
from privacy.accountant import Event
from tasks.study import parse

COST = terms_of(STUDY, STUDY.plan())[0]
OTHER = parse(STUDY.to_toml().replace('name = "', 'name = "other-'))


@pytest.fixture
def brest(tmp_path: Path, table: Path) -> Dwelling:
    """A hospital with a budget, and an approved study of which nothing has run."""
    made = dwelling(tmp_path / "brest", table)
    made.budget(3.0)
    made.approve()
    return made


def saved(brest: Dwelling, tmp_path: Path) -> Path:
    file = tmp_path / "elsewhere" / "brest.tar"
    backup.save(brest.home, file, "ada")
    return file


def put_back(brest: Dwelling, file: Path) -> Dwelling:
    """The disk is lost, and the home comes back from the backup."""
    shutil.rmtree(brest.path)
    backup.restore(file, brest.path, "ada")
    return brest


def spent(home: Path) -> float:
    with Ledger(home / BOOK) as book:
        return book.spent("brest").epsilon(1e-3)


def head(home: Path) -> Head:
    with Ledger(home / BOOK) as book:
        return book.head()


def test_everything_comes_back_but_what_must_not(brest: Dwelling, tmp_path: Path) -> None:
    (brest.path / f"{'ab' * 32}.safetensors").write_bytes(b"secrets of masks")
    (brest.path / "node").mkdir()
    (brest.path / "node" / "key").write_bytes(b"key")
    (brest.path / "node" / "secret").write_bytes(b"of a process")
    before = {name: (brest.path / name).read_bytes() for name in ("hospital.toml", "identity")}
    file = saved(brest, tmp_path)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    home = put_back(brest, file).path
    assert {name: (home / name).read_bytes() for name in before} == before
    assert (home / "node" / "key").read_bytes() == b"key"
    assert not (home / "node" / "secret").exists()
    assert not list(home.glob("*.safetensors"))
    assert b"secrets of masks" not in file.read_bytes()
    assert Journal(home).verify() == 4
    assert stat.S_IMODE((home / "identity").stat().st_mode) == 0o600
    assert [line[1] for line in brest.journal()] == ["approve", "backup", "restore"]


def test_a_restored_home_answers_nobody(brest: Dwelling, tmp_path: Path) -> None:
    put_back(brest, saved(brest, tmp_path))
    reply = brest.send("enrol", 0)
    assert reply.error is not None
    assert reply.error[0] == "StateError"
    assert reply.vector is None
    with Ledger(brest.path / BOOK) as book:
        for spend in (
            lambda: book.reserve("brest", STUDY.digest, 1, Event(1.0, 20.0)),
            lambda: book.check("brest", STUDY.digest, COST, rounds=2, per_round=Event(1.0, 20.0)),
            lambda: book.reserve("another", STUDY.digest, 1, Event(1.0, 20.0)),
        ):
            with pytest.raises(BudgetError, match="closed"):
                spend()


def test_without_its_mark_the_book_is_closed_still(brest: Dwelling, tmp_path: Path) -> None:
    put_back(brest, saved(brest, tmp_path))
    (brest.path / places.MARK).unlink()
    (brest.path / places.FILE).unlink()
    assert brest.send("enrol", 0).error is not None
    assert spent(brest.path) == 0.0


def test_what_was_approved_is_booked_as_if_it_had_run(brest: Dwelling, tmp_path: Path) -> None:
    file = saved(brest, tmp_path)
    for phase, number in (("enrol", 0), ("train", 1), ("train", 2)):
        assert brest.send(phase, number).error is None
    truth = spent(brest.path)
    put_back(brest, file)
    assert spent(brest.path) == 0.0  # what the backup alone would have made anybody believe
    loss = backup.reopen(brest.home, "ada", Evidence())
    assert loss.entries is None
    assert spent(brest.path) == pytest.approx(truth)
    assert truth > 0.5
    assert brest.send("train", 2).error is not None  # no approval counts any longer
    brest.approve()
    assert brest.send("enrol", 0).error is None  # run again it is paid again, from what is left
    assert spent(brest.path) > truth


def test_a_round_that_was_open_in_the_backup_is_not_open_again(brest: Dwelling, tmp_path: Path) -> None:
    """Reserved when the backup was made, sent before the loss: a second answer is a second release."""
    event = Event(1.0, 20.0)
    with Ledger(brest.path / BOOK) as book:
        book.reserve("brest", STUDY.digest, 1, event)
    file = saved(brest, tmp_path)
    by_hand = tmp_path / "by-hand"
    shutil.copytree(brest.path, by_hand)
    put_back(brest, file)
    backup.reopen(brest.home, "ada", Evidence(never_ran=(STUDY.digest[:8],)))
    for home, releases in ((by_hand, 1), (brest.path, 2)):
        with Ledger(home / BOOK) as book:
            book.reserve("brest", STUDY.digest, 1, event)
            # Put back by hand the book takes it for the same release: hence the entry that closes it.
            assert sum(each.times for each in book.spent("brest").events) == releases


def test_an_approval_that_was_taken_back_stays_taken_back(brest: Dwelling, tmp_path: Path) -> None:
    file = saved(brest, tmp_path)
    approval.revoke(brest.home, STUDY.digest, "ada")
    put_back(brest, file)
    backup.reopen(brest.home, "ada", Evidence(never_ran=(STUDY.digest,)))
    assert [each.state for each in approval.approvals(brest.home)] == ["revoked"]
    assert spent(brest.path) == 0.0


def test_the_last_heads_say_that_nothing_is_missing(brest: Dwelling, tmp_path: Path) -> None:
    file = saved(brest, tmp_path)
    evidence = Evidence(head(brest.path), Journal(brest.path).head())
    put_back(brest, file)
    loss = backup.reopen(brest.home, "ada", evidence)
    assert loss.nothing
    assert "nothing is missing" in said(loss)
    assert brest.send("enrol", 0).error is None
    with pytest.raises(UsageError, match="is open"):
        backup.assess(brest.home, Evidence())


def test_a_later_head_counts_what_is_missing(brest: Dwelling, tmp_path: Path) -> None:
    brest.budget(3.0)
    file = saved(brest, tmp_path)
    for phase, number in (("enrol", 0), ("train", 1)):
        brest.send(phase, number)
    kept = head(brest.path)
    put_back(brest, file)
    loss = backup.assess(brest.home, Evidence(kept))
    assert (loss.entries, loss.lines) == (4, None)
    assert [each.digest for each in loss.studies] == [STUDY.digest]
    with pytest.raises(UsageError, match="explain 0"):
        backup.assess(brest.home, Evidence(kept, never_ran=(STUDY.digest,)))
    with pytest.raises(UsageError, match="written after the home was put back"):
        backup.assess(brest.home, Evidence(head(brest.path)))
    with pytest.raises(StateError, match="is not a copy"):
        backup.assess(brest.home, Evidence(Head(1, "ab" * 32)))
    older = Evidence(Head(1, _digest(brest.path, 1)))  # older than the backup: it tells nothing
    assert backup.assess(brest.home, older).entries is None


def _digest(home: Path, number: int) -> str:
    with Ledger(home / BOOK) as book:
        return book.history()[number - 1].digest


def test_a_study_that_the_backup_knows_nothing_of_is_named(brest: Dwelling, tmp_path: Path) -> None:
    file = saved(brest, tmp_path)
    put_back(brest, file)
    alone = backup.assess(brest.home, Evidence()).after
    both = backup.assess(brest.home, Evidence(ran=(OTHER,)))
    assert both.after > alone
    assert len(both.studies) == 2


def test_where_nobody_knows_the_whole_budget_is_spent(brest: Dwelling, tmp_path: Path) -> None:
    file = saved(brest, tmp_path)
    put_back(brest, file)
    backup.reopen(brest.home, "ada", Evidence(budget_is_spent=True))
    assert 3.0 <= spent(brest.path) < 3.001
    brest.approve()
    refusal = brest.send("enrol", 0).error
    assert refusal is not None
    assert refusal[0] == "BudgetError"
    brest.budget(30.0)  # raised, what was lost is remembered
    assert 3.0 <= spent(brest.path) < 3.001


def test_of_no_budget_nobody_knows_more_than_infinity(tmp_path: Path, table: Path) -> None:
    made = dwelling(tmp_path / "brest", table)
    put_back(made, saved(made, tmp_path))
    backup.reopen(made.home, "ada", Evidence(budget_is_spent=True))
    assert spent(made.path) == float("inf")


def test_copies_made_by_hand_are_noticed(brest: Dwelling, tmp_path: Path) -> None:
    assert brest.send("enrol", 0).error is None
    file = saved(brest, tmp_path)
    brest.path.rename(tmp_path / "moved")  # on the same disk: the same files
    places.check(tmp_path / "moved")
    shutil.copytree(tmp_path / "moved", brest.path)
    assert brest.send("train", 1).error is not None
    with pytest.raises(StateError, match="reopen"):
        places.check(brest.path)
    untarred = tmp_path / "untarred"
    with tarfile.open(file) as tar:
        tar.extractall(untarred, filter="data")
    with pytest.raises(StateError, match="backup"):
        places.check(untarred)
    evidence = Evidence(head(tmp_path / "moved"), Journal(tmp_path / "moved").head())
    backup.reopen(brest.home, "ada", evidence)
    assert brest.send("train", 1).error is None


@pytest.mark.parametrize("name", [BOOK, JOURNAL])
def test_book_or_journal_alone_put_back_is_noticed(brest: Dwelling, tmp_path: Path, name: str) -> None:
    places.check(brest.path)
    for each in (brest.path / name, head_of(brest.path / name)):
        shutil.copy(each, tmp_path / each.name)
    brest.send("enrol", 0)
    for each in (brest.path / name, head_of(brest.path / name)):
        each.unlink()
        shutil.copy(tmp_path / each.name, each)
    for side in ("-wal", "-shm"):
        (brest.path / f"{name}{side}").unlink(missing_ok=True)
    with pytest.raises(StateError, match=name):
        places.check(brest.path)
    assert brest.send("train", 1).error is not None


def test_killed_while_it_is_opened_it_is_closed_and_books_nothing_twice(
    brest: Dwelling, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_back(brest, saved(brest, tmp_path))
    expected = backup.assess(brest.home, Evidence()).after
    for step in ("close_book", "lose", "open_book"):
        with monkeypatch.context() as patched:
            original = getattr(Ledger, step)

            def killed(*given: object, original: object = original) -> None:
                original(*given)  # type: ignore[operator]
                raise KeyboardInterrupt

            patched.setattr(Ledger, step, killed)
            with pytest.raises(KeyboardInterrupt):
                backup.reopen(brest.home, "ada", Evidence())
        assert brest.send("enrol", 0).error is not None
    backup.reopen(brest.home, "ada", Evidence())
    assert spent(brest.path) == pytest.approx(expected)
    assert not places.is_closed(brest.path)


def test_killed_while_it_is_put_back_there_is_no_home(
    brest: Dwelling, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = saved(brest, tmp_path)

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Journal, "write", full)
    with pytest.raises(OSError, match="No space"):
        backup.restore(file, tmp_path / "new", "ada")
    assert not (tmp_path / "new").exists()
    assert not list(tmp_path.glob(".new*"))


def test_a_backup_that_was_cut_or_changed_is_refused(brest: Dwelling, tmp_path: Path) -> None:
    whole = saved(brest, tmp_path).read_bytes()
    bad = tmp_path / "bad.tar"
    good = saving.look(tmp_path / "elsewhere" / "brest.tar", "hospital")
    refused = 0
    for place in range(0, len(whole), len(whole) // 40):
        for data in (whole[:place], whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :]):
            bad.write_bytes(data)
            try:
                with saving.restored(bad, tmp_path / "out", "hospital") as (folder, manifest):
                    assert manifest == good  # what was flipped is padding
                    assert {
                        p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()
                    } == set(good.files)
                shutil.rmtree(tmp_path / "out")
            except StateError:
                refused += 1
                assert not (tmp_path / "out").exists()
    assert refused >= 40


def test_a_path_that_leads_out_is_refused(tmp_path: Path) -> None:
    evil = tmp_path / "evil.tar"
    manifest = {"kind": "hospital", "name": "x", "made": "", "version": "1", "facts": {}, "format": 1}
    text = json.dumps(manifest | {"files": {"../out": [1, "00"]}})
    (tmp_path / "manifest.json").write_text(text)
    (tmp_path / "manifest.sha256").write_text(hashlib.sha256(text.encode()).hexdigest())
    (tmp_path / "f").write_bytes(b"x")
    with tarfile.open(evil, "w") as tar:
        tar.add(tmp_path / "f", "../out")
        for name in ("manifest.json", "manifest.sha256"):
            tar.add(tmp_path / name, name)
    with pytest.raises(StateError, match="no whole backup"):
        backup.restore(evil, tmp_path / "new", "ada")
    assert not (tmp_path / "out").exists()


def test_what_is_written_meanwhile_harms_no_backup(brest: Dwelling, tmp_path: Path) -> None:
    stopping = threading.Event()

    def work() -> None:
        number = 0
        with Ledger(brest.path / BOOK) as book:
            while not stopping.is_set() and number < 2000:
                number += 1
                book.reserve("brest", STUDY.digest, number, Event(1.0, 1e5))
                Journal(brest.path).write("node", "round", STUDY.digest, f"round {number}")

    thread = threading.Thread(target=work)
    thread.start()
    try:
        for number in range(3):
            backup.save(brest.home, tmp_path / f"{number}.tar", "ada")
    finally:
        stopping.set()
        thread.join()
    for number in range(3):
        made = backup.restore(tmp_path / f"{number}.tar", tmp_path / f"home-{number}", "ada")
        with Ledger(tmp_path / f"home-{number}" / BOOK) as book:
            assert book.verify() == made.facts["ledger"][0] + 1  # type: ignore[index]


def test_nothing_is_written_over(brest: Dwelling, tmp_path: Path) -> None:
    file = saved(brest, tmp_path)
    with pytest.raises(UsageError, match="exists"):
        backup.save(brest.home, file, "ada")
    with pytest.raises(UsageError, match="in the home itself"):
        backup.save(brest.home, brest.path / "b.tar", "ada")
    with pytest.raises(UsageError, match="is there already"):
        backup.restore(file, brest.path, "ada")
    with pytest.raises(UsageError, match="no such backup"):
        backup.restore(tmp_path / "none.tar", tmp_path / "new", "ada")
    with pytest.raises(UsageError, match="backup of a hospital"):
        saving.look(file, "coordinator")


def test_a_damaged_book_is_not_backed_up(brest: Dwelling, tmp_path: Path) -> None:
    head_of(brest.path / BOOK).write_text(f"9 {'ab' * 32}\n")
    with pytest.raises(StateError):
        backup.save(brest.home, tmp_path / "b.tar", "ada")
    assert not (tmp_path / "b.tar").exists()


def test_a_birth_is_known_here(tmp_path: Path) -> None:
    """Where the file system says no time of birth, inodes alone are compared."""
    (tmp_path / "a").write_text("x")
    first = places._where(tmp_path / "a")
    shutil.copy(tmp_path / "a", tmp_path / "b")
    os.utime(tmp_path / "a", (0, 0))
    (tmp_path / "a").chmod(0o640)
    assert places._where(tmp_path / "a") == first != places._where(tmp_path / "b")


def test_home_and_heads_are_read_as_they_are_printed() -> None:
    from client.backup.loss import head_from

    assert head_from(f"12 {'ab' * 32}") == Head(12, "ab" * 32)
    assert head_from(f" 12  {'ab' * 8}…") == Head(12, "ab" * 8)
    for bad in ("", "12", "12 abc", f"-1 {'ab' * 32}", f"12 {'AB' * 32}"):
        with pytest.raises(UsageError, match="number and a digest"):
            head_from(bad)


def test_the_settings_open_as_before(brest: Dwelling, tmp_path: Path) -> None:
    file = saved(brest, tmp_path)
    put_back(brest, file)
    assert Home.open(brest.path).name == "brest"
