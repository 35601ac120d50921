from __future__ import annotations

import json
from pathlib import Path

import pytest
from processes import PRIVACY, STUDY, finish

from deploy.digital import digital_hospitals
from deploy.federation import Machine, hospitals_in
from deploy.run import run
from tasks.study import load

pytestmark = pytest.mark.slow


def test_ray_gives_the_model_of_the_local_engine(tmp_path: Path) -> None:
    study, data = tmp_path / "study.toml", tmp_path / "data"
    study.write_text(STUDY.format(rounds=2) + PRIVACY)
    digital_hospitals("heart-disease", dict.fromkeys(("cleveland", "hungary", "long-beach"), 60), 1, data)
    command = ("run", study, "--data", data, "--engine", "ray", "--workers", 2, "--json")
    code, out, err = finish(*command, "--out", tmp_path / "ray")
    assert code == 0, err
    result = json.loads(out)

    hospitals = hospitals_in("heart-disease", data, None, secret_noise=False)
    local = run(load(study), hospitals, Machine(), tmp_path / "local").result
    models = [(tmp_path / engine / "model.safetensors").read_bytes() for engine in ("ray", "local")]
    assert models[0] == models[1]
    assert (result["engine"], local["engine"]) == ("ray", "local")
    for same in ("digest", "hospitals", "metrics", "privacy", "history"):
        assert result[same] == local[same]
