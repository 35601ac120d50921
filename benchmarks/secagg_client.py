"""The memory of a whole hospital in a round under secure aggregation, which its training has most of.

    python benchmarks/secagg_client.py

`client.training.answer` itself answers a round's instruction, at a hospital with a folder of its own: model,
a gradient a patient, clipped sum, noise, words, masks, the reply on disk. The model is eight linear layers.
Every row is a process of its own, with three hospitals, of which two only say what the third needs for its
masks.

Memory is the process's resident set, as Linux counts it, above what it was before the instruction came, in
units of the update (32-bit floats). The published model counts, which comes with the instruction; the
patients do not. The peak of each stage: until the clipped sum is there; from there until its words are
masked; until the reply is on disk. "Above the models" leaves out what is held in the second stage whatever is
done with the sum: the published model, the one that is trained and the one that such are copied from.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from math import isqrt
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from client import training
from client.hospital import Settings
from client.memory import Store
from deploy.federation import introduced
from privacy.gradients import PatientGradients
from server.progress import begin
from server.round import instruction, step
from tasks.contract import Task
from tasks.learners import model
from tasks.patients import TablePatients
from tasks.registry import installed
from tasks.study import parse

TARGET = 3.0
LAYERS = 8
STUDY = (
    'name = "memory"\ntask = "one-layer"\nrounds = 2\n[training]\nlearning-rate = 0.1\n'
    '[privacy]\nepsilon = 8.0\ndelta = 1e-3\nnoise = "distributed"\nsecure-aggregation = true\n'
)


def task_of(side: int, patients: int) -> Task:
    """One layer of side · side weights; that many patients to learn from, and one to test on."""

    def read(path: Path) -> TablePatients:
        random = torch.Generator().manual_seed(len(path.name))
        inputs = torch.randn(patients + 1, side, generator=random)
        return TablePatients(inputs, torch.zeros(patients + 1))

    return Task(
        name="one-layer",
        version=1,
        summary="one linear layer",
        schema=(),
        headline="error",
        model=lambda: nn.Sequential(*(nn.Linear(side, side, bias=False) for _ in range(LAYERS))),
        loss=lambda outputs, targets: (outputs - targets[:, None]).square().mean(dim=1),
        metrics=lambda outputs, targets: {"error": float((outputs - targets[:, None]).square().mean())},
        hospitals=lambda folder: {},  # noqa: ARG005
        read=read,
        split=lambda everyone: (np.arange(len(everyone) - 1), np.array([len(everyone) - 1])),
    )


class Resident:
    """The process's resident memory above what it was at first, and its peaks."""

    def __init__(self) -> None:
        self._first = _status("VmRSS")
        self.peaks: dict[str, int] = {}
        self._forget()

    def close_stage(self, name: str) -> None:
        """Keep the peak of the stage that ends here, in bytes; the next one begins."""
        self.peaks[name] = _status("VmHWM") - self._first
        self._forget()

    def after(self, function: Callable[..., Any], name: str) -> Callable[..., Any]:
        """The function, at whose end that stage ends."""

        def watched(*arguments: object, **named: object) -> object:
            found = function(*arguments, **named)
            self.close_stage(name)
            return found

        return watched

    @staticmethod
    def _forget() -> None:
        Path("/proc/self/clear_refs").write_text("5", "ascii")  # resets VmHWM (proc(5))


def _status(name: str) -> int:
    found = re.search(rf"^{name}:\s+(\d+) kB", Path("/proc/self/status").read_text("ascii"), re.MULTILINE)
    if found is None:
        raise OSError(f"/proc/self/status has no {name}: this needs Linux")
    return int(found[1]) * 1024


def measure(side: int, patients: int) -> dict[str, int]:
    """The peaks of one hospital's first round, in bytes, by stage."""
    torch.set_num_threads(1)  # as client/app.py
    task = task_of(side, patients)
    installed()[task.name] = task
    with tempfile.TemporaryDirectory() as folder:
        homes = {name: Path(folder, name) for name in ("brest", "nantes", "rennes")}
        settings = {each.name: each for each in introduced([Settings(n, (n,), h) for n, h in homes.items()])}
        progress = begin(parse(STUDY), task)
        stores = {name: Store(home, progress.study.digest, {}) for name, home in homes.items()}
        while progress.phase != "train":
            asked = instruction(progress, task, len(homes))
            replies = {name: training.answer(asked, settings[name], stores[name]) for name in homes}
            progress, _ = step(progress, replies, task)
        asked = instruction(progress, task, len(homes))
        model._prototype.cache_clear()  # the coordinator's here; the hospital has its own
        resident = Resident()
        PatientGradients.clipped_sum = resident.after(PatientGradients.clipped_sum, "gradients")
        training._masked = resident.after(training._masked, "words")
        # In a federation it comes over the network: the coordinator's own is not this hospital's.
        own = {name: values.copy() for name, values in asked.published.items()}
        training.answer(replace(asked, published=own), settings["brest"], stores["brest"])
        resident.close_stage("stored")
    return resident.peaks


def main() -> None:
    """Print one row a size of model and number of patients."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--parameters", type=int, nargs="+", default=[400_000, 4_000_000, 31_000_000])
    parser.add_argument("--patients", type=int, nargs="+", default=[1, 32])
    parser.add_argument("--inside", action="store_true", help="measure in this process and print JSON")
    options = parser.parse_args()
    if options.inside:
        print(json.dumps(measure(isqrt(options.parameters[0] // LAYERS), options.patients[0])))
        return
    print("parameters   update  patients  gradients  sum to words  stored  above the models   target")
    for parameters in options.parameters:
        size = LAYERS * isqrt(parameters // LAYERS) ** 2
        for patients in options.patients:
            terms = ["--inside", "--parameters", str(size), "--patients", str(patients)]
            done = subprocess.run(
                [sys.executable, __file__, *terms], check=True, capture_output=True, text=True
            )
            peaks = {name: each / (4 * size) for name, each in json.loads(done.stdout).items()}
            above = peaks["words"] - 3
            print(
                f"{size:10,}  {4 * size / 1e6:4.0f} MB  {patients:8d}  {peaks['gradients']:9.2f}"
                f"  {peaks['words']:12.2f}  {peaks['stored']:6.2f}  {above:16.2f}"
                f"  ≤ {TARGET:g} {'met' if above <= TARGET else 'MISSED'}",
                flush=True,
            )


if __name__ == "__main__":
    main()
