"""What somebody might do to the book, and that it shows. Each attack meets an honest book of six entries."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from client.ledger import Entry, Ledger
from client.ledger.entries import digest_of
from ground.errors import StateError
from ground.heads import BEGINNING
from privacy.accountant import Event

STUDY = "ab" * 32
RESTORE = "restore the newest backup (`laennec hospital restore`); without one nobody knows what was spent"


def fill(path: Path) -> list[Entry]:
    with Ledger(path) as ledger:
        ledger.set_budget("cleveland", 2.0, 1e-5)
        for number in range(2):
            ledger.reserve("cleveland", STUDY, number, Event(1.0, 20.0))
            ledger.settle("cleveland", STUDY, number)
        ledger.disclose("cleveland", STUDY, 1, "accuracy")
        return ledger.history()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    fill(tmp_path / "ledger.sqlite")
    return tmp_path / "ledger.sqlite"


@contextmanager
def raw(path: Path, *, restore: bool = True) -> Iterator[sqlite3.Connection]:
    """The database without its triggers; they are put back, as whoever hides an edit would do."""
    connection = sqlite3.connect(path, isolation_level=None)
    triggers = connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
    for name, _ in triggers:
        connection.execute(f"DROP TRIGGER {name}")
    yield connection
    for _, statement in triggers if restore else ():
        connection.execute(statement)
    connection.close()


def head_file(path: Path) -> Path:
    return path.with_name("ledger.sqlite.head")


def forge(connection: sqlite3.Connection, number: int, **changed: object) -> None:
    """Change an entry and give it and all that follow the digests that they ought to have."""
    for column, value in changed.items():
        connection.execute(f"UPDATE entries SET {column} = ? WHERE number = ?", (value, number))  # noqa: S608
    previous = BEGINNING
    for row in connection.execute(
        "SELECT number, time, account, kind, study, round, body FROM entries ORDER BY number"
    ).fetchall():
        own = digest_of(previous, row)
        connection.execute(
            "UPDATE entries SET previous = ?, digest = ? WHERE number = ?", (previous, own, row[0])
        )
        previous = own


def refused(path: Path) -> str:
    """What is said where the book is opened: one line that names the book."""
    with pytest.raises(StateError) as caught:
        Ledger(path)
    said = str(caught.value)
    assert str(path) in said
    assert "\n" not in said
    return said


@pytest.mark.parametrize(
    "statement", ["UPDATE entries SET round = 7", "DELETE FROM entries", "INSERT OR REPLACE {}", "INSERT {}"]
)
def test_the_tables_themselves_refuse_all_but_the_next_entry(path: Path, statement: str) -> None:
    number = 2 if "REPLACE" in statement else 8
    row = f"INTO entries VALUES ({number}, 0.0, 'x', 'settle', 'ab', 1, 'null', '', '')"
    connection = sqlite3.connect(path)
    with pytest.raises(sqlite3.IntegrityError, match="the ledger is append-only"):
        connection.execute(statement.format(row))
    connection.close()


@pytest.mark.parametrize("number", [1, 3, 6])
@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("time", 1.5),
        ("account", "hungary"),
        ("account", "Cleveland"),
        ("kind", "settle "),
        ("study", "cd" * 32),
        ("round", 7),
        ("body", '{"noise_multiplier":200.0,"sampling_rate":1.0,"times":1}'),
        ("digest", "0" * 64),
    ],
)
def test_an_edited_entry_is_named(path: Path, column: str, value: object, number: int) -> None:
    with raw(path) as connection:
        connection.execute(f"UPDATE entries SET {column} = ? WHERE number = ?", (value, number))  # noqa: S608
    assert refused(path) == f"{path}: entry {number} was changed after it was written: {RESTORE}"


def test_an_edited_link_is_named(path: Path) -> None:
    with raw(path) as connection:
        connection.execute("UPDATE entries SET previous = ? WHERE number = 3", ("0" * 64,))
    assert "entry 3 does not follow the entry before it" in refused(path)


def test_triggers_that_were_dropped_are_noticed(path: Path) -> None:
    with raw(path, restore=False):
        pass
    assert "its tables are not those of an epsilon book" in refused(path)


@pytest.mark.parametrize(
    "statement",
    ["CREATE TABLE more (x)", "CREATE VIEW more AS SELECT 1", "PRAGMA application_id = 7"],
)
def test_anything_else_in_the_file_is_noticed(path: Path, statement: str) -> None:
    with raw(path) as connection:
        connection.execute(statement)
    assert "its tables are not those of an epsilon book" in refused(path)


@pytest.mark.parametrize("number", [1, 3])
def test_an_entry_removed_from_the_middle_is_named(path: Path, number: int) -> None:
    with raw(path) as connection:
        connection.execute("DELETE FROM entries WHERE number = ?", (number,))
    assert f"entry {number} is missing" in refused(path)


def test_the_last_entry_removed_is_named(path: Path) -> None:
    with raw(path) as connection:
        connection.execute("DELETE FROM entries WHERE number = 6")
    assert "entry 6 is missing, of 6 that its head knows" in refused(path)


def test_all_entries_removed_are_noticed(path: Path) -> None:
    with raw(path) as connection:
        connection.execute("DELETE FROM entries")
    assert "entry 1 is missing, of 6 that its head knows" in refused(path)


@pytest.mark.parametrize("number", [0, -3, 8])
def test_an_entry_put_in_beside_the_chain_is_noticed(path: Path, number: int) -> None:
    with raw(path) as connection:
        connection.execute("INSERT INTO entries SELECT ?, time, account, kind, study, round, body, previous, "
                           "digest FROM entries WHERE number = 6", (number,))  # fmt: skip
    assert "is missing" in refused(path)


@pytest.mark.parametrize("number", [1, 6])
def test_an_edit_with_all_digests_made_anew_differs_from_the_head(path: Path, number: int) -> None:
    with raw(path) as connection:
        forge(connection, number, time=1.5)
    assert "entry 6 is not the one that its head knows" in refused(path)


def test_a_book_forged_together_with_its_head_differs_from_a_copy_of_the_head_kept_elsewhere(
    path: Path,
) -> None:
    with Ledger(path) as ledger:
        kept = ledger.head()
    with raw(path) as connection:
        forge(connection, 2, body='{"noise_multiplier":200.0,"sampling_rate":1.0,"times":1}')
        digest = connection.execute("SELECT digest FROM entries WHERE number = 6").fetchone()[0]
    head_file(path).write_text(f"6 {digest}\n")
    with Ledger(path) as ledger:  # this is what the book cannot see
        assert ledger.verify() == kept.number
        assert ledger.head() != kept


@pytest.mark.parametrize(
    ("number", "changed"),
    [
        (1, {"body": '{"delta":1e-05,"epsilon":-2.0}'}),
        (1, {"body": '{"delta":1e-05}'}),
        (1, {"study": STUDY}),
        (2, {"body": '{"noise_multiplier":20.0,"sampling_rate":1.0,"times":-1}'}),
        (2, {"body": '{"noise_multiplier":20.0,"sampling_rate":"x","times":1}'}),
        (2, {"body": "{"}),
        (2, {"kind": "refund"}),
        (2, {"study": None, "round": None}),
        (2, {"round": None}),
        (3, {"body": "3"}),
        (6, {"body": "null"}),
    ],
)
def test_an_entry_that_no_ledger_writes_is_refused_even_with_the_right_digest(
    path: Path, number: int, changed: dict[str, object]
) -> None:
    with raw(path) as connection:
        forge(connection, number, **changed)
    assert f"entry {number} is not one that a ledger writes" in refused(path)


def test_an_older_copy_of_the_book_is_noticed(path: Path, tmp_path: Path) -> None:
    shutil.copy(path, tmp_path / "older")
    with Ledger(path) as ledger:
        ledger.reserve("cleveland", STUDY, 2, Event(1.0, 20.0))
    shutil.copy(tmp_path / "older", path)
    assert "entry 7 is missing, of 7 that its head knows: the book was truncated or" in refused(path)


def test_a_book_of_another_hospital_is_noticed(path: Path, tmp_path: Path) -> None:
    fill(tmp_path / "other" / "ledger.sqlite")
    shutil.copy(tmp_path / "other" / "ledger.sqlite", path)
    assert "entry 6 is not the one that its head knows" in refused(path)


def test_a_copy_of_both_files_is_a_book(path: Path, tmp_path: Path) -> None:
    (tmp_path / "copy").mkdir()
    for file in (path, head_file(path)):
        shutil.copy(file, tmp_path / "copy")
    with Ledger(tmp_path / "copy" / path.name) as ledger:
        assert ledger.verify() == 6


def test_a_book_that_is_gone_is_not_begun_anew(path: Path) -> None:
    path.unlink()
    assert "the book is gone and its head is still there" in refused(path)
    assert not path.exists()


def test_an_emptied_book_is_not_begun_anew(path: Path) -> None:
    path.write_bytes(b"")
    assert "its tables are not those of an epsilon book" in refused(path)


def test_a_missing_head_is_noticed(path: Path) -> None:
    head_file(path).unlink()
    assert "ledger.sqlite.head: the book's head is missing" in refused(path)


@pytest.mark.parametrize(
    "text",
    ["", "6", "6 " + "0" * 63, "06 " + "0" * 64, "x " + "0" * 64, "\x00" * 67],
    ids=["empty", "no digest", "short", "leading zero", "no number", "zeros"],
)
def test_a_damaged_head_is_refused(path: Path, text: str) -> None:
    head_file(path).write_text(f"{text}\n")
    assert "ledger.sqlite.head: damaged: restore the newest backup" in refused(path)


def test_a_refused_book_is_let_go_while_the_error_lives(path: Path) -> None:
    with raw(path) as connection:
        connection.execute("UPDATE entries SET round = 7 WHERE number = 2")
    with pytest.raises(StateError) as caught:
        Ledger(path)
    connection = sqlite3.connect(path, timeout=0.0)
    assert connection.execute("PRAGMA journal_mode = DELETE").fetchone() == ("delete",)  # nobody else has it
    connection.close()
    assert "entry 2" in str(caught.value)


def test_a_head_that_a_crash_left_behind_is_mended(path: Path) -> None:
    whole = head_file(path).read_text()
    leftover = path.with_name(".ledger.sqlite.head.x1y2")
    leftover.write_text("hal")
    with Ledger(path) as ledger:
        third = ledger.history()[2]
    head_file(path).write_text(f"3 {third.digest}\n")
    Ledger(path).close()
    assert head_file(path).read_text() == whole
    assert not leftover.exists()


def tamper_while_open(path: Path, act: Callable[[], None]) -> str:
    with Ledger(path) as ledger:
        act()
        said = []
        for ask in (
            lambda: ledger.reserve("cleveland", STUDY, 5, Event(1.0, 20.0)),
            lambda: ledger.spent("cleveland"),
            ledger.verify,
        ):
            with pytest.raises(StateError) as caught:
                ask()
            said.append(str(caught.value))
    assert len(set(said)) == 1
    return said[0]


def test_an_entry_removed_while_the_book_is_open_is_noticed(path: Path) -> None:
    def remove() -> None:
        with raw(path) as connection:
            connection.execute("DELETE FROM entries WHERE number = 6")

    assert "entries that were there before are gone" in tamper_while_open(path, remove)


def test_a_book_replaced_while_it_is_open_is_noticed(path: Path, tmp_path: Path) -> None:
    shutil.copy(path, tmp_path / "copy")
    said = tamper_while_open(path, lambda: (tmp_path / "copy").rename(path) and None)
    assert "the book was replaced while it was open" in said


def test_verify_reads_what_opening_has_read_already(path: Path) -> None:
    with Ledger(path) as ledger:
        with raw(path) as connection:
            connection.execute("UPDATE entries SET time = 1.5 WHERE number = 2")
        with pytest.raises(StateError, match="entry 2 was changed after it was written"):
            ledger.verify()


@dataclass(frozen=True, repr=False)
class Honest:
    """A book and the bytes of its two files."""

    path: Path
    entries: list[Entry]
    book: bytes
    head: bytes

    def put(self, book: bytes, head: bytes) -> Path:
        self.path.write_bytes(book)
        head_file(self.path).write_bytes(head)
        return self.path


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory) -> Honest:
    path = tmp_path_factory.mktemp("honest") / "ledger.sqlite"
    entries = fill(path)
    return Honest(path, entries, path.read_bytes(), head_file(path).read_bytes())


def flipped(whole: bytes, place: int, flip: int) -> bytes:
    damaged = bytearray(whole)
    damaged[place] ^= flip
    return bytes(damaged)


def assert_refused_or_the_same(path: Path, entries: list[Entry]) -> None:
    """A byte that means nothing may change; an entry may not."""
    try:
        with Ledger(path) as ledger:
            assert ledger.verify() == len(entries)
            assert ledger.history() == entries
    except StateError as error:
        said = str(error)
    else:
        return
    assert str(path) in said
    assert "\n" not in said


@given(place=st.integers(0, 2**20), flip=st.integers(1, 255))
@settings(deadline=None, max_examples=150)
def test_a_flipped_byte_never_changes_an_entry_unnoticed(honest: Honest, place: int, flip: int) -> None:
    # Most of a page is free space: half of the flips are aimed at what is not zero.
    used = [index for index, value in enumerate(honest.book) if value]
    where = used[place // 2 % len(used)] if place % 2 else place // 2 % len(honest.book)
    path = honest.put(flipped(honest.book, where, flip), honest.head)
    assert_refused_or_the_same(path, honest.entries)


@given(place=st.integers(0, 66), flip=st.integers(1, 255))
@settings(deadline=None, max_examples=30)
def test_a_flipped_byte_in_the_head_is_noticed(honest: Honest, place: int, flip: int) -> None:
    refused(honest.put(honest.book, flipped(honest.head, place, flip)))


@given(keep=st.floats(0.0, 1.0, exclude_max=True))
@settings(deadline=None, max_examples=30)
def test_a_truncated_file_is_noticed(honest: Honest, keep: float) -> None:
    refused(honest.put(honest.book[: int(keep * len(honest.book))], honest.head))
