from __future__ import annotations

import re
from io import StringIO
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from ground.errors import UsageError
from laennec import screen
from server.events import Advanced, Waiting
from server.progress import Record, begin
from tasks.registry import find
from tasks.study import Study

STUDY = Study(name="shown", task="heart-disease", rounds=2)
ROWS = {"cleveland": {"accuracy": 0.5, "auc": None}, "hungary": {"accuracy": 0.875, "auc": 0.25}}


def shown(table: Any) -> str:
    console = Console(width=200)
    with console.capture() as capture:
        console.print(table)
    return capture.get()


def narrow(table: Any, width: int) -> list[str]:
    """The lines as printed on a screen of that width, checked to fit and to shorten nothing."""
    console = Console(width=width)
    with console.capture() as capture:
        console.print(table)
    lines = [line.rstrip() for line in capture.get().splitlines()]
    assert max(map(len, lines)) <= width
    assert not any("…" in line for line in lines)
    return lines


def left_on_screen(written: str) -> list[str]:
    """The lines of a terminal after all of this: characters, line ends, cursor up, erase a line."""
    lines, row, column = [""], 0, 0
    for match in re.finditer(r"\x1b\[([?\d;]*)([A-Za-z])|(\r)|(\n)|([^\x1b\r\n]+)", written):
        number, control, back, following, text = match.groups()
        if control == "A":
            row -= int(number or 1)
        elif control == "K":
            lines[row] = ""
        elif back:
            column = 0
        elif following:
            row, column = row + 1, 0
            lines += [""] * (row + 1 - len(lines))
        elif text:
            lines[row] = lines[row][:column].ljust(column) + text + lines[row][column + len(text) :]
            column += len(text)
    return [line.rstrip() for line in lines]


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
    assert [line.split() for line in lines if "0." in line] == [
        ["cleveland", "0.500", "–"],
        ["hungary", "0.875", "0.250"],
    ]


@pytest.mark.parametrize(
    ("seeds", "heading", "cells"),
    [(1, ["mean", "worst"], ["0.700"]), (3, ["mean", "±", "sd", "worst"], ["0.700", "0.010"])],
)
def test_the_table_of_arms_has_a_deviation_where_there_are_several_seeds(
    seeds: int, heading: list[str], cells: list[str]
) -> None:
    result = {"study": "shown", "headline": "auc", "arms": {"federated": arm(0.7, seeds)}}
    lines = [line.split() for line in shown(screen.arms_table(result)).splitlines()]
    assert lines[2] == [*heading, "cleveland", "hungary"]
    assert lines[-1] == ["federated", *cells, "0.250", "–", "0.250"]


def test_a_deviation_of_exactly_nothing_is_a_plain_zero() -> None:
    arms = {"federated": {**arm(0.7, 3), "sd_over_seeds": {"auc": 0.0}}}
    table = shown(screen.arms_table({"study": "shown", "headline": "auc", "arms": arms}))
    assert table.splitlines()[-1].split() == ["federated", "0.700", "0", "0.250", "–", "0.250"]


REAL = ("cleveland", "hungary", "long-beach", "switzerland")
TWELVE = tuple(sorted(f"{name}{again}" for name in REAL for again in ("", "-2", "-3")))
LABELS = ("own hospital", "federated", "federated + DP ε=1", "federated + DP ε=0.5", "fedyogi", "pooled")


@pytest.mark.parametrize("width", [80, 60])
@pytest.mark.parametrize("seeds", [1, 20])
@pytest.mark.parametrize("names", [REAL, TWELVE], ids=["four", "twelve"])
def test_arms_are_whole_on_a_narrow_screen(names: tuple[str, ...], seeds: int, width: int) -> None:
    values = {name: {"auc": number / 100} for number, name in enumerate(names)}
    arms = {label: {**arm(0.7, seeds), "label": label, "hospitals": values} for label in LABELS}
    lines = narrow(
        screen.arms_table({"study": "heart-disease", "headline": "auc", "arms": arms}, width), width
    )
    for label in LABELS:
        rows = [line.removeprefix(label).split() for line in lines if line.startswith(f"{label}  ")]
        summary = ["0.700", "0.010", "0.250"] if seeds > 1 else ["0.700", "0.250"]
        assert [cell for row in rows for cell in row] == [
            *summary,
            *(f"{number / 100:.3f}" for number in range(len(names))),
        ]
    headings = [line.split() for line, rule in pairwise(lines) if rule.startswith("─")]
    assert [name for heading in headings for name in heading if name in names] == list(names)


def test_four_hospitals_and_one_seed_are_one_table_of_80_columns() -> None:
    values = {name: {"auc": 0.5} for name in REAL}
    arms = {label: {**arm(0.7, 1), "label": label, "hospitals": values} for label in LABELS}
    lines = narrow(screen.arms_table({"study": "shown", "headline": "auc", "arms": arms}, 80), 80)
    assert sum(line.startswith("pooled") for line in lines) == 1


def test_twelve_hospitals_and_four_metrics_are_whole_on_80_columns() -> None:
    metrics = {"accuracy": 0.1, "auc": 0.2, "sensitivity": 0.3, "specificity": None}
    lines = narrow(screen.hospitals_table("title", dict.fromkeys(TWELVE, metrics), 80), 80)
    assert lines[2].split() == ["hospital", *metrics]
    assert [line.split() for line in lines[4:]] == [[name, "0.100", "0.200", "0.300", "–"] for name in TWELVE]


def test_a_name_is_shown_as_it_is_written_whatever_its_brackets() -> None:
    lines = narrow(screen.hospitals_table("[red]title", {"[bold]brest": {"auc": 0.5}}, 80), 80)
    assert lines[0] == "[red]title"
    assert lines[-1].split() == ["[bold]brest", "0.500"]


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


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Console:
    """Standard error as a terminal of 80 columns that remembers what was written to it."""
    console = Console(file=StringIO(), force_terminal=True, width=80, color_system=None)
    monkeypatch.setattr(screen, "err", console)
    return console


@pytest.mark.parametrize("kind", [UsageError, KeyboardInterrupt])
def test_on_a_terminal_an_error_leaves_no_bar_that_is_not_full(
    terminal: Console, kind: type[BaseException]
) -> None:
    with pytest.raises(kind):
        ended_by(kind, 2)
    terminal.print("error: why")
    assert left_on_screen(written(terminal)) == ["error: why", ""]


def test_on_a_terminal_an_error_leaves_the_bars_that_are_full(terminal: Console) -> None:
    with pytest.raises(UsageError):
        ended_by(UsageError, 1, 2)
    terminal.print("error: why")
    bar, *others = left_on_screen(written(terminal))
    assert "1/1 rounds" in bar
    assert others == ["error: why", ""]


def test_without_an_error_every_bar_stays_on_the_terminal(terminal: Console) -> None:
    with screen.rounds(quiet=False) as follow:
        follow("first", 2)
        follow("second", 2)
    terminal.print("next")
    first, second, *others = left_on_screen(written(terminal))
    assert (first[:6], second[:7]) == ("first ", "second ")
    assert others == ["next", ""]


def ended_by(kind: type[BaseException], *totals: int) -> None:
    """One bar after the other, each with one round done, and then the error."""
    with screen.rounds(quiet=False) as follow:
        for total in totals:
            follow("study", total)(advanced(2))
        raise kind


def written(console: Console) -> str:
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


def test_in_a_file_an_error_leaves_no_bar_that_is_not_full(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UsageError):
        ended_by(UsageError, 2)
    assert capsys.readouterr().err == ""


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
