"""The reference panel: haplotypes of each ancestry, from which everybody's chromosomes are copied.

Drawn here, allele frequencies after Balding and Nichols 1995 (Beta around a common frequency, by F_ST) and
linkage by thresholds on a Gaussian chain; or given by the user, as an .npz with `haplotypes`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri

from ground.errors import DataError
from simulation.cohort.terms import BLOCK, Terms

CHROMOSOMES = 22
ALLELE_1, ALLELE_2 = "A", "G"
Alleles = npt.NDArray[np.uint8]
Words = npt.NDArray[np.uint64]


@dataclass(frozen=True, eq=False)
class Panel:
    """Haplotypes by ancestry.

    Attributes:
        alleles: 0 or 1, shape (ancestry, haplotype, variant); variants are a multiple of 8.

    """

    alleles: Alleles

    @property
    def ancestries(self) -> int:
        """How many populations."""
        return len(self.alleles)

    @property
    def haplotypes(self) -> int:
        """How many of each."""
        return int(self.alleles.shape[1])

    @property
    def variants(self) -> int:
        """How many."""
        return int(self.alleles.shape[2])

    def frequencies(self) -> npt.NDArray[np.float64]:
        """Of allele 1, shape (ancestry, variant)."""
        found: npt.NDArray[np.float64] = self.alleles.mean(axis=1)
        return found

    def words(self) -> Words:
        """Eight variants a machine word, shape (block, ancestry · haplotype)."""
        rows = self.alleles.reshape(-1, self.variants)
        return np.ascontiguousarray(rows.view(np.uint64).T)


def drawn(terms: Terms, random: np.random.Generator) -> Panel:
    """A panel of `terms`."""
    variants, haplotypes = terms.variants, terms.count("haplotypes")
    common = random.uniform(0.05, 0.5, variants)
    alleles = np.empty((terms.count("ancestries"), haplotypes, variants), dtype=np.uint8)
    drift, linkage = terms["divergence"], terms["linkage"]
    for own in alleles:
        frequency = common
        if drift > 0:
            strength = (1 - drift) / drift
            frequency = np.clip(random.beta(common * strength, (1 - common) * strength), 0.01, 0.99)
        threshold = ndtri(frequency)
        value = random.standard_normal(haplotypes)
        for place in range(variants):
            own[:, place] = value < threshold[place]
            value = linkage * value + np.sqrt(1 - linkage**2) * random.standard_normal(haplotypes)
    return Panel(alleles)


def given(file: Path) -> Panel:
    """A user's panel: 0 and 1, shape (ancestry, haplotype, variant), cut to whole blocks of 8 variants."""
    try:
        with np.load(file, allow_pickle=False) as held:
            alleles = held["haplotypes"]
    except (OSError, ValueError, KeyError) as error:
        raise DataError(f"{file}: is no panel: save one with numpy.savez(FILE, haplotypes=...)") from error
    if alleles.ndim != 3 or alleles.shape[2] < BLOCK or not np.isin(alleles, (0, 1)).all():
        raise DataError(f"{file}: haplotypes are 0 and 1 of shape (ancestry, haplotype, variant), 8 or more")
    whole = alleles.shape[2] // BLOCK * BLOCK
    return Panel(np.ascontiguousarray(alleles[:, :, :whole], dtype=np.uint8))


def chromosome_of(variants: int) -> npt.NDArray[np.int64]:
    """The chromosome, 1 to 22, of each variant: equal parts in whole blocks."""
    blocks = np.arange(variants // BLOCK)
    return np.repeat(blocks * CHROMOSOMES // len(blocks) + 1, BLOCK)


def positions_of(variants: int, spacing: float) -> npt.NDArray[np.int64]:
    """In base pairs, from the start of its chromosome."""
    chromosome = chromosome_of(variants)
    start = np.searchsorted(chromosome, chromosome)
    places: npt.NDArray[np.int64] = np.rint((np.arange(variants) - start + 1) * spacing).astype(np.int64)
    return places
