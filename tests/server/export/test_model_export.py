from __future__ import annotations

import json
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ground.errors import UsageError
from server.export import export
from server.export.card import model_card
from server.export.onnx import to_onnx
from server.progress import Member, Record, begin
from server.results import Seconds, describe, write_files
from tasks.registry import find
from tasks.study import Study

STUDY = Study(name="handed-on", task="heart-disease", rounds=1)
METRICS = {"caen": {"accuracy": 0.9}, "brest": {"accuracy": 0.6}, "dijon": {}}


@pytest.fixture
def finished(tmp_path: Path) -> Path:
    """The folder of a finished study with three hospitals, of which one discloses nothing."""
    task = find("heart-disease")
    names = sorted(METRICS)
    history = (Record(0, {}, tuple(names)), Record(1, METRICS, ()))
    roster = tuple(Member(name, None, None) for name in names)
    progress = replace(begin(STUDY, task), phase="done", round=1, roster=roster, history=history)
    described = describe(
        progress,
        engine="coordinator",
        secret_noise=True,
        seconds=Seconds(1.0, 0.5, 0.1),
        left_out=((1, "dijon", "its node is gone"),),
    )
    write_files(described, tmp_path / "study")
    return tmp_path / "study"


def test_the_card_begins_with_the_hospital_that_the_model_serves_worst(
    finished: Path, tmp_path: Path
) -> None:
    made = export(finished, tmp_path / "out", onnx=False)
    assert set(made.files) == {path.name for path in (tmp_path / "out").iterdir()}
    card = (tmp_path / "out" / "MODEL_CARD.md").read_text()
    headings = [line for line in card.splitlines() if line.startswith("#")]
    assert headings[1] == "## Where it is worst"
    assert (
        card.index("At **brest**: accuracy 0.600") < card.index("| brest | 0.600 |") < card.index("| caen |")
    )
    assert "Not disclosed by: dijon." in card
    assert "- round 1, dijon: its node is gone" in card
    assert "No differential privacy" in card
    assert made.files["model.safetensors"] in card


def test_where_nobody_disclosed_the_card_says_that_nobody_knows(finished: Path) -> None:
    result = json.loads((finished / "result.json").read_text())
    for each in result["hospitals"]:
        each["metrics"] = {}
    privacy = json.loads((finished / "privacy.json").read_text())
    card = model_card(find("heart-disease"), result, privacy, {})
    assert "Where it is worst is therefore not known" in card


def test_a_study_that_is_not_finished_and_a_folder_of_another_are_refused(
    finished: Path, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="is not finished"):
        export(tmp_path / "nothing", tmp_path / "out")
    export(finished, tmp_path / "out", onnx=False)
    export(finished, tmp_path / "out", onnx=False)
    other = (finished / "study.toml").read_text().replace("handed-on", "another")
    (finished / "study.toml").write_text(other)
    with pytest.raises(UsageError, match="holds another study's model"):
        export(finished, tmp_path / "out", onnx=False)


def test_without_onnx_the_rest_is_written_and_the_card_says_why(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.export.onnx.find_spec", lambda _: None)
    made = export(finished, tmp_path / "out")
    assert made.without == {
        "model.onnx": "onnx and onnxscript not installed: pip install 'laennec[onnx]'",
    }
    assert "`model.onnx`: is missing" in (tmp_path / "out" / "MODEL_CARD.md").read_text()


@pytest.mark.skipif(find_spec("onnxscript") is None, reason="laennec[onnx] is not installed")
def test_onnx_computes_what_the_model_does_for_any_number_of_patients(finished: Path, tmp_path: Path) -> None:
    import onnx
    from onnx.reference import ReferenceEvaluator

    export(finished, tmp_path / "out")
    made = ReferenceEvaluator(onnx.load(str(tmp_path / "out" / "model.onnx")))
    task = find("heart-disease")
    inputs, _ = task.simulate(task.recipes(task.strata[0], 5, 1)).batch(np.arange(5), torch.Generator())
    [found] = made.run(["outputs"], {"inputs": inputs.numpy()})
    held: dict[str, Any] = {}
    from safetensors.torch import load_file

    held.update(load_file(str(finished / "model.safetensors")))
    model = task.model()
    model.load_state_dict(held)
    assert np.allclose(np.asarray(found), model(inputs).detach().numpy(), atol=1e-5)


@pytest.mark.skipif(find_spec("onnxscript") is None, reason="laennec[onnx] is not installed")
def test_a_file_that_would_compute_something_else_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from onnx.reference import ReferenceEvaluator

    task = find("heart-disease")
    run = ReferenceEvaluator.run
    monkeypatch.setattr(ReferenceEvaluator, "run", lambda *a: [np.asarray(run(*a)[0]) + 0.01])
    with pytest.raises(UsageError, match="would compute something else"):
        to_onnx(task, task.model())
