"""Backup, restore and reopen as a person types them, and that nothing starts in between."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from calls import Laennec

NAMES = {"hospital": ["--name", "brest"], "coordinator": ["--name", "west", "--host", "localhost"]}


@pytest.mark.parametrize("role", list(NAMES))
def test_a_home_comes_back_closed_and_is_opened_by_a_person(
    laennec: Laennec, tmp_path: Path, role: str
) -> None:
    home, folder = tmp_path / "home", tmp_path / "backups"
    folder.mkdir()
    assert laennec(role, "init", home, *NAMES[role]).code == 0
    if role == "hospital":
        text = (home / "hospital.toml").read_text()
        away = 'coordinator = "127.0.0.1:1"\ncertificate = "system"\n'
        (home / "hospital.toml").write_text(text.replace("\n", f"\n{away}", 1))
    made = json.loads(laennec(role, "backup", folder, "--home", home, "--keep", "2", "--json").out)
    file = Path(made["file"])
    assert file.parent == folder
    assert made["bytes"] == file.stat().st_size
    assert laennec(role, "backup", file, "--home", home).code == 2
    shutil.rmtree(home)
    put_back = laennec(role, "restore", file, home)
    assert put_back.code == 0
    assert f"laennec {role} reopen" in put_back.out
    refused = laennec(role, "start", "--home", home)
    assert refused.code == 1
    assert "reopen" in refused.err
    shown = json.loads(laennec(role, "reopen", "--home", home, "--json").out)
    assert shown["open"] is False
    assert laennec(role, "reopen", "--home", home, "--yes").code == 0
    again = laennec(role, "reopen", "--home", home, "--yes")
    assert again.code == 2
    assert "is open" in again.err


def test_heads_that_were_kept_open_it_as_it_was(laennec: Laennec, tmp_path: Path) -> None:
    home = tmp_path / "home"
    laennec("hospital", "init", home, "--name", "brest")
    laennec("hospital", "budget", "--home", home, "--set", "3")
    assert laennec("hospital", "backup", tmp_path / "b.tar", "--home", home).code == 0
    book = json.loads(laennec("hospital", "budget", "--home", home, "--json").out)
    lines = json.loads(laennec("hospital", "journal", "--home", home, "--json").out)
    shutil.rmtree(home)
    laennec("hospital", "restore", tmp_path / "b.tar", home)
    heads = ["--ledger-head", f"{book['entries']} {book['head']}"]
    heads += ["--journal-head", f"{lines['number']} {lines['head']}"]
    shown = json.loads(laennec("hospital", "reopen", "--home", home, *heads, "--json").out)
    assert (shown["missing_entries"], shown["missing_lines"]) == (0, 0)
    wrong = laennec("hospital", "reopen", "--home", home, "--ledger-head", f"1 {'ab' * 32}", "--yes")
    assert wrong.code == 1
    assert "not a copy" in wrong.err
    assert laennec("hospital", "reopen", "--home", home, "--ledger-head", "soon", "--yes").code == 2
    assert laennec("hospital", "reopen", "--home", home, *heads, "--yes").code == 0
    said = json.loads(laennec("hospital", "journal", "--home", home, "--json").out)["lines"][-1]
    assert said["what"] == "reopen"
    assert "nothing is missing" in said["detail"]


def test_keep_is_for_a_folder(laennec: Laennec, tmp_path: Path) -> None:
    laennec("hospital", "init", tmp_path / "home", "--name", "brest")
    refused = laennec("hospital", "backup", tmp_path / "b.tar", "--home", tmp_path / "home", "--keep", "2")
    assert refused.code == 2
    assert "--keep" in refused.err
