"""What a round costs beyond the training, on each engine: same apps, same study, one run of this script.

    python benchmarks/engines.py

A model of one million parameters travels to every hospital and back each round; the hospitals do next to
nothing. Overhead of a round = its wall-clock time minus the time that the busiest worker was computing;
the first training round, which starts workers, is left out. The last row of each size is Flower as it comes:
its own strategy loop over the same simulation, with hospitals that do nothing.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
PLUGIN = HERE / "idle_task"
PARAMETERS = 1_000_000
CASES = (("local", 1), ("local", 2), ("ray", 2), ("flower", 2))
LABELS = {"local": "local", "ray": "ray", "flower": "ray, Flower's own loop"}


def measure(engine: str, workers: int, hospitals: int, rounds: int) -> float:
    """Mean overhead of a round in seconds."""
    from deploy.federation import Machine, federate, hospitals_in
    from tasks.study import parse

    if engine == "flower":
        from flower_loop import overhead

        return overhead(PARAMETERS, hospitals, min(rounds, 5), workers)
    study = parse(f'name = "engines"\ntask = "idle"\nrounds = {rounds}\n[training]\nlearning-rate = 0.01\n')
    nodes = hospitals_in("idle", Path(str(hospitals)), None, secret_noise=False)
    machine = Machine("ray" if engine == "ray" else "local", workers)
    return federate(study, nodes, machine).seconds.overhead_per_round


def main() -> None:
    """Measure every case in turn and print the table."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--hospitals", type=int, nargs="+", default=[4, 64], help="federations to measure")
    options.add_argument("--rounds", type=int, default=20, help="rounds of each study")
    chosen = options.parse_args()
    print("hospitals  engine                  workers  overhead a round (s)  times local in process")
    for hospitals in chosen.hospitals:
        base = 0.0
        for engine, workers in CASES:
            seconds = measure(engine, workers, hospitals, chosen.rounds)
            base = base or seconds
            row = (
                f"{hospitals:9d}  {LABELS[engine]:<22}  {workers:7d}  {seconds:20.4f}  {seconds / base:22.1f}"
            )
            print(row, flush=True)


if __name__ == "__main__":
    if str(PLUGIN) not in os.environ.get("PYTHONPATH", ""):
        # Worker processes find the task through the same variable.
        path = os.pathsep.join(filter(None, [str(PLUGIN), str(HERE), os.environ.get("PYTHONPATH")]))
        environment = {**os.environ, "PYTHONPATH": path, "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}
        sys.exit(subprocess.run([sys.executable, *sys.argv], env=environment, check=False).returncode)
    main()
