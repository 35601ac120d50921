"""Segmentation of real hearts over seeds: pooled, federated, digital patients only, and the curve over ε.

    python benchmarks/segmentation.py DATA --out OUT [--seeds 1 2 3 4 5] [--curve 1 2] [--processes 2]

Each seed is one `laennec compare` of examples/ventricle-segmentation.toml in OUT/seed-N, in its own process,
and each half of the curve, with and without the digital start, one more in OUT/seed-N-ARM; what was finished
is not run again, so an interrupted benchmark goes on. Other ε than the example's own are run for the seeds of
`--curve` alone. Prints every arm over its seeds as a table, and writes the curve as
OUT/epsilon-curve.svg.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

EXAMPLE = Path(__file__).parent.parent / "examples" / "ventricle-segmentation.toml"
EPSILONS = (1, 3, 30)  # beside the example's own 8
ARMS = ("pooled", "federated", "digital", "federated_dp", "federated_dp_scratch")


def main() -> None:
    """Run what is missing, print what is there."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, help="the folder of sunnybrook-slices")
    parser.add_argument("--out", type=Path, default=Path("runs/segmentation"))
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3, 4, 5])
    parser.add_argument("--curve", type=int, nargs="*", default=[1, 2], help="seeds of the curve over ε")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--study", type=Path, default=EXAMPLE)
    asked = parser.parse_args()
    runs = [(seed, "") for seed in asked.seeds] + [(seed, arm) for arm in ARMS[3:] for seed in asked.curve]
    with ThreadPoolExecutor(asked.processes) as pool:
        results = list(pool.map(lambda run: one(asked, *run), runs))
    table(results)
    curve(results, asked.out / "epsilon-curve.svg")


def one(asked: argparse.Namespace, seed: int, half: str) -> dict[str, Any]:
    """The result of that seed, or of one half of its curve, run where it is not there yet."""
    study, data, folder = (
        asked.study,
        asked.data,
        asked.out / (f"seed-{seed}-{half}" if half else f"seed-{seed}"),
    )
    if not (folder / "result.json").is_file():
        options = [f"--epsilon={each}" for each in EPSILONS] if half else []
        options += [f"--arm={arm}" for arm in ([f"{half}_{each}" for each in EPSILONS] if half else ARMS)]
        laennec = Path(sys.executable).parent / "laennec"
        command = [laennec, "compare", study, "--data", data, "--out", folder]
        subprocess.run(
            [*command, f"--seed={seed}", "--json", *options], check=True, stdout=subprocess.DEVNULL
        )
    result: dict[str, Any] = json.loads((folder / "result.json").read_text())
    return result


def table(results: list[dict[str, Any]]) -> None:
    """Every arm: Dice, its worst hospital, Hausdorff distance; mean and standard deviation over seeds."""
    print("Means over hospitals, then over seeds, ± standard deviation over seeds\n")
    print("| | seeds | Dice | worst hospital | 95 % Hausdorff distance, mm |\n|---|---|---|---|---|")
    for key in dict.fromkeys(key for result in results for key in result["arms"]):
        arms = [result["arms"][key] for result in results if key in result["arms"]]
        dice, worst = [arm["mean"]["dice"] for arm in arms], [arm["worst_hospital"]["dice"] for arm in arms]
        distance = [arm["mean"]["hd95_mm"] for arm in arms]
        print(f"| {arms[0]['label']} | {len(arms)} | {over(dice)} | {over(worst)} | {over(distance, 1)} |")


def over(values: list[float], digits: int = 3) -> str:
    """Mean ± standard deviation."""
    if len(values) < 2:
        return f"{values[0]:.{digits}f}"
    return f"{statistics.fmean(values):.{digits}f} ± {statistics.stdev(values):.{digits}f}"


def curve(results: list[dict[str, Any]], file: Path) -> None:
    """Dice against ε with and without the digital start, and what needs no ε as lines."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 3.6), layout="constrained")
    axes = figure.add_subplot()
    for key, label, mark in (
        ("federated_dp", "federated, DP, digital start", "o-"),
        ("federated_dp_scratch", "federated, DP, from scratch", "s--"),
    ):
        points = sorted(
            (arms[0]["epsilon"], [arm["mean"]["dice"] for arm in arms])
            for name in dict.fromkeys(name for result in results for name in result["arms"])
            if name == key or name.removeprefix(f"{key}_").isdigit()
            if (arms := [result["arms"][name] for result in results if name in result["arms"]])
        )
        spread = [statistics.stdev(dice) if len(dice) > 1 else math.nan for _, dice in points]
        means = [statistics.fmean(dice) for _, dice in points]
        axes.errorbar([epsilon for epsilon, _ in points], means, spread, fmt=mark, capsize=3, label=label)
    for key, style in (("pooled", ":"), ("federated", "-."), ("digital", "-")):
        arms = [result["arms"][key] for result in results if key in result["arms"]]
        level = statistics.fmean(arm["mean"]["dice"] for arm in arms)
        axes.axhline(level, linestyle=style, color="black", linewidth=1, label=arms[0]["label"])
    axes.set(
        xscale="log",
        xlabel="ε spent per patient, at δ = 0.001",
        ylabel="mean Dice of real test patients",
        ylim=(0, 1),
    )
    axes.legend(fontsize=8)
    figure.savefig(file)


if __name__ == "__main__":
    main()
