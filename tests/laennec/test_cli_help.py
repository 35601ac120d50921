from __future__ import annotations

import re
import subprocess
import sys
from importlib.metadata import version

import pytest
from calls import Laennec
from typer.testing import CliRunner

import laennec as package
from laennec.cli import app

COMMANDS = ["demo", "run", "compare", "evaluate", "tasks", "patients", "audit", "schema"]


def plain(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


def test_these_are_the_commands() -> None:
    assert [each.callback.__name__ for each in app.registered_commands if each.callback] == COMMANDS


@pytest.mark.parametrize("flag", ["--help", "-h"])
@pytest.mark.parametrize("command", [[], *([name] for name in COMMANDS)], ids=["laennec", *COMMANDS])
def test_every_command_explains_itself(command: list[str], flag: str) -> None:
    finished = CliRunner().invoke(app, [*command, flag])
    assert finished.exit_code == 0
    assert "Usage:" in finished.output


@pytest.mark.parametrize("command", ["demo", "run", "compare", "evaluate", "tasks", "patients"])
def test_every_command_reports_in_json_on_demand(command: str) -> None:
    assert "--json" in plain(CliRunner().invoke(app, [command, "--help"], env={"COLUMNS": "200"}).output)


def test_the_list_of_commands_says_what_each_does() -> None:
    text = plain(CliRunner().invoke(app, ["--help"]).output)
    assert all(name in text for name in COMMANDS)


@pytest.mark.parametrize("arguments", [["unknown"], ["run"], ["run", "x.toml", "--engine", "abacus"]])
def test_a_command_line_that_makes_no_sense_exits_with_2(laennec: Laennec, arguments: list[str]) -> None:
    assert laennec(*arguments).code == 2


@pytest.mark.parametrize("command", ["run", "compare"])
def test_help_offers_only_the_engines_that_there_are(command: str) -> None:
    text = plain(CliRunner().invoke(app, [command, "--help"], env={"COLUMNS": "200"}).output)
    assert "[local|ray|flower]" in text


def test_an_engine_that_there_never_was_is_refused_with_those_that_there_are(laennec: Laennec) -> None:
    said = laennec("run", "x.toml", "--engine", "abacus").err
    assert "'abacus' is not one of 'local', 'ray', 'flower'." in " ".join(said.replace("│", " ").split())


def test_help_does_not_wait_for_torch() -> None:
    code = "import sys, laennec.cli; sys.exit(any(m in sys.modules for m in ('torch', 'flwr', 'numpy')))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_package_knows_its_version() -> None:
    assert package.__version__ == version("laennec")
