from __future__ import annotations

import math
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from client.ledger import Budget, Entry, Head, Ledger
from ground.errors import PrivacyError, UsageError
from privacy.accountant import Accountant, Event

STUDY, OTHER = "ab" * 32, "cd" * 32
STEP = Event(1.0, 20.0)
SAMPLED = Event(0.1, 2.0, 5)
BAD_BUDGETS = [(0.0, 1e-5), (-1.0, 1e-5), (math.nan, 1e-5), (math.inf, 1e-5), (1.0, 0.0), (1.0, 0.011)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "home" / "ledger.sqlite"


@pytest.fixture
def ledger(path: Path):
    with Ledger(path) as opened:
        yield opened


def kinds(ledger: Ledger) -> list[str]:
    return [entry.kind for entry in ledger.history()]


def test_a_new_book_is_empty_and_readable_by_its_owner_alone(path: Path) -> None:
    with Ledger(path) as ledger:
        assert (ledger.verify(), ledger.accounts(), ledger.history()) == (0, [], [])
        assert ledger.spent("cleveland") == Accountant()
        assert all(stat.S_IMODE(file.stat().st_mode) == 0o600 for file in path.parent.iterdir())


def test_a_closed_book_is_two_files(path: Path) -> None:
    with Ledger(path) as ledger:
        ledger.reserve("cleveland", STUDY, 1, STEP)
    assert sorted(file.name for file in path.parent.iterdir()) == ["ledger.sqlite", "ledger.sqlite.head"]


def test_what_was_booked_is_there_when_the_book_is_opened_again(path: Path) -> None:
    with Ledger(path, now=lambda: 12.5) as ledger:
        ledger.set_budget("cleveland", 2.0, 1e-5)
        ledger.reserve("cleveland", STUDY, 0, SAMPLED)
        ledger.settle("cleveland", STUDY, 0)
        ledger.disclose("cleveland", STUDY, 1, "accuracy")
        before, head = ledger.history(), ledger.head()
    with Ledger(path) as ledger:
        assert ledger.history() == before
        assert ledger.head() == head == Head(4, before[-1].digest)
        assert ledger.budget("cleveland") == Budget(2.0, 1e-5)
        assert ledger.spent("cleveland") == Accountant((SAMPLED,))
    digests = [entry.digest for entry in before]
    assert before == [
        Entry(1, 12.5, "cleveland", "budget", None, None, Budget(2.0, 1e-5), digests[0]),
        Entry(2, 12.5, "cleveland", "reserve", STUDY, 0, SAMPLED, digests[1]),
        Entry(3, 12.5, "cleveland", "settle", STUDY, 0, None, digests[2]),
        Entry(4, 12.5, "cleveland", "disclose", STUDY, 1, "accuracy", digests[3]),
    ]


def test_an_event_is_spent_from_its_reservation_on(ledger: Ledger) -> None:
    ledger.reserve("cleveland", STUDY, 1, STEP)
    reserved = ledger.spent("cleveland")
    ledger.settle("cleveland", STUDY, 1)
    assert reserved == ledger.spent("cleveland") == Accountant((STEP,))


def test_an_open_reservation_is_used_again(path: Path) -> None:
    for _ in range(3):
        with Ledger(path) as ledger:
            ledger.reserve("cleveland", STUDY, 1, STEP)
            assert ledger.spent("cleveland") == Accountant((STEP,))


def test_a_reservation_of_another_event_in_the_same_round_is_booked_too(ledger: Ledger) -> None:
    for event in (STEP, SAMPLED, STEP):
        ledger.reserve("cleveland", STUDY, 1, event)
    assert ledger.spent("cleveland") == Accountant((SAMPLED, STEP))
    ledger.settle("cleveland", STUDY, 1)
    assert kinds(ledger) == ["reserve", "reserve", "settle"]


def test_a_round_that_was_settled_and_is_trained_anew_is_booked_again(ledger: Ledger) -> None:
    for _ in range(2):
        ledger.reserve("cleveland", STUDY, 1, STEP)
        ledger.settle("cleveland", STUDY, 1)
    assert ledger.spent("cleveland") == Accountant((Event(1.0, 20.0, 2),))
    assert kinds(ledger) == ["reserve", "settle"] * 2


def test_settling_twice_is_settling_once(ledger: Ledger) -> None:
    ledger.reserve("cleveland", STUDY, 1, STEP)
    for _ in range(2):
        ledger.settle("cleveland", STUDY, 1)
    assert kinds(ledger) == ["reserve", "settle"]


@pytest.mark.parametrize("place", [("hungary", STUDY, 1), ("cleveland", OTHER, 1), ("cleveland", STUDY, 2)])
def test_what_was_never_reserved_is_not_settled(ledger: Ledger, place: tuple[str, str, int]) -> None:
    ledger.reserve("cleveland", STUDY, 1, STEP)
    with pytest.raises(PrivacyError, match="was never reserved: its reply stays here"):
        ledger.settle(*place)
    assert kinds(ledger) == ["reserve"]


def test_the_same_disclosure_is_one_entry_and_costs_no_epsilon(ledger: Ledger) -> None:
    for number, what in [(1, "accuracy"), (1, "accuracy"), (1, "patients"), (2, "accuracy")]:
        ledger.disclose("cleveland", STUDY, number, what)
    assert [(entry.round, entry.content) for entry in ledger.history()] == [
        (1, "accuracy"),
        (1, "patients"),
        (2, "accuracy"),
    ]
    assert ledger.spent("cleveland") == Accountant()


def test_each_cohort_has_its_own_account(ledger: Ledger) -> None:
    ledger.reserve("hungary", STUDY, 1, SAMPLED)
    ledger.reserve("cleveland", STUDY, 1, STEP)
    ledger.set_budget("cleveland", 1.0, 1e-5)
    assert ledger.accounts() == ["cleveland", "hungary"]
    assert ledger.spent("hungary") == Accountant((SAMPLED,))
    assert ledger.budget("hungary") is None
    assert [entry.number for entry in ledger.history("cleveland")] == [2, 3]


def test_like_releases_of_all_studies_are_one_event_in_whatever_order(ledger: Ledger) -> None:
    for account, order in [("cleveland", (STEP, SAMPLED, STEP)), ("hungary", (STEP, STEP, SAMPLED))]:
        for number, event in enumerate(order):
            ledger.reserve(account, STUDY if number else OTHER, number, event)
    assert ledger.spent("cleveland") == ledger.spent("hungary") == Accountant((SAMPLED, Event(1.0, 20.0, 2)))


def test_the_budget_set_last_holds(ledger: Ledger) -> None:
    ledger.set_budget("cleveland", 1.0, 1e-5)
    ledger.set_budget("cleveland", 0.5, 1e-4)
    assert ledger.budget("cleveland") == Budget(0.5, 1e-4)
    assert kinds(ledger) == ["budget", "budget"]


@pytest.mark.parametrize(("epsilon", "delta"), BAD_BUDGETS)
def test_a_budget_that_promises_nothing_is_refused(ledger: Ledger, epsilon: float, delta: float) -> None:
    with pytest.raises(UsageError, match=r"^a budget's (epsilon|delta) is above 0 .*: give another$"):
        ledger.set_budget("cleveland", epsilon, delta)
    assert ledger.verify() == 0


@pytest.mark.parametrize("name", ["", " ", " cleveland", "clevel\nand", "c" * 65])
def test_an_account_has_a_short_printable_name(ledger: Ledger, name: str) -> None:
    for act in (
        lambda: ledger.set_budget(name, 1.0, 1e-5),
        lambda: ledger.reserve(name, STUDY, 1, STEP),
        lambda: ledger.disclose(name, STUDY, 1, "accuracy"),
        lambda: ledger.spent(name),
    ):
        with pytest.raises(UsageError, match="1 to 64 printable characters"):
            act()


@pytest.mark.parametrize(
    ("study", "number", "event"),
    [
        ("a study", 1, STEP),
        ("", 1, STEP),
        (STUDY, -1, STEP),
        (STUDY, True, STEP),
        (STUDY, 1, Event(1.0, 20.0, 0)),
        (STUDY, 1, Event(1.0, 20.0, -3)),
        (STUDY, 1, Event(0.0, 20.0)),
        (STUDY, 1, Event(1.1, 20.0)),
        (STUDY, 1, Event(1.0, -1.0)),
        (STUDY, 1, Event(1.0, math.nan)),
        (STUDY, 1, Event(1.0, math.inf)),
    ],
)
def test_what_is_no_release_is_not_booked(ledger: Ledger, study: str, number: int, event: Event) -> None:
    with pytest.raises(ValueError, match=r"hex digest|a round is an integer|times must be|is no release"):
        ledger.reserve("cleveland", study, number, event)
    assert ledger.verify() == 0


def test_a_disclosure_without_a_name_is_a_mistake(ledger: Ledger) -> None:
    with pytest.raises(ValueError, match="short printable name"):
        ledger.disclose("cleveland", STUDY, 1, "")


def test_a_release_without_noise_is_booked_as_infinite_where_no_limit_is_set(ledger: Ledger) -> None:
    ledger.reserve("cleveland", STUDY, 1, Event(1.0, 0.0))
    assert ledger.spent("cleveland").epsilon(1e-5) == math.inf


def test_two_open_books_see_each_other(path: Path) -> None:
    with Ledger(path) as one, Ledger(path) as two:
        one.reserve("cleveland", STUDY, 1, STEP)
        two.reserve("cleveland", STUDY, 1, STEP)
        two.settle("cleveland", STUDY, 1)
        one.reserve("cleveland", STUDY, 2, STEP)
        assert one.history() == two.history()
        assert (one.head(), one.verify()) == (two.head(), 3)


def test_threads_share_a_book(ledger: Ledger) -> None:
    threads = [
        threading.Thread(target=ledger.reserve, args=("cleveland", STUDY, number, STEP))
        for number in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ledger.spent("cleveland") == Accountant((Event(1.0, 20.0, 8),))
    assert ledger.verify() == 8


def test_the_head_file_is_one_line_that_a_person_can_copy(path: Path) -> None:
    with Ledger(path) as ledger:
        ledger.reserve("cleveland", STUDY, 1, STEP)
        head = ledger.head()
    assert path.with_name("ledger.sqlite.head").read_text() == f"1 {head.digest}\n"


def test_the_ledger_waits_for_neither_torch_nor_flower() -> None:
    code = "import sys, client.ledger; sys.exit(any(m in sys.modules for m in ('torch', 'flwr')))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
