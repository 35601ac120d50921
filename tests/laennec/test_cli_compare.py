"""What `compare` and `run` show of studies that begin on digital patients."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NoReturn

import pytest
from calls import NAMES, PRIVATE, Laennec, write

from tasks.learners import digital_start

STARTED = PRIVATE + "[synthetic]\npatients = 30\nstart-steps = 5\nfill = false\n"


@pytest.fixture
def started(tmp_path: Path) -> Path:
    digital_start._made.clear()
    return write(tmp_path / "started.toml", STARTED)


def test_arms_of_digital_patients_stand_in_the_table_and_have_bars_of_their_own(
    laennec: Laennec, started: Path, folder: Path, tmp_path: Path
) -> None:
    some = ("digital", "federated", "federated_digital")
    arms = [word for name in some for word in ("--arm", name)]
    finished = laennec("compare", started, "--data", folder, "--out", tmp_path / "out", *arms)
    assert finished.code == 0
    assert "digital patients only      ━━━━━━━━━━━━━━━━━━━━━━━━ 35/35 steps" in finished.err
    assert "digital start              ━━━━━━━━━━━━━━━━━━━━━━━━ 2/2   rounds" in finished.err
    result = json.loads((tmp_path / "out" / "result.json").read_text())
    assert tuple(result["arms"]) == some
    assert list(result["arms"]["digital"]["hospitals"]) == list(NAMES)
    table = finished.out.split("\n\n")[1]
    labels = [line.split("  ")[0] for line in table.splitlines()[2:]]
    assert labels == [arm["label"] for arm in result["arms"].values()]


@pytest.mark.parametrize("name", ["unknown", "own"])
def test_arms_that_cannot_stand_alone_are_wrong_use(
    laennec: Laennec, started: Path, folder: Path, tmp_path: Path, name: str
) -> None:
    finished = laennec("compare", started, "--data", folder, "--out", tmp_path / "out", "--arm", name)
    assert (finished.code, finished.out) == (2, "")
    assert finished.err.startswith("error: ")
    assert "federated_dp" in finished.err
    assert not (tmp_path / "out").exists()


def interrupted(*_: object) -> NoReturn:
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("run", "Interrupted: the same command begins again, as no round was asked for yet."),
        ("compare", "Interrupted: the same command goes on with the arms that are missing."),
    ],
)
def test_ctrl_c_while_a_model_learns_from_digital_patients_exits_with_130(
    command: str,
    words: str,
    laennec: Laennec,
    started: Path,
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    out = ("--data", folder, "--out", tmp_path / "out")
    arms = ("--arm", "federated_digital") if command == "compare" else ()
    with monkeypatch.context() as patch:
        patch.setattr(digital_start, "_descend", interrupted)
        finished = laennec(command, started, *out, *arms)
    assert (finished.code, finished.out, finished.err) == (130, "", f"{words}\n")
    assert laennec(command, started, *out, *arms, "--json").code == 0
