"""docs/operations.md: its commands exist, its limits are those of the code, its links lead somewhere."""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
sys.path.append(str(ROOT / "tests" / "deploy"))


def command_lines() -> list[str]:
    """Every `laennec …` with more than a command, in a block or between backticks."""
    blocks = re.findall(
        r"^ +(?:sudo -u laennec )?(?:/opt/laennec/bin/)?(laennec (?:hospital|coordinator) .+)$", TEXT, re.M
    )
    inline = re.findall(r"`(laennec (?:hospital|coordinator)\s[^`]+)`", TEXT)
    found = {re.sub(r"\s+#.*", "", " ".join(line.split())) for line in (*blocks, *inline)}
    return sorted(found)


@pytest.mark.parametrize("line", command_lines())
def test_a_command_exists(line: str) -> None:
    from deployed import accept

    assert accept(shlex.split(line)[1:]).split() == line.split()[1:3]


def test_there_are_many_commands() -> None:
    assert len(command_lines()) > 20


def test_options_that_stand_alone_exist() -> None:
    from deployed import accept

    for options in (
        '--ledger-head "1 ab" --journal-head "1 ab"',
        "--ran STUDY.toml",
        "--never-ran 012345",
        "--budget-is-spent",
    ):
        assert accept(["hospital", "reopen", *shlex.split(options)]) == "hospital reopen"
    assert accept(["hospital", "backup", "FOLDER", "--keep", "7", "--no-patients"]) == "hospital backup"
    assert accept(["coordinator", "launch", "S.toml", "--approval-days", "14"]) == "coordinator launch"


def test_the_limits_are_those_of_the_code() -> None:
    from client.node.supervisor import FRESH
    from ground.child import LONGEST
    from server.asking import ATTEMPTS
    from server.coordinating import daemon, orders, study
    from server.home import Written
    from server.link import grid
    from server.terms import LEAST_SECONDS, TIMES_SLOWEST, Terms

    terms = Terms(hospitals=3)
    days = Written.model_fields["hospital_days"].default
    assert terms.join_seconds == study.JOIN_SECONDS
    for row in (
        f"persons approve a study | {orders.APPROVAL_DAYS:.0f} days |",
        f"connect | {terms.join_seconds:.0f} s,",
        f"one question | {terms.reply_seconds:.0f} s; once a first answer was measured, "
        f"{TIMES_SLOWEST:.0f} times",
        f"slowest so far, at least {LEAST_SECONDS:.0f} s",
        f"outside its hours | {terms.later_seconds:.0f} s",
        f"attempts for one question | {ATTEMPTS} |",
        f"is away, for a study | {grid.RETRIES:.0f} s,",
        f"to connect | {LONGEST:.0f} s at most",
        f"getting further | {daemon.IN_VAIN} times",
        f"asked to end | {daemon.PATIENCE:.0f} s;",
        f"answered within {FRESH:.0f} s",
        f"valid for {days:.0f} days",
        f"less than {days / 3:.0f} days",
    ):
        assert row in TEXT, row


def test_each_file_and_each_section_is_there() -> None:
    sections = {
        re.sub(r"[^a-z0-9 -]", "", title.lower()).replace(" ", "-")
        for title in re.findall(r"^#+ (.+)$", TEXT, re.M)
    }
    for target in re.findall(r"\]\(([^)]+)\)", TEXT):
        file, _, section = target.partition("#")
        assert (ROOT / "docs" / file).exists() if file else section in sections, target
    for path in re.findall(r"`((?:deploy|tests|server|examples)/[^`*…]+?)`", TEXT):
        assert (ROOT / path).exists(), path


def test_each_item_of_the_first_list_has_its_row() -> None:
    table = TEXT.partition("## What hurts")[2].partition("## Installing")[0]
    rows = [line for line in table.splitlines() if line.startswith("| ")][1:]
    assert len(rows) == 16
    assert sum("Not answered yet" in row for row in rows) == 1
