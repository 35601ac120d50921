"""Simulated hearts beside published ones: mean, deviation and the share inside each published range.

python benchmarks/heart_population.py [patients per group, 1000]

Everything is measured on the surfaces that were built, not read from what was drawn. A range is the published
mean ± 2 standard deviations, or what a definition demands. Of the infarcts, acute ones and scars.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import inf
from time import perf_counter

import numpy as np
import torch
from torch import Tensor

from simulation.heart.anatomy import population, volumes
from simulation.heart.anatomy.shape import Anatomy, build
from simulation.heart.infarct import TERRITORIES, dilation, draw
from simulation.heart.people import CULPRITS

CHUNK = 100
SEED = 1


@dataclass(frozen=True)
class Published:
    """A published range of one measure of one sex (0 women, 1 men, None both)."""

    group: str
    measure: str
    sex: int | None
    low: float
    high: float
    text: str
    source: str


def around(
    group: str, measure: str, women: tuple[float, float], men: tuple[float, float], source: str
) -> list[Published]:
    """Mean ± 2 deviations for each sex."""
    return [
        Published(group, measure, sex, mean - 2 * spread, mean + 2 * spread, f"{mean:g} ± {spread:g}", source)
        for sex, (mean, spread) in enumerate((women, men))
    ]


PETERSEN = "Petersen 2017, J Cardiovasc Magn Reson 19:18"
KAWEL = "Kawel 2012, Circ Cardiovasc Imaging 5:500"
ACDC = "Bernard 2018, IEEE Trans Med Imaging 37:2514"
OLIVOTTO = "Olivotto 2008, J Am Coll Cardiol 52:559"
SULTAN = "Sultan 2021, J Clin Imaging Sci 11:14"
YOKOTA = "Yokota 2008, J Cardiovasc Magn Reson 10:17"
HUDSMITH = "Hudsmith 2005, J Cardiovasc Magn Reson 7:775"
ALFAKIH = "Alfakih 2003, J Magn Reson Imaging 17:323"
TABLE: list[Published] = [
    *around("normal", "LV EDV mL", (124, 21), (166, 32), PETERSEN),
    *around("normal", "LV EDV mL/m²", (74, 12), (85, 15), PETERSEN),
    *around("normal", "LV EDV mL", (135, 26), (160, 29), HUDSMITH),
    *around("normal", "LV EDV mL/m²", (77.7, 10.8), (82.3, 14.7), ALFAKIH),
    *around("normal", "LV mass g", (70, 13), (103, 21), PETERSEN),
    *around("normal", "LV mass g/m²", (42, 7), (53, 9), PETERSEN),
    *around("normal", "LV mass g/m²", (52, 7.4), (64.7, 9.3), ALFAKIH),
    *around("normal", "RV EDV mL", (130, 24), (182, 36), PETERSEN),
    *around("normal", "RV EDV mL", (148, 35), (190, 33), HUDSMITH),
    *around("normal", "RV EDV mL/m²", (75.2, 13.8), (86.2, 14.1), ALFAKIH),
    *around("normal", "mid wall, mean mm", (5.3, 0.9), (6.3, 1.1), KAWEL),
    Published("normal", "greatest wall mm", None, 0, 12, "< 12", ACDC),
    Published("dilated", "LV EDV mL/m²", None, 100, inf, "> 100", ACDC),
    Published("dilated", "greatest wall mm", None, 0, 12, "< 12", ACDC),
    *around("hypertrophic", "LV mass g/m²", (89, 33), (104, 40), OLIVOTTO),
    Published("hypertrophic", "greatest wall mm", None, 15, inf, "> 15", ACDC),
    Published("hypertrophic", "greatest wall mm", None, 11.1, 31.1, "21.1 ± 5", SULTAN),
    Published("infarct", "LV EDV mL", None, 79, 383, "231 ± 76, EF 26 %", YOKOTA),
    Published("abnormal-rv", "RV EDV mL/m²", None, 110, inf, "> 110", ACDC),
]


def measured(group: str, count: int) -> tuple[dict[str, Tensor], Tensor]:
    """Every measure of `count` hearts, each (count,), and who is a man."""
    columns: dict[str, list[Tensor]] = {}
    men = []
    for first in range(0, count, CHUNK):
        numbers = range(first, min(first + CHUNK, count))
        patients = [_person(group, number) for number in numbers]
        anatomy = build(population.stack(patients))
        surface = torch.tensor([patient["body_surface_m2"] for patient in patients])
        men.append(torch.tensor([patient["male"] for patient in patients]) == 1)
        for name, function in MEASURES.items():
            columns.setdefault(name, []).append(function(anatomy, surface))
    return {name: torch.cat(parts) for name, parts in columns.items()}, torch.cat(men)


def _person(group: str, number: int) -> dict[str, float]:
    """Measures of one person; of an infarct with what it has made of the cavity."""
    random = np.random.default_rng([SEED, number])
    if group != "infarct":
        return population.draw(group, random)
    luck = np.random.default_rng([SEED, number, 1])
    culprit = TERRITORIES[str(luck.choice(list(CULPRITS), p=list(CULPRITS.values())))]
    return population.draw(group, random, dilation=dilation(draw(culprit, None, luck, {})))


def wall(anatomy: Anatomy, low: float, high: float) -> Tensor:
    """(P, H, N) mm between the surfaces at the same height, not a number outside a range of heights."""
    longitudinal = anatomy.longitudinal()[:, :, None]
    return torch.where((longitudinal > low) & (longitudinal < high), anatomy.epi - anatomy.endo, torch.nan)


MEASURES: dict[str, Callable[[Anatomy, Tensor], Tensor]] = {
    "LV EDV mL": lambda anatomy, _: volumes.cavity(anatomy),
    "LV EDV mL/m²": lambda anatomy, surface: volumes.cavity(anatomy) / surface,
    "LV mass g": lambda anatomy, _: volumes.mass(anatomy),
    "LV mass g/m²": lambda anatomy, surface: volumes.mass(anatomy) / surface,
    "RV EDV mL": lambda anatomy, _: volumes.rv_cavity(anatomy),
    "RV EDV mL/m²": lambda anatomy, surface: volumes.rv_cavity(anatomy) / surface,
    "mid wall, mean mm": lambda anatomy, _: wall(anatomy, 1 / 3, 2 / 3).nanmean((1, 2)),
    "greatest wall mm": lambda anatomy, _: wall(anatomy, 0.25, 1).nan_to_num().amax((1, 2)),
    "LV length mm": lambda anatomy, _: anatomy.endo_length,
    "LV diameter mm": lambda anatomy, _: (anatomy.endo + anatomy.endo.roll(36, 2)).mean(2).amax(1),
}


def tables(count: int = 1000) -> list[tuple[str, Sequence[str], Sequence[Sequence[object]]]]:
    """(title, header, rows): the published ranges with what falls inside, then all measures of all groups."""
    hearts = {group: measured(group, count) for group in population.GROUPS}
    compared = [row(each, *hearts[each.group]) for each in TABLE]
    everything = [
        [group, *(f"{values.mean():.1f} ± {values.std():.1f}" for values in columns.values())]
        for group, (columns, _) in hearts.items()
    ]
    title = f"{count:,} simulated patients a group, measured on their surfaces"
    header = ("group", "measure", "sex", "simulated", "published", "inside", "source")
    return [
        (title + ", beside published ranges", header, compared),
        (title + ", all measures", ("group", *MEASURES), everything),
    ]


def row(published: Published, columns: dict[str, Tensor], men: Tensor) -> list[object]:
    """One published range and what falls inside."""
    values = columns[published.measure]
    values = values if published.sex is None else values[men == bool(published.sex)]
    inside = ((values >= published.low) & (values <= published.high)).float().mean()
    sex = "both" if published.sex is None else ("women", "men")[published.sex]
    mine = f"{values.mean():.1f} ± {values.std():.1f}"
    return [published.group, published.measure, sex, mine, published.text, f"{inside:.1%}", published.source]


def main() -> None:
    """Print the tables."""
    torch.set_num_threads(1)
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    start = perf_counter()
    for title, header, rows in tables(count):
        print(f"### {title}\n\n| " + " | ".join(header) + " |\n|" + " --- |" * len(header))
        print("\n".join("| " + " | ".join(str(cell) for cell in each) + " |" for each in rows) + "\n")
    took = perf_counter() - start
    print(f"{took / count / len(population.GROUPS) * 1000:.1f} ms a heart")


if __name__ == "__main__":
    main()
