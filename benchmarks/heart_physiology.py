"""Whole digital hearts beside published values: ejection fraction, strains, pressures of each group.

    python benchmarks/heart_physiology.py [--normal 40] [--others 20]

Strains are those of the motion that images show, of the middle of the wall at end-systole, means of segments
1 to 16; wall thickening is of the whole wall. The second table is the ejection fraction infarcts leave.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import torch
from torch import Tensor

from simulation.heart.mechanics.function import MMHG, PUBLISHED
from simulation.heart.people import draw
from simulation.heart.physiology import Hearts, live
from simulation.heart.strata import recipes

GROUPS = ("normal", "dilated", "hypertrophic", "abnormal-rv", "infarct")
SEED = 2026
CHUNK = 10
HEADER = ("group", "quantity", "simulated, mean ± sd", "least", "most", "published", "inside", "source")
# The house's own ranges for a healthy heart, beside those that `function.PUBLISHED` names.
ISSUE = {
    "circumferential strain": (-0.22, -0.17),
    "longitudinal strain": (-0.22, -0.15),
    "radial strain": (0.30, 0.50),
}

AGES = ("acute", "scar")
UGANDER = "at most 0.722 less 1.18 times the dead share in Ugander 2008, Scand Cardiovasc J 42:137"

Table = tuple[str, Sequence[str], Sequence[Sequence[object]]]


def tables(normal: int = 40, others: int = 20) -> list[Table]:
    """One table of all groups, one of infarcts."""
    rows: list[list[object]] = []
    for group in GROUPS:
        found = measured(group, normal if group == "normal" else others)
        for quantity, values in found.items():
            rows += rows_of(group, quantity, values)
    title = f"Whole hearts, {normal} normal and {others} of each other group"
    return [(title, HEADER, rows), infarcts(max(others, 2))]


def infarcts(count: int) -> Table:
    """Ejection fraction and volume over the share of the wall that is dead, `count` infarcts of each age."""
    rows: list[list[object]] = []
    for age in AGES:
        made = recipes(f"age={age},group=infarct", count, SEED)
        hearts = [live([draw(each) for each in chunk], phases=25) for chunk in _chunks(made)]
        dead = torch.tensor([each.dead for part in hearts for each in part.people])
        ejected = torch.cat([part.beat.ejection_fraction for part in hearts])
        volume = torch.cat([part.lv_ml[:, 0] for part in hearts])
        middle = dead - dead.mean()
        slope = (middle * ejected).sum() / (middle**2).sum()
        for name, chosen in (("smaller half", dead <= dead.median()), ("larger half", dead > dead.median())):
            those = [each[chosen] for each in (dead, ejected, volume)]
            rows.append([age, name, *(f"{each.mean():.3g} ± {each.std():.2g}" for each in those), "", ""])
        none = float(ejected.mean() - slope * dead.mean())
        rows.append([age, "straight line", "", "", "", f"{none:.3f}", f"{float(slope):.2f}"])
    header = ("age", "infarcts", "dead share", "ejection fraction", "LV EDV mL", "at no dead muscle", "slope")
    return f"Ejection fraction of {count} infarcts of each age; {UGANDER}", header, rows


def rows_of(group: str, quantity: str, values: Tensor) -> list[list[object]]:
    """A row for each published range of a quantity, one without where there is none."""
    said = f"{values.mean():.3g} ± {values.std():.2g}"
    cells = [group, quantity, said, f"{values.min():.3g}", f"{values.max():.3g}"]
    known = []
    published = PUBLISHED.get(group, {}).get(quantity)
    if published:
        known.append((published.low, published.high, published.source))
    if group == "normal" and quantity in ISSUE:
        known.append((*ISSUE[quantity], "asked of a healthy heart here"))
    if not known:
        return [[*cells, "", "", ""]]
    inside = [int(((values >= low) & (values <= high)).sum()) for low, high, _ in known]
    return [
        [*cells, f"{low:g} to {high:g}", f"{count} of {len(values)}", source]
        for (low, high, source), count in zip(known, inside, strict=True)
    ]


def measured(group: str, count: int) -> dict[str, Tensor]:
    """Quantities of `count` hearts, each (count,)."""
    parts = [
        quantities(live([draw(each) for each in chunk], phases=25))
        for chunk in _chunks(recipes(f"group={group}", count, SEED))
    ]
    return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}


def _chunks(made: list) -> list[list]:  # type: ignore[type-arg]
    return [made[first : first + CHUNK] for first in range(0, len(made), CHUNK)]


def quantities(hearts: Hearts) -> dict[str, Tensor]:
    """By the names of `function.PUBLISHED`."""
    kept = hearts.beat
    patient = torch.arange(len(hearts.people))
    strains = [each[patient, kept.end_systole, :16].mean(1) for each in hearts.motion.strains()]
    return {
        "ejection fraction": kept.ejection_fraction,
        "circumferential strain": strains[0],
        "longitudinal strain": strains[1],
        "radial strain": strains[2],
        "wall thickening": hearts.motion.thickening()[patient, kept.end_systole, :16].mean(1),
        "systolic pressure (mmHg)": kept.systolic_pressure / MMHG,
        "diastolic pressure (mmHg)": kept.diastolic_pressure / MMHG,
        "cardiac output (L/min)": kept.cardiac_output,
        "cardiac index (L/min/m²)": kept.cardiac_output / _surface(hearts),
        "stretch before shortening": kept.strain_circumferential[:, :, :16].amax((1, 2)),
        "last segment activated (ms)": hearts.segments_ms.amax(1),
    }


def _surface(hearts: Hearts) -> Tensor:
    return torch.tensor([each.measures["body_surface_m2"] for each in hearts.people])


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--normal", type=int, default=40)
    parser.add_argument("--others", type=int, default=20)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    for title, header, rows in tables(asked.normal, asked.others):
        print(f"### {title}\n\n| " + " | ".join(header) + " |\n|" + " --- |" * len(header))
        print("\n".join("| " + " | ".join(str(cell) for cell in row) + " |" for row in rows))


if __name__ == "__main__":
    main()
