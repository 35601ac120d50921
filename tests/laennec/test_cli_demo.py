"""The demo, with fewer and smaller hospitals and rounds than it has."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from calls import Laennec, write

from deploy import demo
from simulation.heart.picture import Protocol
from tasks.registry import find
from tasks.study import load

FEW = {"amiens": (0, 2, 2, 2), "brest": (2, 2, 1, 1), "caen": (3, 1, 1, 1), "dijon": (2, 1, 2, 1)}


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = demo.STUDY.read_text().replace("rounds = 30", "rounds = 1").replace("= 320", "= 8")
    monkeypatch.setattr(demo, "STUDY", write(tmp_path / "demo.toml", text))
    monkeypatch.setattr(demo, "HOSPITALS", FEW)
    monkeypatch.setattr(demo, "STEPS", len(FEW) + 1)
    monkeypatch.setattr(demo, "FRESH", 2)
    monkeypatch.setattr(demo, "PICTURED", Protocol(slices=3, phases=2, size=64, spacing=2.8))


@pytest.mark.slow
@pytest.mark.usefixtures("small")
def test_the_demo_stands_before_and_after_the_gap_is_filled(laennec: Laennec, tmp_path: Path) -> None:
    finished = laennec("demo", "--out", tmp_path / "out")
    assert finished.code == 0
    assert "no real patient is among them" in " ".join(finished.err.split())
    assert "amiens has not a single one" in " ".join(finished.err.split())
    result = json.loads((tmp_path / "out" / "result.json").read_text())
    assert list(result["arms"]) == ["own", "federated", "federated_dp_unfilled", "federated_dp", "pooled"]
    labels = [arm["label"] for arm in result["arms"].values()]
    assert labels[2:4] == ["federated + DP ε=4", "gap filled + DP ε=4"]
    assert result["arms"]["federated_dp"]["epsilon"] <= 4.0
    assert [each["stratum"] for each in result["gap"]] == list(demo.STRATA)
    fresh = result["fresh"]
    assert list(fresh["models"]) == ["amiens alone", *labels[1:]]
    assert all(values["auc"] is not None for values in fresh["models"].values())
    assert all(label in finished.out for label in ("amiens alone", *labels))
    report = (tmp_path / "out" / "report.html").read_text()
    parts = ("On patients whom no hospital knows", "Digital patients", "The gap", "Patient by patient")
    assert all(f"<h2>{part}</h2>" in report for part in parts)
    assert report.count("<img ") > len(FEW)
    assert "png" not in json.dumps(result).lower()


def test_three_hospitals_have_few_infarcts_and_one_has_none() -> None:
    """`HOSPITALS` counts in the order of the task's strata."""
    assert find(load(demo.STUDY).task).strata == demo.STRATA
    infarcts = {name: counts[0] for name, counts in demo.HOSPITALS.items()}
    assert infarcts.pop(demo.WITHOUT) == 0
    assert all(0 < count < 0.2 * sum(demo.HOSPITALS[name]) for name, count in infarcts.items())
