"""What a round costs beyond the training: our node beside Flower's own, same apps, one run of this script.

    python benchmarks/runtime.py

Four hospitals, a model of one million parameters (torch), secure aggregation; the hospitals do next to
nothing. Each round trains, evaluates and sums in two messages to every hospital. Overhead of a round = its
wall-clock time minus the time that the busiest hospital was computing; the first round is left out. Both
runtimes have the same SuperLink (TLS, node authentication), the same ServerApp in this process, which asks
for replies at our pace, and the same ClientApp; they differ in the node: `laennec`'s, and `flower-supernode`
as it comes, with subprocess isolation.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from client.hospital import Settings
    from deploy.engines.flower import Node, SuperLink
    from server.events import Advanced

HERE = Path(__file__).parent
PLUGIN = HERE / "idle_task"
STUDY = """name = "runtime"
task = "idle"
rounds = {rounds}
[training]
learning-rate = 0.01
[privacy]
epsilon = 8.0
delta = 1e-4
secure-aggregation = true
"""


@contextmanager
def ours(node: Node, link: SuperLink) -> Iterator[None]:
    """Our node: supervisor, SuperNode and warm executor."""
    node.start(link)
    try:
        yield
    finally:
        node.wait()


@contextmanager
def stock(node: Node, link: SuperLink) -> Iterator[None]:
    """Flower's node as it comes."""
    from client.hospital import HOSPITALS_VARIABLE
    from ground.network import free_port

    (node.file.parent / "0.json").write_text(json.dumps(node.settings.to_config()))
    command = [
        *("flower-supernode", "--superlink", link.address, "--isolation", "subprocess"),
        *("--root-certificates", str(link.certificates.authority)),
        *("--auth-supernode-private-key", str(node.places.key), "--node-config", "partition-id=0"),
        *("--host", "127.0.0.1", "--port", str(free_port())),
    ]
    process = subprocess.Popen(
        [str(Path(sys.executable).with_name(command[0])), *command[1:]],
        env={
            **os.environ,
            HOSPITALS_VARIABLE: str(node.file.parent),
            "FLWR_HOME": str(node.file.parent / "flwr"),
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        },
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield
    finally:
        process.terminate()
        process.wait(30)


RUNTIMES = {"laennec": ours, "flower-supernode, subprocess": stock}


def measure(runtime: str, hospitals: list[Settings], rounds: int) -> tuple[float, float]:
    """Mean seconds of a round after the first, and how many of them the busiest hospital was computing."""
    from flwr.app import Context, RecordDict

    from deploy.engines.flower import Node, SuperLink
    from server.app import app
    from server.events import Advanced, listening
    from tasks.study import parse

    study = parse(STUDY.format(rounds=rounds))
    steps: list[Advanced] = []

    def collect(event: object) -> None:
        if isinstance(event, Advanced):
            steps.append(event)

    with tempfile.TemporaryDirectory(prefix="runtime-") as name, ExitStack() as stack:
        folder = Path(name)
        link = SuperLink(folder)
        stack.callback(link.stop)
        link.start()
        for each in hospitals:
            node = Node(folder / "nodes" / each.name, replace(each, home=folder / "homes" / each.name))
            link.register(node.key(), node.settings.name)
            stack.enter_context(RUNTIMES[runtime](node, link))
        link.launch({"study.toml": study.to_toml().encode()})
        settings: dict[str, str | int | float | bool] = {
            "study": study.to_toml(),
            "hospitals": len(hospitals),
            "home": "",
            "reply-seconds": 600.0,
        }
        with listening(collect), link.grid() as grid:
            app(grid, Context(1, 0, {}, RecordDict(), settings))
    timed = [step for step in steps if step.asked is not None and 2 <= step.asked <= rounds]
    return sum(step.seconds for step in timed) / (rounds - 1), sum(step.busy for step in timed) / (rounds - 1)


def main() -> None:
    """Measure both in turn and print the table."""
    from deploy.federation import hospitals_in, introduced

    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--hospitals", type=int, default=4, help="how many nodes")
    options.add_argument("--rounds", type=int, default=3, help="rounds of the study, at least two")
    chosen = options.parse_args()
    hospitals = introduced(hospitals_in("idle", Path(str(chosen.hospitals)), None, secret_noise=False))
    print(f"{chosen.hospitals} nodes, a model of 1,000,000 parameters, secure aggregation, TLS\n")
    print("runtime                        a round (s)  computing (s)  overhead (s)  part of Flower's")
    rows = {name: measure(name, hospitals, chosen.rounds) for name in reversed(RUNTIMES)}
    theirs = rows["flower-supernode, subprocess"]
    for name, (whole, busy) in rows.items():
        part = (whole - busy) / (theirs[0] - theirs[1])
        print(f"{name:<29}  {whole:11.2f}  {busy:13.2f}  {whole - busy:12.2f}  {part:16.2f}", flush=True)


if __name__ == "__main__":
    if str(PLUGIN) not in os.environ.get("PYTHONPATH", ""):
        # The processes of the nodes find the task through the same variable.
        path = os.pathsep.join(filter(None, [str(PLUGIN), str(HERE.parent), os.environ.get("PYTHONPATH")]))
        environment = {
            **os.environ,
            "PYTHONPATH": path,
            "OMP_NUM_THREADS": "1",
            "FLWR_TELEMETRY_ENABLED": "0",
        }
        environment["FLWR_DISABLE_UPDATE_CHECK"] = "1"
        sys.exit(subprocess.run([sys.executable, *sys.argv], env=environment, check=False).returncode)
    main()
