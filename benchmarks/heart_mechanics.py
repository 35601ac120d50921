"""What the lumped ventricle is worth: balance of energy, convergence in time, healthy values, speed.

    python benchmarks/heart_mechanics.py --count 200

Volumes of cavity and wall are typical of each group and the same for all its patients; what differs is their
function (`simulation.heart.mechanics.function`), drawn with seeds 0 to count − 1. Printed as markdown.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from simulation.heart.mechanics import energy, function
from simulation.heart.mechanics.beat import Beat, beat
from simulation.heart.mechanics.function import MMHG, PUBLISHED

Table = tuple[str, Sequence[str], Sequence[Sequence[str]]]

SIZES = {"normal": (140.0, 110.0), "dilated": (240.0, 150.0), "hypertrophic": (120.0, 190.0)}  # mL
ACTIVATION = (30, 15, 10, 25, 40, 35, 22, 10, 8, 18, 30, 25, 15, 8, 12, 20, 12)  # ms, septum and apex first
FINEST = 6400


def hearts(group: str, count: int, steps: int = 800, dtype: torch.dtype = torch.float32) -> Beat:
    """Beats of `count` patients of a group, seeds 0, 1, ..."""
    edv, wall = SIZES[group]
    drawn = [
        function.draw(group, np.random.Generator(np.random.PCG64(seed)), edv_ml=edv) for seed in range(count)
    ]
    walls = torch.full((count, 17), wall / 17, dtype=dtype)
    return beat(
        function.stack(drawn, dtype),
        torch.full((count,), edv, dtype=dtype),
        walls,
        torch.ones_like(walls),
        torch.tensor(ACTIVATION, dtype=dtype).repeat(count, 1),
        steps=steps,
    )


def convergence() -> tuple[Table, Table]:
    """Balance of energy and errors against the finest steps, three normal hearts, double precision."""
    steps = (200, 400, 800, 1600, 3200)
    runs = {count: hearts("normal", 3, count, torch.float64) for count in (*steps, FINEST)}
    best = runs[FINEST]
    balances, errors = [], []
    for count in steps:
        kept = runs[count]
        account = energy.balance(kept.trajectory, kept.ventricle)
        balances.append(
            [str(count)]
            + [
                f"{float(getattr(account, n).mean()):.1f}"
                for n in ("delivered", "pumped", "viscous", "damped")
            ]
            + [f"{float(account.residual.abs().mean()):.2f}"]
            + [f"{100 * float((account.residual.abs() / account.pumped).max()):.2f} %"]
        )
        errors.append(
            [
                str(count),
                f"{float(kept.cycle_ms.mean()) / count:.2f}",
                f"{100 * _gap(kept.ejection_fraction, best.ejection_fraction):.3f}",
                f"{_gap(kept.systolic_pressure, best.systolic_pressure) / MMHG:.3f}",
                f"{_gap(kept.volume, best.volume):.2f}",
                f"{_gap(kept.strain_circumferential, best.strain_circumferential):.4f}",
                f"{float(kept.periodicity.abs().max()):.3f}",
            ]
        )
    return (
        (
            "Energy of one beat, mJ: what bridges deliver is pumped, lost or unaccounted for",
            (
                "steps a beat",
                "delivered",
                "pumped",
                "viscous",
                "damped",
                "unaccounted for",
                "of pumped, largest",
            ),
            balances,
        ),
        (
            f"Largest error against {FINEST} steps a beat, and by how much the beat fails to close",
            (
                *("steps a beat", "ms", "EF, points", "systolic, mmHg", "volume, mL"),
                "strain",
                "not closed, mL",
            ),
            errors,
        ),
    )


def _gap(one: Tensor, other: Tensor) -> float:
    return float((one - other).abs().max())


def measures(kept: Beat) -> dict[str, Tensor]:
    """What is compared with `PUBLISHED`, (P,) each; strains are means over segments at end-systole."""
    return {
        "ejection fraction": kept.ejection_fraction,
        "circumferential strain": _at_end_systole(kept.strain_circumferential, kept),
        "longitudinal strain": _at_end_systole(kept.strain_longitudinal, kept),
        "radial strain": _at_end_systole(kept.strain_radial, kept),
        "systolic pressure (mmHg)": kept.systolic_pressure / MMHG,
        "diastolic pressure (mmHg)": kept.diastolic_pressure / MMHG,
        "cardiac output (L/min)": kept.cardiac_output,
        "end-diastolic pressure (mmHg)": kept.pressure[:, 0] / MMHG,
        "steepest rise of pressure (mmHg/s)": _rise(kept) * 1000 / MMHG,
        "aortic valve shuts (ms)": _shut(kept),
        "twist (degrees)": -kept.twist.amin(1) * 180 / torch.pi,  # systole turns in the negative sense
    }


def _at_end_systole(strain: Tensor, kept: Beat) -> Tensor:
    return strain.mean(-1).gather(1, kept.end_systole[:, None])[:, 0]


def _rise(kept: Beat) -> Tensor:
    course = kept.trajectory
    return (course.pressure.diff(dim=1) / course.times.diff(dim=1)).amax(1)


def _shut(kept: Beat) -> Tensor:
    course = kept.trajectory
    instants = torch.arange(course.times.shape[1])
    last = torch.where(course.outflow > 0, instants, 0).amax(1)
    return course.times.gather(1, last[:, None])[:, 0]


def values(count: int) -> Table:
    """Mean, range and how many of `count` draws lie in the published range, for each group."""
    rows = []
    for group in SIZES:
        for name, value in measures(hearts(group, count)).items():
            found = PUBLISHED[group].get(name)
            inside = "" if found is None else int(((value >= found.low) & (value <= found.high)).sum())
            digits = 3 if abs(float(value.mean())) < 1 else 1
            numbers = (value.mean(), value.std(), value.min(), value.max())
            rows.append(
                [group, name, *(f"{float(number):.{digits}f}" for number in numbers)]
                + (
                    ["", "", ""]
                    if found is None
                    else [f"{found.low} … {found.high}", str(inside), found.source]
                )
            )
    head = (
        "group",
        "quantity",
        "mean",
        "sd",
        "lowest",
        "highest",
        "published",
        f"inside, of {count}",
        "source",
    )
    return f"Function of {count} patients a group", head, rows


def speed() -> Table:
    """Seconds for one call, best of three."""
    rows = []
    for count in (1, 10, 100, 1000):
        taken = []
        for _ in range(3):
            start = time.perf_counter()
            hearts("normal", count)
            taken.append(time.perf_counter() - start)
        rows.append([str(count), f"{min(taken):.2f}"])
    return (
        f"Seconds for a batch, {torch.get_num_threads()} thread(s), 800 steps a beat",
        ("patients", "s"),
        rows,
    )


def tables(count: int = 200) -> list[Table]:
    """Energy, convergence and values, as (title, header, rows)."""
    return [*convergence(), values(count)]


def main() -> None:
    """Prints every table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=200, help="patients a group")
    count = parser.parse_args().count
    torch.set_num_threads(1)
    for title, header, rows in [*tables(count), speed()]:
        print(f"\n{title}\n")
        print("| " + " | ".join(header) + " |")
        print("|" + "---|" * len(header))
        for row in rows:
            print("| " + " | ".join(row) + " |")


if __name__ == "__main__":
    main()
