"""A federation of real processes for hundreds of rounds under random faults: do memory and file handles grow?

    python benchmarks/soak.py --rounds 200 --minutes 60

A coordinator with SuperLink and study process, and three hospitals' nodes (supervisor, SuperNode, executor
each), digital patients, secure aggregation and DP. Every `--every` seconds, about, one of these processes is
killed with SIGKILL, chosen at random from a seed. Only the coordinator and the supervisors are started again
by this script; all others have to come back by themselves. Each tenth of the rounds: per process its age, its
memory (resident) and its file handles; at the end, for the longest life of each role, how both changed
between its first minute and its end.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from deploy.engines.flower import Node
    from server.home import CoordinatorHome
    from tasks.study import Study

NAMES = ("cleveland", "hungary", "long-beach")
SETTLED = 60.0  # seconds of age after which a process has loaded what it loads
LAENNEC = str(Path(sys.executable).with_name("laennec"))


@dataclass(frozen=True)
class Sample:
    """One process at a moment: seconds since its start, resident memory in MB, open file handles."""

    age: float
    memory: float
    handles: int


def sample(pid: int) -> Sample | None:
    """What /proc says; None of a process that is not there."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
        handles = len(os.listdir(f"/proc/{pid}/fd"))  # noqa: PTH208
        began = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])
        uptime = float(Path("/proc/uptime").read_text().split()[0])
    except (OSError, IndexError, ValueError):
        return None
    memory = [int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS:")]
    if not memory:
        return None
    return Sample(uptime - began / os.sysconf("SC_CLK_TCK"), memory[0] / 1024, handles)


@dataclass
class Federation:
    """The processes, and how to find them."""

    home: CoordinatorHome
    nodes: dict[str, Node]
    link: Any
    coordinator: subprocess.Popen[bytes] | None = None
    killed: list[str] = field(default_factory=list)

    def keep_running(self) -> None:
        """What a service manager does: start again what it started."""
        if self.coordinator is None or self.coordinator.poll() is not None:
            self.coordinator = subprocess.Popen(
                [LAENNEC, "coordinator", "start", "--home", str(self.home.path)],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        for node in self.nodes.values():
            if node._process is None or node._process.poll() is not None:
                node.start(self.link)

    def pids(self) -> dict[str, int]:
        """Role -> process number, of those that are there."""
        from client.node.status import read_status as node_status
        from server.coordinating.status import read_status

        found: dict[str, object] = {}
        if self.coordinator is not None:
            found["coordinator"] = self.coordinator.pid
        if (said := read_status(self.home)) is not None and said.state == "running":
            found["superlink"] = said.superlink
            found["study"] = next(iter(said.studies.values()), None)
        for name, node in self.nodes.items():
            if node._process is not None:
                found[f"{name} supervisor"] = node._process.pid
            status = node_status(node.places.folder.parent) or {}
            for each in ("supernode", "executor"):
                found[f"{name} {each}"] = status.get(each)
        return {role: pid for role, pid in found.items() if isinstance(pid, int)}

    def kill_one(self, chance: random.Random) -> None:
        """SIGKILL one of them."""
        pids = self.pids()
        role = chance.choice(sorted(pids))
        try:
            os.kill(pids[role], signal.SIGKILL)
        except ProcessLookupError:
            return
        self.killed.append(role)

    def stop(self) -> None:
        """All of it."""
        if self.coordinator is not None:
            self.coordinator.terminate()
            try:
                self.coordinator.wait(60)
            except subprocess.TimeoutExpired:
                self.coordinator.kill()
        for node in self.nodes.values():
            node.terminate()
        for node in self.nodes.values():
            node.wait()


def study_of(rounds: int) -> Study:
    """Small, and with all that a round can have."""
    from tasks.study import Privacy, Study, Training

    return Study(
        name="soak",
        task="heart-disease",
        rounds=rounds,
        training=Training(learning_rate=2.0),
        privacy=Privacy(epsilon=8.0, secure_aggregation=True),
    )


def begin(folder: Path, rounds: int) -> tuple[Federation, Study]:
    """A coordinator's home, three member hospitals with digital patients that approved the study."""
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    from deploy.digital import digital_hospitals
    from deploy.engines.flower import Node, approved
    from deploy.federation import hospitals_in, introduced
    from ground.network import free_port
    from server.coordinating import orders
    from server.home import CoordinatorHome

    study = study_of(rounds)
    data = digital_hospitals("heart-disease", dict.fromkeys(NAMES, 40), 1, folder / "data")
    hospitals = introduced(hospitals_in("heart-disease", data, None, secret_noise=False))
    nodes = {}
    home = CoordinatorHome.begin(
        folder / "coordinator", "soak", ["127.0.0.1"], nodes=free_port(), door=free_port()
    )
    for each in hospitals:
        settled = approved(replace(each, home=folder / each.name), study)
        node = nodes[each.name] = Node(folder / "nodes" / each.name, settled)
        pem, identity = node.key(), each.name.encode().hex().ljust(64, "0")
        key: Any = load_pem_public_key(pem)
        number, token, _ = home.registry.invitations.make(each.name, 3600.0)
        make = _certificate(home, each.name, identity, key)
        home.registry.invitations.use(number, token, identity, pem, make)
    link = SimpleNamespace(
        address=home.written.nodes, certificates=home.certificates, folder=folder / "nodes"
    )
    orders.launch(home, study, by="soak")
    return Federation(home, nodes, link), study


def _certificate(home: CoordinatorHome, name: str, identity: str, key: Any) -> Any:
    from datetime import timedelta

    return lambda _: home.authority().for_hospital(name, identity, key, timedelta(days=90)).decode()


def soak(rounds: int, minutes: float, every: float, seed: int) -> None:
    """Run it and print what was seen."""
    from server.coordinating.places import places_of
    from server.recording import standing

    chance, began = random.Random(seed), time.monotonic()  # noqa: S311
    seen: dict[tuple[str, int], list[Sample]] = {}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="laennec-soak-")))
        federation, study = begin(folder, rounds)
        stack.callback(federation.stop)
        places = places_of(federation.home, study.digest)
        due, told, next_look = began + 4 * every, -1, 0.0
        while True:
            federation.keep_running()
            where, now = standing(places.folder), time.monotonic()
            state = federation.home.registry.studies.get(study.digest)
            if now > next_look:
                next_look = now + 5.0
                for role, pid in federation.pids().items():
                    if (found := sample(pid)) is not None:
                        seen.setdefault((role, pid), []).append(found)
            if where.round >= told + max(1, rounds // 10) or told < 0:
                told = where.round
                tell(told, rounds, now - began, federation)
            if state.state in ("finished", "failed") or now - began > minutes * 60:
                break
            if now > due:
                federation.kill_one(chance)
                due = now + chance.uniform(0.5, 1.5) * every
            time.sleep(0.5)
        tell(where.round, rounds, now - began, federation)
        print(f"\nstudy: {state.state} {state.why}; {where.round} of {rounds} rounds in {now - began:.0f} s")
        print(f"killed {len(federation.killed)} processes: {_counted(federation.killed)}\n")
        print(growth(seen))


def tell(number: int, rounds: int, seconds: float, federation: Federation) -> None:
    """One line a process: how it stands now."""
    print(f"round {number} of {rounds}, {seconds:.0f} s, {len(federation.killed)} killed so far", flush=True)
    for role, pid in federation.pids().items():
        if (found := sample(pid)) is not None:
            print(f"    {role:<24} {found.age:7.0f} s  {found.memory:7.1f} MB  {found.handles:4d} handles")


def _counted(killed: list[str]) -> str:
    kinds = [each.rpartition(" ")[2] for each in killed]
    return ", ".join(f"{kinds.count(kind)} {kind}" for kind in sorted(set(kinds))) or "none"


def growth(seen: dict[tuple[str, int], list[Sample]]) -> str:
    """Of the longest life of each role: memory and handles once settled, and at its end."""
    lines = ["| process | lived | memory, settled → end | handles, settled → end |", "|---|---|---|---|"]
    longest: dict[str, list[Sample]] = {}
    for (role, _), samples in seen.items():
        if samples[-1].age > longest.get(role, [Sample(0.0, 0.0, 0)])[-1].age:
            longest[role] = samples
    for role, samples in longest.items():
        settled = [each for each in samples if each.age >= SETTLED]
        if not settled:
            lines.append(f"| {role} | {samples[-1].age:.0f} s | too short a life | |")
            continue
        first, last = settled[0], settled[-1]
        lines.append(
            f"| {role} | {last.age:.0f} s | {first.memory:.1f} → {last.memory:.1f} MB "
            f"| {first.handles} → {last.handles} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Parse, run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--minutes", type=float, default=60.0, help="the longest that it runs")
    parser.add_argument("--every", type=float, default=30.0, help="seconds between two faults, on average")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that all processes end with this one
    soak(given.rounds, given.minutes, given.every, given.seed)


if __name__ == "__main__":
    main()
