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
KILLS, LONGEST = 12, 0.6  # seconds before a kill: an undisturbed run takes one or two


# What runs in the other process.


def start(study: Path, data: Path, out: Path) -> int:
    """The command in a child; its process."""
    from laennec.cli import main

    child = os.fork()
    if child == 0:
        sys.argv = ["laennec", "run", str(study), "--data", str(data), "--out", str(out), "--json"]
        sys.stdout = sys.stderr
        try:
            main()
        except SystemExit as end:
            os._exit(int(end.code or 0))
        except BaseException:
            os._exit(99)  # never back into the parent's loop
        os._exit(0)
    return child


def attempt(study: Path, data: Path, out: Path, kills: int) -> list[str]:
    """Run it, so often killed, until it is finished: what the coordinator had saved after each attempt."""
    seen: list[str] = []
    while True:
        child = start(study, data, out)
        if len(seen) < kills:
            time.sleep(random.uniform(0.0, LONGEST))  # noqa: S311 - no secret
            os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        progress = checkpoint.load(out / "state")
        seen.append("nothing" if progress is None else f"{progress.phase} {progress.round}")
        if progress is None and (out / "result.json").exists():
            return seen
        if os.WIFEXITED(status) and os.WEXITSTATUS(status):
            raise SystemExit(f"an attempt ended with status {os.WEXITSTATUS(status)}: {seen}")


def program(folder: Path) -> None:
    """An undisturbed run, and one that is killed."""
    import deploy.run
    from deploy.digital import digital_hospitals
    from tasks.registry import installed
    from tasks.study import load

    # Once, and known to all children, each of which would otherwise be killed while it imports.
    assert deploy.run
    installed()
    study = folder / "study.toml"
    study.write_text(STUDY)
    load(study).plan()
    data = digital_hospitals("heart-disease", dict.fromkeys(NAMES, 40), 1, folder / "data")
    seen = [attempt(study, data, folder / out, kills) for out, kills in (("calm", 0), ("killed", KILLS))]
    (folder / "seen.json").write_text(json.dumps(seen))


if __name__ == "__main__":
    program(Path(sys.argv[1]))
    sys.exit()


# What runs in the test.


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
    finished = subprocess.run(
        [sys.executable, __file__, tmp_path],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    seen: list[list[str]] = json.loads((tmp_path / "seen.json").read_text())
    assert len(seen[0]) == 1
    assert len(set(seen[1])) > 2, seen  # it was killed in the middle of something
    outs = [tmp_path / out for out in ("calm", "killed")]
    once = {(kind, number): 1 for kind in ("reserve", "settle") for number in range(ROUNDS + 1)}
    for out in outs:
        for hospital, counted in booked(out).items():
            assert counted == once, (out.name, hospital, seen)
    models = {(out / "model.safetensors").read_bytes() for out in outs}
    assert len(models) == 1, seen
    results = [json.loads((out / "result.json").read_text()) for out in outs]
    for part in ("digest", "hospitals", "metrics", "privacy", "history"):
        assert results[0][part] == results[1][part]
