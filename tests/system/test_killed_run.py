from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from processes import PRIVACY, STUDY, start, wait_for_round

from deploy.digital import nodes_for
from deploy.federation import Machine
from deploy.run import Run, resumes_at, run
from tasks.study import Study, load

pytestmark = pytest.mark.slow


def run_here(study: Study, out: Path) -> Run:
    """As the command line does it."""
    return run(study, nodes_for(study, None, 4, out, secret_noise=False), Machine(), out)


@pytest.mark.parametrize("privacy", ["", PRIVACY], ids=["free", "private"])
def test_a_run_that_is_killed_goes_on_and_ends_with_the_model_of_an_undisturbed_one(
    tmp_path: Path, privacy: str
) -> None:
    file, killed, undisturbed = tmp_path / "study.toml", tmp_path / "killed", tmp_path / "undisturbed"
    file.write_text(STUDY.format(rounds=60) + privacy)
    with start("run", file, "--out", killed) as process:
        wait_for_round(3, process, killed / "state")
        os.killpg(process.pid, signal.SIGKILL)
    assert not (killed / "result.json").exists()

    study = load(file)
    assert 3 <= (resumes_at(study, killed) or 0) < 60
    results = [run_here(study, out).result for out in (killed, undisturbed)]
    models = [(out / "model.safetensors").read_bytes() for out in (killed, undisturbed)]
    assert models[0] == models[1]
    for same in ("digest", "hospitals", "metrics", "privacy", "history"):
        assert results[0][same] == results[1][same]
    assert not (killed / "state").exists()
