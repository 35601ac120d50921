"""What is gained on slow links by making updates smaller, and what it costs: time, and not a bit.

    python benchmarks/links.py

Updates of the network that finds the left ventricle: one of gradient descent on digital patients, the same
where a study moves the biases alone, the noisy sum of a private study, and masked words. Each is made smaller
as a hospital's node does before it sends (`tasks.compressed`), and back as the coordinator does; a byte that
differs ends the benchmark. Seconds of one core, and of a link of 10 Mbit/s with and without.
"""

from __future__ import annotations

import time

import numpy as np
import torch

from tasks.compressed import deflate, inflate
from tasks.learners.model import initial_vector, learning_batch, mean_gradient, model_from, places
from tasks.registry import find

TASK = "ventricle-segmentation"
LINK = 10e6 / 8  # bytes a second
PATIENTS = 4
STEPS = 3


def updates() -> dict[str, np.ndarray]:
    """What leaves a hospital, by what kind of study asks for it."""
    task = find(TASK)
    generator = torch.Generator().manual_seed(1)
    patients = task.simulate(task.recipes(task.strata[0], PATIENTS, 1))
    start = initial_vector(task, 1)
    here = start.copy()
    for _ in range(STEPS):
        model = model_from(task, here).train()
        batch = learning_batch(task, patients, np.arange(PATIENTS), generator)
        here = (here - 0.1 * mean_gradient(task, model, *batch).numpy()).astype(np.float32)
    update = np.append((here - start) * np.float32(PATIENTS), np.float32(PATIENTS))
    biases = np.append(np.where(places(task, "biases"), update[:-1], 0), update[-1]).astype(np.float32)
    drawn = np.random.default_rng(1)
    noisy = (update + drawn.standard_normal(update.size) * np.abs(update).max()).astype(np.float32)
    words = drawn.integers(0, 2**32, update.size, dtype=np.uint32)
    return {"trained": update, "biases alone": biases, "noisy sum": noisy, "masked words": words}


def main() -> None:
    """Measure each and print the table."""
    print("update        MB    smaller by  pack (s)  unpack (s)  10 Mbit/s (s)  before (s)")
    for name, values in updates().items():
        began = time.process_time()
        small = deflate(values)
        packed = time.process_time() - began
        back = np.empty_like(values)
        began = time.process_time()
        if small is None:
            back[:] = values
        else:
            inflate([small], back)
        unpacked = time.process_time() - began
        if back.tobytes() != values.tobytes():
            raise SystemExit(f"{name}: other bits came back")
        size = values.nbytes if small is None else len(small)
        print(
            f"{name:<12}  {values.nbytes / 1e6:4.1f}  {1 - size / values.nbytes:9.1%}  {packed:8.3f}"
            f"  {unpacked:10.3f}  {packed + unpacked + size / LINK:13.2f}  {values.nbytes / LINK:10.2f}"
        )
    print("every bit came back")


if __name__ == "__main__":
    main()
