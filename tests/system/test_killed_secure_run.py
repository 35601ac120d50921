"""`laennec run` of a masked study under SIGKILL, again and again, at moments that nobody chose.

One process imports the command line and forks a child for each attempt: this file, run as a program.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from client.ledger import Ledger
from deploy.digital import digital_hospitals
from server import checkpoint

ROOT = Path(__file__).resolve().parent.parent.parent
NAMES = ("cleveland", "hungary", "long-beach", "switzerland")
ROUNDS = 5
STUDY = f"""name = "masked"
task = "heart-disease"
rounds = {ROUNDS}
[privacy]
epsilon = 8.0
delta = 1e-3
secure-aggregation = true
"""
ATTEMPTS, LONGEST = 10, 0.6  # seconds before a kill: an undisturbed run takes about one


# What runs in the other process.


def run(arguments: list[str]) -> int:
    """The command in a child; its process."""
    from laennec.cli import main

    child = os.fork()
    if child == 0:
        sys.argv = ["laennec", "run", *arguments]
        try:
            main()
            os._exit(0)
        except SystemExit as end:
            os._exit(int(end.code or 0))
        except BaseException:  # noqa: BLE001 - the parent is not to go on as a second one
            os._exit(99)
    return child


def kill_again_and_again(study: str, data: str, out: str) -> list[str]:
    """Until it is finished: what the coordinator had saved when each attempt was killed."""
    from tasks.study import load

    load(Path(study)).plan()  # designed once: the children know it
    arguments = [study, "--data", data, "--out", out, "--json"]
    seen: list[str] = []
    while True:
        child = run(arguments)
        if len(seen) < ATTEMPTS:
            time.sleep(random.uniform(0.0, LONGEST))  # noqa: S311 - no secret
            os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        progress = checkpoint.load(Path(out) / "state")
        seen.append("nothing" if progress is None else f"{progress.phase} {progress.round}")
        if progress is None and (Path(out) / "result.json").exists():
            return seen
        if os.WIFEXITED(status) and os.WEXITSTATUS(status):
            raise SystemExit(f"an attempt ended with status {os.WEXITSTATUS(status)}: {seen}")


if __name__ == "__main__":
    print(json.dumps(kill_again_and_again(*sys.argv[1:])), file=sys.__stderr__)  # noqa: T201
    sys.exit()


# What runs in the test.


def attempts(study: Path, data: Path, out: Path) -> list[str]:
    finished = subprocess.run(
        [sys.executable, __file__, study, data, out],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    seen: list[str] = json.loads(finished.stderr.splitlines()[-1])
    return seen


def booked(out: Path) -> dict[str, Counter[tuple[str, int | None]]]:
    """Hospital -> how often each round was reserved and settled."""
    counted = {}
    for name in NAMES:
        with Ledger(out / "hospitals" / name / "ledger.sqlite") as ledger:
            entries = [entry for entry in ledger.history() if entry.kind in ("reserve", "settle")]
        counted[name] = Counter((entry.kind, entry.round) for entry in entries)
    return counted


@pytest.mark.slow
def test_a_masked_run_that_is_killed_however_often_ends_in_the_model_and_the_books_of_an_undisturbed_one(
    tmp_path: Path,
) -> None:
    from laennec.cli import app

    study = tmp_path / "study.toml"
    study.write_text(STUDY)
    data = digital_hospitals("heart-disease", dict.fromkeys(NAMES, 40), 1, tmp_path / "data")
    undisturbed, killed = tmp_path / "undisturbed", [tmp_path / "once", tmp_path / "twice"]
    app(["run", str(study), "--data", str(data), "--out", str(undisturbed), "--json"], standalone_mode=False)
    seen = [attempts(study, data, out) for out in killed]
    assert any(len(set(each)) > 2 for each in seen), seen
    once = {(kind, number): 1 for kind in ("reserve", "settle") for number in range(ROUNDS + 1)}
    for out in (undisturbed, *killed):
        assert booked(out) == dict.fromkeys(NAMES, once), seen
        assert (out / "model.safetensors").read_bytes() == (undisturbed / "model.safetensors").read_bytes()
    results = [json.loads((out / "result.json").read_text()) for out in (undisturbed, *killed)]
    for part in ("digest", "hospitals", "metrics", "privacy", "history"):
        assert results[0][part] == results[1][part] == results[2][part]
