"""How long a digital heart takes, and how much memory: one whole patient, and slices to train on.

    python benchmarks/heart.py [--patients 3] [--slices-of 64] [--finitewave PYTHON]

Each measurement runs in a process of its own, so that its peak memory is its own; the median of the patients
is printed. `--finitewave` names a Python that has finitewave (PyPI) installed, and adds the comparison of the
two monodomain solvers on one grid (benchmarks/heart_electrophysiology.py).
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import statistics
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import torch

from simulation.heart.patient import pairs, simulate
from simulation.heart.people import draw
from simulation.heart.physiology import live
from simulation.heart.picture import Protocol
from simulation.heart.strata import recipes

ROW = "{:<64} {:>10}   {:<10} {}"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--patients", type=int, default=3, help="whole patients; the median is printed")
    parser.add_argument("--slices-of", type=int, default=64, help="patients whose slices are made")
    parser.add_argument("--finitewave", metavar="PYTHON", help="a Python with finitewave")
    asked = parser.parse_args()
    print(ROW.format("", "measured", "target", ""))
    seconds, memory = alone(whole, asked.patients)
    says("one patient: EP, mechanics, 10 slices x 20 phases, labels (s)", seconds, 10.0, at_most=True)
    says("  its peak memory (MiB, with torch and the interpreter)", memory)
    seconds, memory = alone(physiology, asked.patients)
    says("  of which anatomy, EP, mechanics, motion (s)", seconds)
    rate, memory = alone(training, asked.slices_of)
    says("ED/ES image-label slices a minute, one process", rate, 2000.0, at_most=False)
    says("  its peak memory (MiB)", memory)
    says("ED/ES image-label slices a minute, two processes", together(asked.slices_of), 2000.0, at_most=False)
    if asked.finitewave:
        here = Path(__file__).parent / "heart_electrophysiology.py"
        subprocess.run([sys.executable, str(here), "--finitewave", asked.finitewave], check=True)


def says(what: str, measured: float, target: float | None = None, *, at_most: bool = True) -> None:
    """One row, with the target where there is one."""
    if target is None:
        print(ROW.format(what, f"{measured:.1f}", "", ""), flush=True)
        return
    met = measured <= target if at_most else measured >= target
    sign = "<=" if at_most else ">="
    print(ROW.format(what, f"{measured:.1f}", f"{sign} {target:g}", "met" if met else "MISSED"), flush=True)


def alone(work, size: int) -> tuple[float, float]:
    """What `work` gives in a fresh process on one thread, and the process's peak memory in MiB."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(_measured, work, size).result()


def together(size: int) -> float:
    """Slices a minute of two processes that share the patients."""
    with ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as pool:
        return sum(rate for rate, _ in pool.map(_measured, [training, training], [size // 2, size // 2]))


def _measured(work, size: int) -> tuple[float, float]:
    torch.set_num_threads(1)
    value = work(size)
    return value, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def whole(patients: int) -> float:
    """Median seconds of a whole patient, after one that warms up."""
    return _median([lambda r=r: simulate(r) for r in recipes("any", patients + 1, 1)])


def physiology(patients: int) -> float:
    """The same without pictures."""
    people = [draw(each) for each in recipes("any", patients + 1, 1)]
    return _median([lambda p=p: live([p], Protocol().phases) for p in people])


def _median(works) -> float:
    works[0]()
    seconds = []
    for work in works[1:]:
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


def training(patients: int) -> float:
    """Slices a minute, everything included but importing."""
    pairs(recipes("any", 1, 2))
    start = time.perf_counter()
    made = pairs(recipes("any", patients, 3))
    return 60 * len(made.images) / (time.perf_counter() - start)


if __name__ == "__main__":
    main()
