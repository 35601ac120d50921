"""What is written can be read again; the chain, the clock, the disk and the neighbours."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from client.home import Home
from client.journal import Journal, journal
from client.journal.lines import LONGEST_DETAIL
from ground.errors import StateError, UsageError
from ground.heads import Head

STUDY = "ab" * 32
ROOT = Path(__file__).parents[3]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return Home.begin(tmp_path / "home", "brest").path


def said_of(call: object) -> str:
    """What is refused: one line."""
    with pytest.raises(StateError) as caught:
        call()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_what_was_written_is_read_again_in_its_order(home: Path) -> None:
    kept = Journal(home)
    kept.write("person", "approve", STUDY, "by ada")
    kept.write("node", "start")
    assert [(line.number, line.who, line.what, line.digest) for line in kept.lines()] == [
        (1, "person", "init", None),
        (2, "person", "approve", STUDY),
        (3, "node", "start", None),
    ]
    assert kept.verify() == 3
    assert kept.head() == kept.lines()[-1].head()
    assert kept.last() == kept.lines()
    assert [line.number for line in kept.about(STUDY, "approve")] == [2]
    assert kept.about(STUDY, "revoke") == []


def test_a_home_without_a_journal_has_no_lines(tmp_path: Path) -> None:
    kept = Journal(tmp_path)
    assert (kept.lines(), kept.last(), kept.about(STUDY, "approve"), kept.head()) == ([], [], [], Head())


def test_the_journal_is_its_owner_s_alone(home: Path) -> None:
    for name in ("journal.jsonl", "journal.jsonl.head", "journal.jsonl.next", "identity"):
        assert stat.S_IMODE((home / name).stat().st_mode) == 0o600


@pytest.mark.parametrize(("who", "what"), [("anybody", "init"), ("person", "hug"), ("", "")])
def test_words_outside_the_vocabulary_are_a_mistake_of_the_caller(home: Path, who: str, what: str) -> None:
    with pytest.raises(ValueError, match="the journal knows no"):
        Journal(home).write(who, what)
    assert Journal(home).verify() == 1


def test_only_a_digest_stands_where_a_digest_belongs(home: Path) -> None:
    with pytest.raises(ValueError, match="hex digest"):
        Journal(home).write("node", "begin", "../etc")


def test_a_detail_is_one_printable_line_of_bounded_length(home: Path) -> None:
    line = Journal(home).write("person", "import", detail="a\nb\x1b[31m" + "ä" * 1000)
    assert line.detail.startswith("a b [31mä")
    assert len(line.detail) == LONGEST_DETAIL
    assert Journal(home).lines()[-1] == line


@pytest.mark.parametrize("text", ['{"a": 1}', "日本 ε δ 😀", '"', "\\", "\u2028"])
def test_any_text_may_stand_in_a_detail(home: Path, text: str) -> None:
    Journal(home).write("person", "import", detail=text)
    assert Journal(home).verify() == 2


def test_a_clock_that_was_set_back_is_said_in_a_line_of_its_own(home: Path) -> None:
    now = 2e9
    kept = Journal(home, now=lambda: now)
    kept.write("node", "start")
    now -= 60.0  # put right by a minute: nobody is bothered
    kept.write("node", "stop")
    now -= 3600.0
    kept.write("node", "start")
    kept.write("node", "stop")
    assert [line.what for line in kept.lines()][3:] == ["clock", "start", "stop"]
    assert "3600 s behind the line before: it was set back" in kept.lines()[3].detail
    assert kept.verify() == 6


def test_a_full_disk_is_said_and_leaves_nothing_half_written(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = (home / "journal.jsonl").read_bytes()
    real = os.write

    def full(handle: int, data: bytes) -> int:
        if b'"who"' not in data:  # the rest of the line
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(handle, data[:60])

    with monkeypatch.context() as patch:
        patch.setattr(journal.os, "write", full)
        said = said_of(lambda: Journal(home).write("node", "start"))
    assert "No space left on device and nothing was written: check the disk" in said
    assert (home / "journal.jsonl").read_bytes() == before
    assert Journal(home).write("node", "start").number == Journal(home).verify() == 2


@pytest.mark.parametrize("name", ["intent", "head"])
def test_a_disk_that_is_full_for_a_file_beside_it_leaves_the_journal_as_it_was(
    home: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    before = (home / "journal.jsonl").read_bytes()
    with monkeypatch.context() as patch:
        if name == "intent":
            patch.setattr(journal, "write_atomically", full)
        else:
            patch.setattr(journal.HeadFile, "write", full)
        assert "No space left on device and nothing was written" in said_of(
            lambda: Journal(home).write("node", "start")
        )
    assert (home / "journal.jsonl").read_bytes() == before
    assert Journal(home).write("node", "start").number == Journal(home).verify() == 2


def test_threads_and_processes_write_one_after_the_other(home: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from client.journal import Journal\n"
        "for _ in range(10): Journal(Path(sys.argv[1])).write('node', 'round')"
    )
    others = [
        subprocess.Popen([sys.executable, "-c", code, home], env=os.environ | {"PYTHONPATH": str(ROOT)})
        for _ in range(2)
    ]
    threads = [
        threading.Thread(target=lambda: [Journal(home).write("node", "begin") for _ in range(10)])
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [each.wait() for each in others] == [0, 0]
    assert Journal(home).verify() == 41


def test_a_journal_on_a_read_only_disk_can_be_verified(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / ".journal.lock").unlink()
    monkeypatch.setattr(journal.os, "access", lambda *_: False)
    assert Journal(home).verify() == 1
    assert not (home / ".journal.lock").exists()


def test_without_its_identity_a_journal_cannot_be_verified(home: Path) -> None:
    (home / "identity").unlink()
    with pytest.raises(UsageError, match="has no identity"):
        Journal(home).verify()
    (home / "identity").write_bytes(b"short")
    assert "is not an identity" in said_of(Journal(home).verify)


def test_the_journal_needs_neither_torch_nor_flower() -> None:
    code = "import sys, client.journal; sys.exit(any(m in sys.modules for m in ('torch', 'flwr', 'numpy')))"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0
