"""What somebody might do to the journal, and that it shows. Each attack meets six honest lines."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from client.home import Home
from client.journal import Journal
from client.journal.lines import new_line
from ground.errors import StateError
from ground.heads import HeadFile
from ground.signing import new_private

STUDY = "ab" * 32


def fill(home: Path) -> list[bytes]:
    kept = Journal(Home.begin(home, "brest").path)
    kept.write("person", "approve", STUDY, "by ada")
    for number in range(3):
        kept.write("node", "round", STUDY, f"round {number}")
    kept.write("person", "revoke", STUDY, "by ada")
    return kept.path.read_bytes().splitlines(keepends=True)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    fill(tmp_path / "home")
    return tmp_path / "home"


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[bytes]]:
    home = tmp_path_factory.mktemp("honest") / "home"
    return home, fill(home)


def refused(home: Path) -> str:
    """What is said: one line that names the file."""
    with pytest.raises(StateError) as caught:
        Journal(home).verify()
    said = str(caught.value)
    assert said.startswith(f"{home / 'journal.jsonl'}: ")
    assert "\n" not in said
    assert "keep a copy of the home as evidence" in said
    return said


def edit(home: Path, change: Callable[[list[bytes]], list[bytes]]) -> None:
    file = home / "journal.jsonl"
    file.write_bytes(b"".join(change(file.read_bytes().splitlines(keepends=True))))


@pytest.mark.parametrize("number", [1, 3, 6])
@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("time", "2020-01-01T00:00:00.000+00:00"),
        ("who", "coordinator"),
        ("what", "refuse"),
        ("digest", "cd" * 32),
        ("detail", "by eve"),
    ],
)
def test_an_edited_line_is_named(home: Path, key: str, value: str, number: int) -> None:
    def change(lines: list[bytes]) -> list[bytes]:
        edited = json.loads(lines[number - 1]) | {key: value}
        lines[number - 1] = json.dumps(edited, separators=(",", ":")).encode() + b"\n"
        return lines

    edit(home, change)
    assert f"line {number} is not signed by this hospital" in refused(home)


@pytest.mark.parametrize("number", [2, 4])
def test_white_space_in_a_line_is_an_edit_too(home: Path, number: int) -> None:
    edit(home, lambda lines: [*lines[: number - 1], b" " + lines[number - 1], *lines[number:]])
    assert f"line {number} was changed after it was written" in refused(home)


@pytest.mark.parametrize("number", [1, 3, 5])
def test_a_removed_line_is_named(home: Path, number: int) -> None:
    edit(home, lambda lines: lines[: number - 1] + lines[number:])
    assert f"line {number} is missing, and line {number + 1} stands in its place" in refused(home)


def test_lines_in_another_order_are_named(home: Path) -> None:
    edit(home, lambda lines: [*lines[:2], lines[3], lines[2], *lines[4:]])
    assert "line 3 is missing, and line 4 stands in its place" in refused(home)


@pytest.mark.parametrize("left", [0, 1, 5])
def test_a_truncated_journal_is_refused_and_not_written_to(home: Path, left: int) -> None:
    edit(home, lambda lines: lines[:left])
    assert f"line {left + 1} is missing, of 6 that its head knows" in refused(home)
    with pytest.raises(StateError, match="is missing, of 6"):
        Journal(home).write("node", "start")


def test_a_line_that_somebody_without_the_key_appended_is_named(home: Path) -> None:
    kept = Journal(home)
    forged = new_line(kept.head(), new_private(), 2e9, "person", "approve", STUDY, "by ada")
    edit(home, lambda lines: [*lines, forged.written()])
    assert "line 7 is not signed by this hospital" in refused(home)
    HeadFile(kept.path).write(forged.head())  # whoever hides it brings the head along
    assert "line 7 is not signed by this hospital" in refused(home)


def test_a_line_signed_with_the_key_behind_the_journal_s_back_is_named(home: Path) -> None:
    kept = Journal(home)
    private = (home / "identity").read_bytes()
    smuggled = new_line(kept.head(), private, 2e9, "person", "approve", STUDY, "by ada")
    edit(home, lambda lines: [*lines, smuggled.written()])
    assert "line 7 is not known to its head" in refused(home)


def test_a_journal_of_another_hospital_is_not_this_one_s(home: Path, tmp_path: Path) -> None:
    fill(tmp_path / "other")
    for name in ("journal.jsonl", "journal.jsonl.head"):
        shutil.copy(tmp_path / "other" / name, home / name)
    assert "line 1 is not signed by this hospital" in refused(home)


def test_a_journal_that_is_gone_is_not_begun_anew(home: Path) -> None:
    (home / "journal.jsonl").unlink()
    assert "the journal is gone and its head is still there" in refused(home)
    with pytest.raises(StateError, match="is gone"):
        Journal(home).write("node", "start")


def test_a_journal_without_its_head_is_refused(home: Path) -> None:
    (home / "journal.jsonl.head").unlink()
    assert "is not known to its head" in refused(home)


def test_an_older_copy_of_the_file_is_refused(home: Path) -> None:
    old = (home / "journal.jsonl").read_bytes()
    Journal(home).write("node", "start")
    (home / "journal.jsonl").write_bytes(old)
    assert "line 7 is missing, of 7" in refused(home)


def test_what_cannot_be_hidden_from_the_owner_of_the_key_a_copy_of_the_head_shows(home: Path) -> None:
    kept = Journal(home)
    elsewhere = kept.head()
    edit(home, lambda lines: lines[:5])
    HeadFile(kept.path).write(kept.last()[-1].head())
    assert kept.verify() == 5  # nothing on this machine shows it
    assert kept.head() != elsewhere


EDITS = st.one_of(
    st.tuples(st.just("flip"), st.integers(0, 10**6), st.integers(1, 255)),
    st.tuples(st.just("insert"), st.integers(0, 10**6), st.binary(min_size=1, max_size=8)),
    st.tuples(st.just("delete"), st.integers(0, 10**6), st.integers(1, 400)),
    st.tuples(st.just("append"), st.just(0), st.binary(min_size=1, max_size=80)),
    st.tuples(st.just("repeat"), st.integers(0, 5), st.integers(0, 6)),
    st.tuples(st.just("swap"), st.integers(0, 5), st.integers(0, 5)),
)


def edited(whole: bytes, change: tuple[str, int, object]) -> bytes:
    kind, place, value = change
    lines = whole.splitlines(keepends=True)
    if kind == "repeat":
        return b"".join([*lines[:value], lines[place], *lines[value:]])
    if kind == "swap":
        lines[place], lines[value] = lines[value], lines[place]
        return b"".join(lines)
    if kind == "append":
        return whole + value
    place %= len(whole)
    if kind == "flip":
        return whole[:place] + bytes([whole[place] ^ value]) + whole[place + 1 :]
    if kind == "insert":
        return whole[:place] + value + whole[place:]
    return whole[:place] + whole[place + value :]


@settings(max_examples=150, deadline=None)
@given(change=EDITS)
def test_any_single_edit_of_the_file_is_noticed_by_who_reads_and_by_who_writes(
    honest: tuple[Path, list[bytes]], change: tuple[str, int, object]
) -> None:
    home, lines = honest
    file, whole = home / "journal.jsonl", b"".join(lines)
    tampered = edited(whole, change)
    file.write_bytes(tampered)
    try:
        if tampered == whole:
            assert Journal(home).verify() == 6
        else:
            assert refused(home)
    finally:
        file.write_bytes(whole)
