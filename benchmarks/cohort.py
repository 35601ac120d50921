"""How fast digital cohorts are made, and whether their effects are found again with the size that was asked.

    python benchmarks/cohort.py [--patients 10000] [--variants 100000]

Writes a cohort into a folder that is removed again (Parquet, PLINK, truth), then looks for effects in cohorts
that are kept in memory.
"""

from __future__ import annotations

import argparse
import itertools
import resource
import tempfile
import time
from pathlib import Path

import numpy as np

from simulation.cohort.export import write_cohort
from simulation.cohort.haplotypes import Copying, survival
from simulation.cohort.site import Cohort
from simulation.cohort.terms import BLOCK, recipe


def main() -> None:
    """Print speed, linkage, heritability and site effects."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--patients", type=int, default=10_000)
    parser.add_argument("--variants", type=int, default=100_000)
    asked = parser.parse_args()
    speed(asked.patients, asked.variants)
    linkage()
    heritability()
    sites()


def speed(patients: int, variants: int) -> None:
    """Wall-clock and processor time of one command, files included; one thread of ours."""
    with tempfile.TemporaryDirectory(prefix="laennec-cohort-") as folder:
        began, used = time.perf_counter(), time.process_time()
        write_cohort(Cohort(recipe(f"variants={variants}", 1), patients), Path(folder))
        wall, processor = time.perf_counter() - began, time.process_time() - used
        size = sum(each.stat().st_size for each in Path(folder).rglob("*") if each.is_file())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"{patients} patients x {variants} variants: {wall:.1f} s, {processor:.1f} s of one processor, "
        f"{size / 1e6:.0f} MB written, {peak:.0f} MB of memory at most"
    )


def linkage(people: int = 20_000) -> None:
    """Mean r² of pairs by distance: found in people, and what panel and recombination say."""
    cohort = Cohort(recipe("variants=7040,haplotypes=200,ancestries=1,recombination=4", 2), 10)
    copying = Copying.of(cohort.panel, cohort.terms)
    blocks = copying.blocks(np.zeros(people, dtype=np.int64), cohort.stream("linkage"))
    first = 320  # variants of the first chromosome
    kept = np.concatenate([values for _, values in itertools.islice(blocks, first // BLOCK)])
    found, held = np.cov(kept.astype(float)), cohort.panel.alleles[0, :, :first].astype(float)
    places = np.arange(first)
    said = 2 * np.cov(held.T, bias=True) * survival(cohort.terms, places[:, None], places[None, :])
    print("\nlinkage: mean r² of pairs of variants\n  distance, kb    found     said")
    for apart in (1, 2, 4, 8, 16, 32, 64, 128):
        pairs = np.arange(first - apart), np.arange(apart, first)
        square = [np.mean(each[pairs] ** 2 / (np.diag(each)[pairs[0]] * np.diag(each)[pairs[1]]))
                  for each in (found, said)]  # fmt: skip
        print(f"  {3 * apart:12d} {square[0]:8.4f} {square[1]:8.4f}")


def heritability(people: int = 4000) -> None:
    """Adjusted R² of the image's inherited mode on the causal variants, with its 95 % interval."""
    print("\nheritability: asked, found by regression on the causal variants, 95 % interval")
    for asked in (0.1, 0.3, 0.5, 0.7):
        said = (
            f"sites=1,ancestries=1,site-1.ancestry=1,side=8,causal=20,heritability={asked},mode=5,atrophy=0"
        )
        cohort = Cohort(recipe(said + ",age-effect=0,sex-effect=0", 3), people)
        kept: list[np.ndarray] = []
        made = cohort.make(0, lambda _, values, kept=kept: kept.append(values))  # type: ignore[misc]
        truth = cohort.effects
        design = np.column_stack([np.ones(people), np.concatenate(kept).T[:, truth.causal]])
        mode = np.stack(list(made.tables["imaging"].values()), axis=1) @ truth.mode
        rest = mode - design @ np.linalg.lstsq(design, mode, rcond=None)[0]
        found = 1 - rest.var() / mode.var() * (people - 1) / (people - design.shape[1])
        error = 1.96 * np.sqrt(4 * found * (1 - found) ** 2 / people)
        print(f"  {asked:.2f}  {found:.3f}  ({found - error:.3f} to {found + error:.3f})")


def sites(people: int = 8000) -> None:
    """Each scanner's offset and scale, by regression on age and sex where nobody is ill."""
    cohort = Cohort(recipe("site-2.offset=1,site-3.scale=2," + ",".join(
        f"site-{number}.cases=0" for number in range(1, 5)), 4), people)  # fmt: skip
    print("\nscanners: correlation and slope of offsets found on those asked; scale asked, found")
    for number, name in enumerate(cohort.terms.names):
        made = cohort.make(number)
        values = np.stack(list(made.tables["imaging"].values()), axis=1)
        design = np.column_stack([np.ones(len(values)), made.people.age - 72, made.people.male])
        fitted = np.linalg.lstsq(design, values, rcond=None)[0]
        rest = (values - design @ fitted).std(axis=0)
        expected = np.sqrt(1 + cohort.terms["mode"] ** 2 * cohort.effects.mode**2)
        offsets = cohort.effects.offsets[number]
        slope = np.polyfit(offsets, fitted[0], 1)[0]
        print(
            f"  {name}  {np.corrcoef(fitted[0], offsets)[0, 1]:.3f}  {slope:.3f}"
            f"    {cohort.terms.sites[number]['scale']:.2f}  {np.mean(rest / expected):.3f}"
        )


if __name__ == "__main__":
    main()
