"""Electrophysiology of the heart: convergence tables, and our monodomain solver beside finitewave's.

python benchmarks/heart_electrophysiology.py                       the tables, in Markdown
python benchmarks/heart_electrophysiology.py --finitewave PYTHON   the comparison; PYTHON has finitewave

Both run on one thread; seconds are those of the processor, so that a busy machine disturbs less.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from simulation.heart.electrophysiology.diffusion import diffusion
from simulation.heart.electrophysiology.ionic import Cell
from simulation.heart.electrophysiology.monodomain import solve
from simulation.heart.electrophysiology.tensors import along_fibres
from simulation.heart.electrophysiology.verification import Table, tables

FINITEWAVE = """
import json, sys, time
import numpy as np, finitewave as fw
from finitewave.cpuwave.stencil.sten3D.asymmetric_stencil_3d import AsymmetricStencil3D
terms = json.load(open(sys.argv[1]))
mask, fibres = np.load(terms["mask"]), np.load(terms["fibres"])

def model(duration, watch):
    tissue = fw.CardiacTissue(mask.shape)
    tissue.mesh = mask.astype(np.int8)
    tissue.fibers = fibres
    m = fw.MitchellSchaeffer()
    m.dt, m.dr, m.t_max = terms["step"], terms["spacing"], duration
    m.D_model, m.prog_bar = terms["along"], False
    m.cardiac_tissue = tissue
    stimuli = fw.StimSequence()
    stimuli.add_stim(fw.StimVoltageMatrix(0, 1.0, np.load(terms["start"])))
    m.stim_sequence = stimuli
    if watch:
        tracker = fw.ActivationTimeTracker()
        tracker.threshold, tracker.step = 0.5, terms["watch"]
        trackers = fw.TrackerSequence()
        trackers.add_tracker(tracker)
        m.tracker_sequence = trackers
    m.stencil = AsymmetricStencil3D()
    m.stencil.D_al, m.stencil.D_ac = 1.0, terms["across"] / terms["along"]
    return m

model(3 * terms["step"], True).run(num_of_threads=1)
m = model(terms["duration"], True)
m.initialize()
begin = time.process_time()
m.run(initialize=False, num_of_threads=1)
seconds = time.process_time() - begin
np.save(terms["times"], m.tracker_sequence.sequence[0].output)
print(json.dumps({"seconds": seconds}))
"""


def slab(spacing: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mask, fibres and start of a half ellipsoidal shell (outer radius 25 mm, wall 10 mm, length 60 mm)."""
    x = np.arange(-26, 26 + spacing / 2, spacing)
    z = np.arange(-62, 2 + spacing / 2, spacing)
    X, Y, Z = np.meshgrid(x, x, z, indexing="ij")
    outer = (X / 25) ** 2 + (Y / 25) ** 2 + (Z / 60) ** 2
    inner = (X / 15) ** 2 + (Y / 15) ** 2 + (Z / 50) ** 2
    mask = (outer <= 1) & (inner >= 1) & (Z <= 0)
    angle = np.arctan2(Y, X)
    depth = np.clip((np.sqrt(X**2 + Y**2) - 15) / 10, 0, 1)
    helix = np.radians(60 - 120 * depth)
    fibres = np.stack([-np.sin(angle) * np.cos(helix), np.cos(angle) * np.cos(helix), np.sin(helix)], axis=-1)
    start = mask & (np.abs(angle) < 0.3) & (Z > -35) & (Z < -20)
    return mask, fibres, start


def against_finitewave(python: str, spacing: float, span: float, step: float = 0.02) -> None:
    """Both solvers on one grid, one step and span; prints seconds a step and how far the times differ."""
    along, across, watch, cell = 0.15, 0.15 / 4, 5, Cell()
    mask, fibres, start = slab(spacing)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        terms = {key: str(folder / f"{key}.npy") for key in ("mask", "fibres", "start", "times")}
        for key, array in (("mask", mask), ("fibres", fibres), ("start", start)):
            np.save(terms[key], array)
        numbers = {
            "step": step,
            "spacing": spacing,
            "duration": span,
            "along": along,
            "across": across,
            "watch": watch,
        }
        (folder / "terms.json").write_text(json.dumps({**terms, **numbers}))
        (folder / "other.py").write_text(FINITEWAVE)
        command = [python, str(folder / "other.py"), str(folder / "terms.json")]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(done.stderr)
        theirs = json.loads(done.stdout.splitlines()[-1])["seconds"]
        other = np.load(terms["times"])
    count = round(span / step)
    print(
        f"grid {mask.shape}, {int(mask.sum())} voxels of {spacing} mm in the wall "
        f"({100 * mask.mean():.0f} %), {count} steps, one thread"
    )
    print(f"finitewave, float64: {theirs:.2f} s, {1e3 * theirs / count:.3f} ms a step")
    for dtype in (torch.float64, torch.float32):
        seconds, times = ours(mask, fibres, start, along, across, spacing, span, step, watch, cell, dtype)
        both = np.isfinite(times) & (other > 0) & mask & ~start
        gap = np.abs(times - other)[both]
        print(
            f"ours, {str(dtype)[6:]}: {seconds:.2f} s, {1e3 * seconds / count:.3f} ms a step, "
            f"{theirs / seconds:.2f} times finitewave's speed; activation of {both.sum()} voxels differs by "
            f"{np.median(gap):.3f} ms (median), {gap.max():.3f} ms (most); last at {times[both].max():.1f} ms"
        )


def ours(mask, fibres, start, along, across, spacing, span, step, watch, cell, dtype):  # type: ignore[no-untyped-def]
    """Seconds and activation times (X, Y, Z) of our solver."""
    inside = torch.from_numpy(mask)[None]
    tensors = along_fibres(torch.from_numpy(fibres)[None].to(dtype), along, across)
    operator = diffusion(tensors, inside, spacing)
    v = torch.from_numpy(start)[None].to(dtype)
    solve(operator, cell, v, 3 * step, step)
    begin = time.process_time()
    found = solve(operator, cell, v, span, step, watch_every=watch)
    return time.process_time() - begin, found.activation[0].numpy()


def markdown(table: Table) -> str:
    """One table, with its title above it."""
    title, header, rows = table
    lines = ["| " + " | ".join(row) + " |" for row in (header, ["---"] * len(header), *rows)]
    return "\n".join([f"**{title}**", "", *lines, ""])


def main() -> None:
    """Parse the command line and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--finitewave", metavar="PYTHON", help="an interpreter that has finitewave")
    parser.add_argument("--spacing", type=float, default=0.75, help="mm, of the comparison's grid")
    parser.add_argument("--duration", type=float, default=40.0, help="ms, of the comparison")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    if chosen.finitewave:
        against_finitewave(chosen.finitewave, chosen.spacing, chosen.duration)
        return
    for table in tables():
        print(markdown(table))


if __name__ == "__main__":
    main()
