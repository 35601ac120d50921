from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from laennec import screen
from server.events import Advanced, Waiting
from server.round import Record, begin
from tasks.registry import find
from tasks.study import Study

STUDY = Study(name="shown", task="heart-disease", rounds=2)
ROWS = {"cleveland": {"accuracy": 0.5, "auc": None}, "hungary": {"accuracy": 0.875, "auc": 0.25}}


def shown(table: Any) -> str:
    console = Console(width=200)
    with console.capture() as capture:
        console.print(table)
    return capture.get()


def arm(mean: float, seeds: int) -> dict[str, Any]:
    return {
        "label": "federated",
        "mean": {"auc": mean},
        "sd_over_seeds": {"auc": None if seeds == 1 else 0.01},
        "seeds": seeds,
        "worst_hospital": {"name": "hungary", "auc": 0.25},
        "hospitals": {"cleveland": {"auc": None}, "hungary": {"auc": 0.25}},
    }


def advanced(rounds: int, *left_out: tuple[str, str]) -> Advanced:
    """The step that completed that round."""
    progress = begin(STUDY, find("heart-disease"))
    history = tuple(Record(after, {}, ()) for after in range(rounds))
    return Advanced(
        type(progress)(STUDY, "train", rounds, (), progress.state, progress.accountant, history),
        1.0,
        1.0,
        left_out,
    )


@pytest.mark.parametrize(("value", "text"), [(None, "–"), (0.12349, "0.123"), (1.0, "1.000"), (0.0, "0.000")])
def test_a_number_has_three_decimals_or_is_a_dash(value: float | None, text: str) -> None:
    assert screen.number(value) == text


def test_the_table_of_hospitals_has_a_row_for_each_and_a_dash_for_what_is_undefined() -> None:
    lines = shown(screen.hospitals_table("title", ROWS)).splitlines()
    assert [line.split()[1::2] for line in lines if "0." in line] == [
        ["cleveland", "0.500", "–"],
        ["hungary", "0.875", "0.250"],
    ]


@pytest.mark.parametrize(("seeds", "mean"), [(1, "0.700"), (3, "0.700 ± 0.010")])
def test_the_table_of_arms_has_a_deviation_where_there_are_several_seeds(seeds: int, mean: str) -> None:
    result = {"study": "shown", "headline": "auc", "arms": {"federated": arm(0.7, seeds)}}
    cells = [cell.strip() for cell in shown(screen.arms_table(result)).splitlines()[-2].split("│")[1:-1]]
    assert cells == ["federated", mean, "–", "0.250", "0.250"]


@pytest.mark.parametrize("protected", [True, False])
def test_what_is_not_protected_is_said_in_red(protected: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    console = Console(record=True, color_system="standard", force_terminal=True, width=80)
    monkeypatch.setattr(screen, "out", console)
    screen.conclude({"protected": protected, "statement": "A [sentence].", "warnings": ["seeded"]}, Path("x"))
    said = console.export_text(styles=True)
    assert ("\x1b[1;31mA [sentence]." in said) is not protected
    assert "A [sentence]." in said
    assert "Mind: seeded." in said
    assert str(Path("x") / "report.html") in said


def test_a_bar_counts_the_rounds_that_were_completed(capsys: pytest.CaptureFixture[str]) -> None:
    with screen.rounds(quiet=False) as follow:
        watch = follow("shown", 2)
        for rounds in (0, 1, 2, 3):
            watch(advanced(rounds))
    assert "2/2 rounds" in capsys.readouterr().err


def test_who_is_left_out_is_said_with_the_round(capsys: pytest.CaptureFixture[str]) -> None:
    with screen.rounds(quiet=False) as follow:
        follow("shown", 2)(advanced(1, ("[hungary]", "no reply within 9 s")))
    assert "round 1: without [hungary]: no reply within 9 s" in capsys.readouterr().err


def test_whom_the_coordinator_waits_for_is_said(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(screen, "err", Console(stderr=True, width=200))
    with screen.rounds(quiet=False) as follow:
        follow("shown", 2)(Waiting(("cleveland", "hungary"), 3.0, 60.0))
    assert "waiting for cleveland, hungary, 3 s of 60 s" in capsys.readouterr().err


def test_quiet_shows_no_bar(capsys: pytest.CaptureFixture[str]) -> None:
    with screen.rounds(quiet=True) as follow:
        follow("shown", 2)(advanced(1))
    assert capsys.readouterr().err == ""


def test_json_is_printed_as_it_is_and_nan_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    screen.print_json({"name": "[bold]ε"})
    assert capsys.readouterr().out == '{\n  "name": "[bold]ε"\n}\n'
    with pytest.raises(ValueError, match="not JSON compliant"):
        screen.print_json({"value": float("nan")})
