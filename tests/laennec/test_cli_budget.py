from __future__ import annotations

import json
import re
import sqlite3
from pathlib import Path

import pytest
from calls import Laennec
from typer.testing import CliRunner

from client.ledger import Ledger
from laennec.cli import app
from privacy.accountant import Event

STUDY, OTHER = "ab" * 32, "cd" * 32


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Two accounts: cleveland with a budget, two studies and a disclosure; hungary without noise."""
    with Ledger(tmp_path / "ledger.sqlite", now=lambda: 0.0) as ledger:
        ledger.set_budget("cleveland", 2.0, 1e-4)
        ledger.reserve("cleveland", STUDY, 0, Event(1.0, 20.0))
        ledger.settle("cleveland", STUDY, 0)
        ledger.reserve("cleveland", OTHER, 1, Event(1.0, 20.0, 3))
        ledger.disclose("cleveland", OTHER, 1, "accuracy")
        ledger.reserve("hungary", OTHER, 1, Event(1.0, 0.0))
    return tmp_path


@pytest.fixture
def budget(laennec: Laennec, monkeypatch: pytest.MonkeyPatch) -> Laennec:
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.delenv("LAENNEC_HOME", raising=False)
    return lambda *arguments: laennec("hospital", "budget", *arguments)


def assert_refused(finished, code: int, *parts: str) -> None:
    assert finished.code == code
    assert finished.out == ""
    assert len(finished.err.splitlines()) == 1, finished.err
    assert finished.err.startswith("error: ")
    for part in parts:
        assert part in finished.err


def test_what_was_spent_and_what_is_left_is_shown_for_each_account(budget: Laennec, home: Path) -> None:
    shown = budget("--home", home)
    assert shown.code == 0
    with Ledger(home / "ledger.sqlite") as ledger:
        spent, head = ledger.spent("cleveland").epsilon(1e-4), ledger.head()
    [cleveland, hungary] = [
        re.split(r"\s{2,}", line.strip())
        for line in shown.out.splitlines()
        if line.startswith(("cleveland", "hungary"))
    ]
    assert cleveland[0::3] == ["cleveland", "2", "1"]
    assert float(cleveland[1]) == pytest.approx(spent, abs=1e-3)
    assert float(cleveland[4]) == pytest.approx(2.0 - spent, abs=1e-3)
    assert (cleveland[2], cleveland[5]) == ("0.0001", "2")
    assert hungary == ["hungary", "∞", "1e-05", "no limit", "–", "1", "0"]
    assert f"Head: 6 {head.digest}" in shown.out
    assert budget("--home", home, "--show").out == shown.out


def test_one_account_alone_is_shown_on_demand(budget: Laennec, home: Path) -> None:
    shown = budget("--home", home, "--account", "hungary").out
    assert ("hungary" in shown, "cleveland" in shown) == (True, False)


def test_in_json_an_infinite_epsilon_and_an_absent_limit_are_null(budget: Laennec, home: Path) -> None:
    shown = json.loads(budget("--home", home, "--json").out)
    with Ledger(home / "ledger.sqlite") as ledger:
        spent = ledger.spent("cleveland").epsilon(1e-4)
        assert (shown["entries"], shown["head"]) == (6, ledger.head().digest)
    assert shown["book"] == str(home / "ledger.sqlite")
    assert shown["accounts"] == [
        {
            "account": "cleveland",
            "spent": spent,
            "delta": 1e-4,
            "budget": 2.0,
            "left": 2.0 - spent,
            "studies": [STUDY, OTHER],
            "disclosures": 1,
        },
        {
            "account": "hungary",
            "spent": None,
            "delta": 1e-5,
            "budget": None,
            "left": None,
            "studies": [OTHER],
            "disclosures": 0,
        },
    ]


def test_the_history_has_a_line_for_every_entry(budget: Laennec, home: Path) -> None:
    shown = budget("--home", home, "--history")
    lines = [line for line in shown.out.splitlines() if "1970-01-01" in line]
    assert len(lines) == 6
    assert all("1970-01-01 00:00:00" in line for line in lines)
    for number, part in enumerate(["ε 2 at δ 0.0001", "σ 20", "settle", "σ 20 × 3", "accuracy", "σ 0"]):
        assert part in lines[number]
    assert len([line for line in budget("--home", home, "--history", "--account", "hungary").out.splitlines()
                if "1970-01-01" in line]) == 1  # fmt: skip


def test_the_history_in_json_holds_the_entries_whole(budget: Laennec, home: Path) -> None:
    shown = json.loads(budget("--home", home, "--history", "--json").out)
    with Ledger(home / "ledger.sqlite") as ledger:
        digests = [entry.digest for entry in ledger.history()]
    assert [entry["digest"] for entry in shown["history"]] == digests
    assert shown["history"][3]["content"] == {"sampling_rate": 1.0, "noise_multiplier": 20.0, "times": 3}
    assert "accounts" not in shown


def test_a_whole_book_verifies(budget: Laennec, home: Path) -> None:
    finished = budget("--home", home, "--verify")
    assert (finished.code, "6 entries, each as it was written" in finished.out) == (0, True)
    assert json.loads(budget("--home", home, "--verify", "--json").out)["verified"] == 6


@pytest.mark.parametrize("flag", ["--show", "--history", "--verify", "--json"])
def test_a_damaged_book_is_one_line(budget: Laennec, home: Path, flag: str) -> None:
    connection = sqlite3.connect(home / "ledger.sqlite", isolation_level=None)
    [statement] = connection.execute("SELECT sql FROM sqlite_master WHERE name = 'no_update'").fetchone()
    connection.execute("DROP TRIGGER no_update")
    connection.execute("UPDATE entries SET round = 5 WHERE number = 4")
    connection.execute(statement)
    connection.close()
    assert_refused(budget("--home", home, flag), 1, "entry 4 was changed", "restore the newest backup")


@pytest.mark.parametrize("name", ["ledger.sqlite", "ledger.sqlite.head"])
def test_a_missing_half_of_a_book_is_one_line(budget: Laennec, home: Path, name: str) -> None:
    (home / name).unlink()
    assert_refused(budget("--home", home), 1, "ledger.sqlite", "restore the newest backup")


def test_no_book_is_said_and_none_is_begun(budget: Laennec, tmp_path: Path) -> None:
    for flag in ("--show", "--history", "--verify"):
        assert_refused(budget("--home", tmp_path / "new", flag), 2, "no epsilon book there", "--set EPSILON")
    assert not (tmp_path / "new").exists()


def test_setting_a_budget_begins_a_book(budget: Laennec, tmp_path: Path) -> None:
    finished = budget("--home", tmp_path / "new", "--account", "brest", "--set", "1.5")
    assert (finished.code, "brest" in finished.out) == (0, True)
    [account] = json.loads(budget("--home", tmp_path / "new", "--json").out)["accounts"]
    assert (account["budget"], account["delta"], account["left"]) == (1.5, 1e-5, 1.5)


def test_a_new_budget_keeps_the_delta_unless_another_is_given(budget: Laennec, tmp_path: Path) -> None:
    start = ("--home", tmp_path, "--json", "--account", "brest")
    for arguments, delta in [(("--delta", "1e-3"), 1e-3), ((), 1e-3), (("--delta", "1e-6"), 1e-6)]:
        [account] = json.loads(budget(*start, "--set", 2, *arguments).out)["accounts"]
        assert account["delta"] == delta


def test_the_only_account_need_not_be_named(budget: Laennec, tmp_path: Path) -> None:
    budget("--home", tmp_path, "--account", "brest", "--set", 1)
    [account] = json.loads(budget("--home", tmp_path, "--set", 3, "--json").out)["accounts"]
    assert (account["account"], account["budget"]) == ("brest", 3.0)


def test_with_several_accounts_one_is_named(budget: Laennec, home: Path) -> None:
    assert_refused(budget("--home", home, "--set", 3), 2, "--account NAME: there are cleveland, hungary")


def test_with_no_account_one_is_named(budget: Laennec, tmp_path: Path) -> None:
    assert_refused(budget("--home", tmp_path, "--set", 3), 2, "no epsilon book there", "--account NAME")
    Ledger(tmp_path / "ledger.sqlite").close()
    assert_refused(budget("--home", tmp_path, "--set", 3), 2, "--account NAME: there is none yet")


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("--set", "0"), "epsilon is above 0 and finite, got 0"),
        (("--set=-1",), "epsilon is above 0 and finite, got -1"),
        (("--set", "nan"), "epsilon is above 0 and finite, got nan"),
        (("--set", "inf"), "epsilon is above 0 and finite, got inf"),
        (("--set", "1", "--delta", "0"), "delta is above 0 and at most 0.01, got 0"),
        (("--set", "1", "--delta", "0.02"), "delta is above 0 and at most 0.01, got 0.02"),
        (("--set", "1", "--delta", "nan"), "delta is above 0 and at most 0.01, got nan"),
        (("--delta", "1e-5"), "--delta belongs to a budget: give --set EPSILON too"),
    ],
)
def test_a_bad_budget_is_one_line_and_begins_no_book(
    budget: Laennec, tmp_path: Path, arguments: tuple[str, ...], why: str
) -> None:
    assert_refused(budget("--home", tmp_path, "--account", "brest", *arguments), 2, why)
    assert list(tmp_path.iterdir()) == []


def test_an_account_that_is_not_there_is_one_line(budget: Laennec, home: Path) -> None:
    said = "brest: no such account: there are cleveland, hungary"
    assert_refused(budget("--home", home, "--account", "brest"), 2, said)


def test_a_file_for_a_home_is_one_line(budget: Laennec, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert_refused(budget("--home", tmp_path / "file"), 2, "is a file: give a folder with --home")


def test_the_home_may_be_the_variable_or_the_current_folder(
    budget: Laennec, home: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(home)
    assert "cleveland" in budget().out
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    monkeypatch.setenv("LAENNEC_HOME", str(home))
    assert "cleveland" in budget().out


@pytest.mark.parametrize("arguments", [["hospital", "--help"], ["hospital", "budget", "-h"]])
def test_the_hospitals_commands_explain_themselves(arguments: list[str]) -> None:
    finished = CliRunner().invoke(app, arguments)
    assert (finished.exit_code, "Usage:" in finished.output) == (0, True)


def test_no_book_is_begun_in_the_current_folder_without_a_home(
    budget: Laennec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert_refused(budget("--account", "brest", "--set", "2"), 2, "no epsilon book there: give --home HOME")
    assert list(tmp_path.iterdir()) == []


def test_a_book_is_begun_in_the_current_folder_where_it_is_given_as_the_home(
    budget: Laennec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert budget("--home", ".", "--account", "brest", "--set", "2").code == 0
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        assert ledger.accounts() == ["brest"]


def test_a_book_in_the_current_folder_needs_no_home(
    budget: Laennec, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(home)
    assert budget("--account", "hungary", "--set", "3").code == 0
    with Ledger(home / "ledger.sqlite") as ledger:
        assert ledger.budget("hungary") is not None
