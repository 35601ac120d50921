"""What `evaluate` shows of single patients, for a task that has metrics of them."""

from __future__ import annotations

import json
from pathlib import Path

import pictured
import pytest
from calls import NAMES, STUDY, Laennec, write


@pytest.fixture
def model(laennec: Laennec, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    pictured.install(monkeypatch)
    study = write(tmp_path / "short.toml", STUDY.replace("heart-disease", pictured.NAME))
    assert laennec("run", study, "--data", folder, "--out", tmp_path / "out", "--json").code == 0
    return tmp_path / "out" / "model.safetensors"


def test_a_table_for_each_hospital_has_a_row_for_each_patient_by_number(
    laennec: Laennec, model: Path, folder: Path
) -> None:
    asked = ("evaluate", model, "--task", pictured.NAME, "--data", folder)
    finished = laennec(*asked)
    values = json.loads(laennec(*asked, "--json").out)
    assert list(values["patients"]) == list(NAMES)
    parts = finished.out.split(": patient by patient\n")
    assert len(parts) == len(NAMES) + 1
    for name, part in zip(NAMES, parts[1:], strict=True):
        rows = values["patients"][name]
        lines = [line.split() for line in part.splitlines()]
        shown = {line[0]: line[1:] for line in lines if line and line[0].isdigit()}
        assert list(shown) == [str(number + 1) for number in range(len(rows))]
        assert [cells[1] for cells in shown.values()] == [
            "–" if row["certainty"] is None else f"{row['certainty']:.3f}" for row in rows
        ]
        mean = next(line for line in lines if line[:1] == ["mean"])
        assert mean[1:] == [f"{values['hospitals'][name][each]:.3f}" for each in ("accuracy", "certainty")]
        worst = min(rows, key=lambda row: row["accuracy"])
        assert next(line for line in lines if line[:1] == ["worst"])[2] == f"{worst['accuracy']:.3f}"
    assert "model.safetensors on all patients" in " ".join(finished.out.split())


def test_labels_reach_the_reader(laennec: Laennec, model: Path, folder: Path) -> None:
    asked = ("evaluate", model, "--task", pictured.NAME, "--data", folder, "--json")
    assert laennec(*asked, "--labels", "lv=3,rv=1").code == 0
    assert pictured.heard == [{"lv": 3, "rv": 1}] * len(NAMES)
    wrong = laennec(*asked, "--labels", "lv")
    assert (wrong.code, wrong.err.count("\n")) == (2, 1)


def test_a_task_without_labels_says_so(laennec: Laennec, short: Path, folder: Path, tmp_path: Path) -> None:
    laennec("run", short, "--data", folder, "--out", tmp_path / "out", "--json")
    asked = ("evaluate", tmp_path / "out" / "model.safetensors", "--task", "heart-disease", "--data", folder)
    finished = laennec(*asked, "--labels", "lv=3")
    assert finished.code == 2
    assert "task heart-disease reads no labelled images: leave the labels out" in finished.err
    assert "patients" not in json.loads(laennec(*asked, "--json").out)
