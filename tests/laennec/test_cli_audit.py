from __future__ import annotations

import json
from pathlib import Path

import pytest
from calls import Laennec

from deploy import audit as module

FEW = ("--runs", 1, "--shadows", 8)


@pytest.fixture(autouse=True)
def _few_canaries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CANARIES", 30)
    monkeypatch.setattr(module, "DRAWS", 1)


def one_line(text: str) -> str:
    return " ".join(text.split())


def test_an_audit_runs_the_study_and_shows_the_worst_first_and_what_it_cannot_show(
    laennec: Laennec, private: Path, folder: Path, tmp_path: Path
) -> None:
    call = ("audit", private, "--data", folder, "--out", tmp_path / "out", *FEW)
    found = laennec(*call)
    assert found.code == 0
    assert "private: audit, the worst case first" in found.out
    assert found.out.index("The study as it is:") < found.out.index("For comparison")
    assert "A lower bound on epsilon is not a proof" in one_line(found.out)
    assert f"Report: {tmp_path / 'out' / 'report.html'}\n" in found.out
    assert all(bar in found.err for bar in ("2/2 rounds", "canaries", "shadow models", "inversion"))
    again = laennec(*call)
    assert (again.code, "rounds" in again.err) == (0, False)


def test_json_is_the_audit_and_nothing_else(
    laennec: Laennec, short: Path, folder: Path, tmp_path: Path
) -> None:
    found = laennec("audit", short, "--data", folder, "--out", tmp_path / "out", *FEW, "--json")
    assert (found.code, found.err) == (0, "")
    assert json.loads(found.out) == json.loads((tmp_path / "out" / "audit.json").read_text())


def test_a_study_that_does_not_hold_fails_the_command(
    laennec: Laennec, short: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module.Audited, "holds", property(lambda _: False))
    arguments = ("--data", folder, "--out", tmp_path / "out", *FEW, "--json")
    assert laennec("audit", short, *arguments).code == 1


@pytest.mark.parametrize("arguments", [("--runs", 0), ("--shadows", 7)])
def test_too_few_runs_or_shadows_are_wrong_use(
    laennec: Laennec, short: Path, arguments: tuple[str, int]
) -> None:
    assert laennec("audit", short, *arguments).code == 2
