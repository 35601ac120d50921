"""Disks that are full: of a hospital, then of the coordinator, each a small file system of a real one's kind.

Mounting needs a namespace of this test's own: what happens in it is this file, run as a program.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import coordinators
import nodes
import pytest
from conftest import Seen
from federations import NAMES, PLAIN
from test_coordinator_restarts import begin, said

pytestmark = [pytest.mark.slow, pytest.mark.exhaustive]  # more than two minutes

ROOT = Path(__file__).resolve().parents[2]
FOUR = (*NAMES, "switzerland")
FULL = "hungary"
HOSPITAL, COORDINATOR = "disk full at a hospital", "disk full at the coordinator"
STUDY = PLAIN.model_copy(update={"name": "full", "rounds": 14})
INSIDE = (
    'mount -t tmpfs -o size=64m tmpfs "$1" && mount -t tmpfs -o size=64m tmpfs "$2" && shift 2 && exec "$@"'
)
NOTICED_WITHIN = 60.0  # seconds, in which the coordinator meets its full disk


class Filler:
    """Takes all room that a file system has left, until `free`."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "filler"

    def fill(self) -> None:
        handle = os.open(self._file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        for size in (2**20, 2**12, 1):
            try:
                while True:
                    os.write(handle, b"x" * size)
            except OSError:
                continue
        os.close(handle)

    def free(self) -> None:
        self._file.unlink()


def program(folder: Path) -> None:
    """The federation in which both disks fill up; what was seen goes to found.json."""
    from deploy.digital import digital_hospitals
    from deploy.engines.faults import Drop
    from deploy.engines.flower import Node, approved
    from deploy.federation import Machine, federate, hospitals_in, introduced
    from server.coordinating import orders
    from server.recording import standing
    from server.results import model_file

    data = digital_hospitals("heart-disease", dict.fromkeys(FOUR, 40), 1, folder / "data")
    hospitals = hospitals_in("heart-disease", data, None, secret_noise=False)
    nodes.warm()
    settled = [approved(replace(each, home=folder / each.name), STUDY) for each in introduced(hospitals)]
    home = coordinators.home_in(folder / "alpes")
    place = home.studies / STUDY.digest
    with ExitStack() as stack:
        known = [Node(folder / "nodes" / each.name, each) for each in settled]
        coordinators.join(home, known)
        running = begin(home)
        stack.callback(running.kill)
        for node in known:
            stack.enter_context(nodes.running(node, coordinators.link_to(home)))
        orders.launch(home, STUDY, by="a test")
        nodes.wait_for(lambda: standing(place).round >= 1, "it runs")

        disk = Filler(folder / FULL)
        disk.fill()
        nodes.wait_for(lambda: any(name == FULL for _, name, _ in standing(place).left_out), "it is left out")
        disk.free()
        missed = [number for number, name, _ in standing(place).left_out if name == FULL]
        back = lambda: any(  # noqa: E731
            each.name == FULL and max(each.contributed, default=0) > max(missed)
            for each in standing(place).hospitals
        )
        nodes.wait_for(back, "it contributes again")

        disk, pids = Filler(folder / "alpes"), said(home).studies
        disk.fill()
        at, until = standing(place).round, time.monotonic() + NOTICED_WITHIN
        while time.monotonic() < until and any(Path(f"/proc/{pid}").exists() for pid in pids.values()):
            time.sleep(0.2)
        lives = running.poll() is None
        disk.free()
        nodes.wait_for(lambda: said(home).serving or running.poll() is not None, "it serves again")
        nodes.wait_for(lambda: standing(place).round > at or needs_a_person(home), "it goes on or says why")
        state = home.registry.studies.get(STUDY.digest)
        if state.state == "failed":
            orders.resume(home, "full")
        nodes.wait_for(lambda: coordinators.state_of(home, STUDY.digest) == "finished", "it ends")
    left_out = standing(place).left_out
    drops = tuple(Drop(name, number) for number, name, _ in left_out)
    calm = federate(STUDY, hospitals, Machine(drops=drops)).progress
    found = {
        "lives": lives,
        "same": coordinators.model_in(home, STUDY.digest) == model_file(calm),
        "who": sorted({name for _, name, _ in left_out}),
        "why": sorted({why for _, _, why in left_out}),
        "rounds": len(left_out),
        "state": state.state,
        "said": state.why,
    }
    (folder / "found.json").write_text(json.dumps(found))


def needs_a_person(home: object) -> bool:
    return coordinators.state_of(home, STUDY.digest) == "failed"  # type: ignore[arg-type]


@pytest.mark.slow
@pytest.mark.exhaustive
@pytest.mark.fault(HOSPITAL, "train", "left out by name; back once there is room")
@pytest.mark.fault(COORDINATOR, "train", "nothing lost; with room again, the model of a calm run")
def test_full_disks_lose_nothing(tmp_path: Path, seen: Seen) -> None:
    full = [tmp_path / FULL, tmp_path / "alpes"]
    for each in full:
        each.mkdir()
    unshare = ["unshare", "--map-root-user", "--mount", "sh", "-c", INSIDE, "sh", *map(str, full)]
    tried = subprocess.run([*unshare, "true"], capture_output=True, text=True, check=False)
    if tried.returncode != 0:
        pytest.skip(f"no mount namespaces here: {tried.stderr.strip()[:80]}")
    finished = subprocess.run(
        [*unshare, sys.executable, __file__, str(tmp_path)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'tests' / 'system'}"},
        capture_output=True,
        text=True,
        timeout=2 * nodes.PATIENCE,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr[-4000:]
    found = json.loads((tmp_path / "found.json").read_text())
    assert found["who"] == [FULL], found
    assert found["lives"], found
    assert found["same"], found
    seen(f"left out of {found['rounds']} round(s); back by itself", HOSPITAL)
    went_on = f"{found['said']}; went on with `resume`" if found["state"] == "failed" else "went on by itself"
    seen(f"the coordinator lives; {went_on}; same model", COORDINATOR)


if __name__ == "__main__":
    program(Path(sys.argv[1]))
    sys.exit()
