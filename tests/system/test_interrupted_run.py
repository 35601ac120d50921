from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from processes import PATIENCE, STUDY, start, wait_for_round, wait_until_gone

from server import checkpoint

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("engine", ["local", "ray"])
def test_ctrl_c_exits_with_130_without_a_traceback_leaves_no_worker_and_keeps_the_state(
    tmp_path: Path, engine: str
) -> None:
    study, out = tmp_path / "study.toml", tmp_path / "out"
    study.write_text(STUDY.format(rounds=10_000))
    with start("run", study, "--out", out, "--workers", 2, "--engine", engine) as process:
        wait_for_round(3, process, out / "state")
        os.killpg(process.pid, signal.SIGINT)
        _, err = process.communicate(timeout=PATIENCE)
        wait_until_gone(process.pid)
    assert process.returncode == 130
    assert "Traceback" not in err
    progress = checkpoint.load(out / "state")
    assert progress is not None
    assert progress.round >= 3
    assert not (out / "result.json").exists()
