"""Chromosomes as mosaics of a panel's haplotypes: the copying process of Li and Stephens 2003, run forward.

Along a chromosome a haplotype copies one of its ancestry's; between blocks of eight variants it takes
another with probability r = 1 − exp(−ρ·8·spacing). So covariance falls from what it is in the panel by
1 − r for every block between two variants. Eight alleles are one machine word; two haplotypes' words add
up to genotypes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from simulation.cohort.panel import Panel, chromosome_of
from simulation.cohort.terms import BLOCK, Terms

Genotype = npt.NDArray[np.int8]
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Copying:
    """How chromosomes are copied from a panel.

    Attributes:
        panel: the haplotypes.
        change: r, the probability of another one from block to block.
        error: the probability that one allele is copied wrongly.

    """

    panel: Panel
    change: float
    error: float

    @staticmethod
    def of(panel: Panel, terms: Terms) -> Copying:
        """As the terms say."""
        return Copying(panel, change(terms), terms["copying-error"])

    def blocks(self, ancestry: Integers, random: np.random.Generator) -> Iterator[tuple[slice, Genotype]]:
        """Which variants, and the patients' genotypes there, shape (8, patient), copies of allele 1.

        `ancestry` is of each patient, shape (patient,). Memory does not grow with the number of variants.
        """
        words, many = self.panel.words(), self.panel.haplotypes
        first = np.repeat(ancestry * many, 2)  # of the ancestry's rows, for each of two haplotypes
        chromosome = chromosome_of(self.panel.variants)[::BLOCK]
        copied = first + random.integers(many, size=len(first))
        for block, held in enumerate(words):
            if block and chromosome[block] != chromosome[block - 1]:
                copied = first + random.integers(many, size=len(first))
            elif block:
                changed = _some(len(first), self.change, random)
                copied[changed] = first[changed] + random.integers(many, size=len(changed))
            two = held[copied]
            if self.error:
                alleles = two.view(np.uint8)
                alleles[_some(len(alleles), self.error, random)] ^= 1
            both = two[::2] + two[1::2]  # no byte exceeds 2: nothing is carried over
            yield (
                slice(block * BLOCK, (block + 1) * BLOCK),
                np.ascontiguousarray(both.view(np.int8).reshape(-1, BLOCK).T),
            )


def change(terms: Terms) -> float:
    """r: the probability of copying another haplotype from one block to the next."""
    return float(-np.expm1(-terms["recombination"] * 1e-6 * BLOCK * terms["spacing"]))


def survival(terms: Terms, one: Integers, other: Integers) -> npt.NDArray[np.float64]:
    """The probability that two variants come from one haplotype: (1 − r) a block; 0 between chromosomes."""
    chromosome = chromosome_of(terms.variants)
    apart = np.abs(one // BLOCK - other // BLOCK)
    together: npt.NDArray[np.float64] = (1 - change(terms)) ** apart * (chromosome[one] == chromosome[other])
    return together


def _some(of: int, probability: float, random: np.random.Generator) -> Integers:
    """Each of `of` numbers with that probability, by drawing how many and then which."""
    many = random.binomial(of, probability)
    if many * 4 > of:
        return np.sort(random.permutation(of)[:many])
    chosen: Integers = np.sort(random.choice(of, many, replace=False, shuffle=False))
    return chosen
