"""docs/tutorial.md, typed as it stands: from nothing to a report."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ground.network import free_port

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent.parent
PATIENCE = 2700.0  # seconds; a busy machine takes ten times as long as an idle one
HOSPITALS = ("brest", "lille", "lyon")


def typed() -> str:
    """Every command of the tutorial, in order; its two ports are any that are free."""
    text = (ROOT / "docs" / "tutorial.md").read_text("utf-8")
    script = "\n".join(re.findall(r"```sh\n(.*?)```", text, re.DOTALL))
    assert script.count("9092") == script.count("9443") == 1
    return script.replace("9092", str(free_port())).replace("9443", str(free_port()))


@pytest.mark.slow
def test_the_tutorial_leads_from_nothing_to_a_report_and_leaves_nothing_running(
    data: Path, tmp_path: Path
) -> None:
    source = data / "sunnybrook-dicom"
    if not source.is_dir():
        pytest.skip(f"no real data: {source} is absent; set LAENNEC_DATA to the folder that holds it")
    here = {"SUNNYBROOK": str(source), "LAENNEC": str(ROOT)}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    with (tmp_path / "typed.log").open("w+") as log:
        # A session of its own, so that whatever a failure leaves behind can be ended.
        shell = subprocess.Popen(
            ["bash", "-e", "-o", "pipefail", "-c", typed()],
            cwd=tmp_path,
            env={**os.environ, **here, "PATH": path},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            shell.wait(PATIENCE)
        finally:
            left = end(shell.pid)
        log.seek(0)
        said = log.read()
    assert "tutorial" in said
    assert "finished, round 3 of 3" in said, said[-3000:]
    assert said.count("is as it was written and where it was written") == len(HOSPITALS), said[-3000:]
    assert not left
    result = json.loads((tmp_path / "results" / "result.json").read_bytes())
    for number in range(result["rounds"]):
        assert result["history"][number]["contributors"] == list(HOSPITALS)
    assert (tmp_path / "results" / "report.html").stat().st_size > 1000
    assert list((tmp_path / "model").glob("*.safetensors"))
    for hospital in HOSPITALS:
        stored = (tmp_path / hospital / "archive").rglob("*")
        assert not any(b"SCD0000" in each.read_bytes() for each in stored if each.is_file())


def end(session: int) -> bool:
    """End what still runs of that session; whether anything did."""
    try:
        os.killpg(session, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True
