"""Replies larger than a transfer: they arrive whole, in pieces, also over a link that breaks."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from processes import finish

pytestmark = pytest.mark.slow
IDLE = Path(__file__).parents[2] / "benchmarks" / "idle_task"
STUDY = 'name = "large"\ntask = "idle"\nrounds = 2\n[training]\nlearning-rate = 0.01\n'


def test_a_model_of_a_million_parameters_is_the_same_over_nodes_as_in_one_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(IDLE))
    (tmp_path / "study.toml").write_text(STUDY)
    data = tmp_path / "3"
    data.mkdir()
    models = {}
    for engine in ("flower", "local"):
        out = tmp_path / engine
        code, said, trouble = finish(
            "run", tmp_path / "study.toml", "--data", data, "--engine", engine, "--out", out, "--json"
        )
        assert code == 0, trouble
        assert json.loads(said)["left_out"] == []
        models[engine] = (out / "model.safetensors").read_bytes()
    assert len(models["local"]) > 4_000_000
    assert models["flower"] == models["local"]
