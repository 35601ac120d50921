"""The hospital's commands as a person calls them: init, approve, journal, status, doctor."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from calls import PRIVATE, STUDY, Laennec, write
from typer.testing import CliRunner

from client.approval import offer
from client.home import FILE, Home
from client.journal import Journal
from laennec import screen
from laennec.cli import app
from tasks.study import parse


@pytest.fixture(autouse=True)
def anywhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """In a folder that is no home, on a wide screen."""
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("LOGNAME", "ada")
    monkeypatch.delenv("LAENNEC_HOME", raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def home(tmp_path: Path, folder: Path) -> Path:
    """A home whose patients are a digital hospital's."""
    made = Home.begin(tmp_path / "brest", "brest").path
    table = next(folder.glob("*.csv"))
    (made / FILE).write_text(f'name = "brest"\nsources = ["{table}"]\n[limits]\nhours = "19:00-07:00"\n')
    return made


def refused(finished: object, *parts: str) -> None:
    assert finished.out == ""
    assert len(finished.err.splitlines()) == 1, finished.err
    for part in parts:
        assert part in finished.err


def test_a_home_is_made_and_every_command_acts_on_it(
    laennec: Laennec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = laennec("hospital", "init", "home", "--name", "brest", "--json")
    assert made.code == 0
    assert json.loads(made.out)["identity"] == Home.open(tmp_path / "home").public.hex()
    by_option = laennec("hospital", "status", "--home", "home", "--json")
    monkeypatch.setenv("LAENNEC_HOME", "home")
    by_variable = laennec("hospital", "status", "--json")
    monkeypatch.delenv("LAENNEC_HOME")
    monkeypatch.chdir(tmp_path / "home")
    here = laennec("hospital", "status", "--json")
    names = [json.loads(each.out)["hospital"] for each in (by_option, by_variable, here)]
    assert names == ["brest"] * 3


def test_a_home_takes_its_folder_s_name_and_is_not_made_twice(laennec: Laennec, tmp_path: Path) -> None:
    said = laennec("hospital", "init", "lyon")
    assert said.code == 0
    assert "laennec hospital import" in said.out
    assert Home.open(tmp_path / "lyon").name == "lyon"
    again = laennec("hospital", "init", "lyon")
    assert again.code == 2
    refused(again, "is a hospital's home already")


@pytest.mark.parametrize("command", ["status", "journal", "approve"])
def test_outside_of_a_home_it_is_said_how_to_make_one(laennec: Laennec, command: str) -> None:
    finished = laennec("hospital", command)
    assert finished.code == 2
    refused(finished, "is no hospital's home", "laennec hospital init HOME --name NAME")


def test_a_study_is_shown_in_plain_words_and_approved(laennec: Laennec, home: Path, private: Path) -> None:
    finished = laennec("hospital", "approve", private, "--home", home, "--yes", "--days", 30)
    assert finished.code == 0
    for part in ("What is learned", "55 would be read", "2 rounds", "ε 4", "The coordinator sees"):
        assert part in finished.out
    assert "Approved by ada, until " in finished.out
    listed = json.loads(laennec("hospital", "approve", "--list", "--home", home, "--json").out)
    assert [(each["name"], each["state"], each["by"]) for each in listed["approvals"]] == [
        ("private", "approved", "ada")
    ]


def test_a_study_beyond_the_budget_is_called_so_before_and_after_it_is_approved(
    laennec: Laennec, home: Path, private: Path
) -> None:
    laennec("hospital", "budget", "--set", 0.5, "--home", home)
    finished = laennec("hospital", "approve", private, "--home", home, "--yes")
    assert finished.code == 0
    assert finished.out.startswith("What is in the way")
    assert "does NOT fit the budget" in finished.out.splitlines()[0]
    ending = finished.out[finished.out.index("Approved by ada") :]
    assert "\nMind: it does NOT fit the budget" in ending
    asked = CliRunner().invoke(app, ["hospital", "approve", str(private), "--home", str(home)], input="n\n")
    assert "It does NOT fit the budget: " in asked.output
    assert " Let private run here" in asked.output


@pytest.mark.parametrize("wrong", [("--days", 0), ("--days", 3651), ("--by", " ")])
def test_terms_that_are_none_are_refused_before_anything_is_shown(
    laennec: Laennec, home: Path, private: Path, wrong: tuple[object, ...]
) -> None:
    finished = laennec("hospital", "approve", private, "--home", home, *wrong)
    assert finished.code == 2
    refused(finished, str(wrong[0]))


def test_decisions_are_not_torn_on_eighty_columns(
    laennec: Laennec, home: Path, private: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    laennec("hospital", "approve", private, "--home", home, "--yes", "--days", 30, "--by", "the data manager")
    monkeypatch.setattr(screen.out, "_width", 80)
    [paper] = json.loads(laennec("hospital", "approve", "--list", "--home", home, "--json").out)["approvals"]
    listed = laennec("hospital", "approve", "--list", "--home", home).out
    for whole in (
        paper["short"],
        "approved",
        *(paper[key][:16].replace("T", " ") for key in ("at", "until")),
    ):
        assert whole in listed


def test_a_node_starts_only_where_something_vouches_for_its_coordinator(laennec: Laennec, home: Path) -> None:
    write(home / FILE, 'name = "brest"\ncoordinator = "coordinator.example.org:9092"\n')
    finished = laennec("hospital", "start", "--home", home)
    assert finished.code == 2
    refused(finished, "names no certificate", 'certificate = "system"')


@pytest.mark.parametrize(("said", "code"), [("y\n", 0), ("n\n", 1), ("\n", 1), ("", 1)])
def test_nothing_is_approved_without_a_yes(home: Path, private: Path, said: str, code: int) -> None:
    finished = CliRunner().invoke(app, ["hospital", "approve", str(private), "--home", str(home)], input=said)
    assert finished.exit_code == code
    assert [line.what for line in Journal(home).lines()] == (["init", "approve"] if code == 0 else ["init"])


def test_in_json_a_study_is_shown_and_decided_only_with_yes(
    laennec: Laennec, home: Path, private: Path
) -> None:
    shown = json.loads(laennec("hospital", "approve", private, "--home", home, "--json").out)
    assert (shown["approval"], shown["patients"], shown["set_aside"]) == (None, 55, 5)
    shown = json.loads(laennec("hospital", "approve", private, "--home", home, "--json", "--yes").out)
    assert shown["approval"]["by"] == "ada"


def test_a_waiting_study_is_approved_by_its_digits_revoked_and_declined(laennec: Laennec, home: Path) -> None:
    study, other = parse(STUDY), parse(PRIVATE)
    for each in (study, other):
        offer(Home.open(home), each.to_toml())
    waiting = laennec("hospital", "approve", "--home", home)
    assert study.digest[:8] in waiting.out
    assert laennec("hospital", "approve", study.digest[:8], "--home", home, "--yes").code == 0
    revoked = laennec("hospital", "approve", study.digest[:8], "--revoke", "--home", home, "--by", "bo")
    assert "short is revoked" in revoked.out
    assert laennec("hospital", "approve", other.digest[:8], "--decline", "--home", home, "--json").code == 0
    lines = Journal(home).lines()[1:]
    assert [(line.what, line.digest) for line in lines] == [
        ("approve", study.digest),
        ("revoke", study.digest),
        ("decline", other.digest),
    ]
    assert "by bo" in lines[1].detail


@pytest.mark.parametrize(
    "arguments", [("--list", "x.toml"), ("--revoke",), ("x.toml", "--revoke", "--decline"), ("x.toml",)]
)
def test_what_makes_no_sense_is_refused(laennec: Laennec, home: Path, arguments: tuple[str, ...]) -> None:
    finished = laennec("hospital", "approve", *arguments, "--home", home)
    assert finished.code == 2
    refused(finished)


def test_the_journal_is_shown_verified_and_its_fault_named(laennec: Laennec, home: Path) -> None:
    for number in range(30):
        Journal(home).write("node", "round", detail=f"round {number}")
    shown = laennec("hospital", "journal", "--home", home, "--last", 3)
    assert "round 29" in shown.out
    assert "round 26" not in shown.out
    assert f"Head: 31 {Journal(home).head().digest}" in shown.out
    whole = json.loads(laennec("hospital", "journal", "--home", home, "--last", 0, "--json").out)
    assert len(whole["lines"]) == whole["number"] == 31
    verified = laennec("hospital", "journal", "--home", home, "--verify")
    assert verified.code == 0
    assert verified.out.startswith("Each of 31 lines is as it was written")
    file = home / "journal.jsonl"
    file.write_bytes(file.read_bytes().replace(b"round 7", b"round 8"))
    shown = laennec("hospital", "journal", "--home", home, "--last", 3)
    refused(shown, "line 9 is not signed by this hospital")  # and not the one after it
    broken = laennec("hospital", "journal", "--home", home, "--verify")
    assert broken.code == 1
    refused(broken, "line 9 is not signed by this hospital")


def test_a_budget_is_the_home_s_own_and_has_its_line(laennec: Laennec, home: Path) -> None:
    assert laennec("hospital", "budget", "--set", 3, "--home", home).code == 0
    line = Journal(home).lines()[-1]
    assert (line.who, line.what, line.detail) == ("person", "budget", "brest: ε 3 at δ 1e-05, by ada")


def test_status_shows_what_the_home_holds(laennec: Laennec, home: Path, private: Path) -> None:
    laennec("hospital", "approve", private, "--home", home, "--yes")
    laennec("hospital", "budget", "--set", 3, "--home", home)
    seen = json.loads(laennec("hospital", "status", "--home", home, "--json").out)
    assert seen["limits"]["hours"] == "19:00-07:00"
    assert (seen["budget"]["budget"], seen["budget"]["spent"]) == (3.0, 0.0)
    assert [each["state"] for each in seen["approvals"]] == ["approved"]
    assert (seen["waiting"], seen["node"]["state"]) == ([], "never started")
    shown = laennec("hospital", "status", "--home", home).out
    for part in ("brest", "19:00-07:00", "of 3", "never started", "approved"):
        assert part in shown


def test_the_doctor_says_what_to_do_and_fails_where_something_is_bad(laennec: Laennec, home: Path) -> None:
    finished = laennec("hospital", "doctor", "--home", home)
    assert finished.code == 1
    for part in ("good  journal", "bad   coordinator", '→ set coordinator = "HOST:PORT"'):
        assert part in finished.out
    found = {
        each["name"]: each for each in json.loads(laennec("hospital", "doctor", "--home", home, "--json").out)
    }
    assert found["journal"]["good"] is True
    assert found["coordinator"]["todo"]


def test_the_doctor_of_no_home_says_so(laennec: Laennec, tmp_path: Path) -> None:
    finished = laennec("hospital", "doctor", "--home", tmp_path)
    assert finished.code == 1
    assert "is no hospital's home" in finished.out


def test_a_broken_hospital_toml_is_one_line(laennec: Laennec, home: Path) -> None:
    write(home / FILE, 'name = "brest"\nleast-hospital = 3\n')
    finished = laennec("hospital", "status", "--home", home)
    assert finished.code == 2
    refused(finished, "unknown key least-hospital: did you mean least-hospitals?")


def test_the_hospital_s_help_does_not_wait_for_torch() -> None:
    heavy = "('torch', 'flwr', 'numpy', 'pydantic', 'cryptography')"
    code = f"import sys, laennec.hospital; sys.exit(any(m in sys.modules for m in {heavy}))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
