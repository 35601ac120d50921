"""Chromosomes copied from a panel: its frequencies, and its linkage, which falls with distance as said."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from ground.errors import DataError, UsageError
from simulation.cohort import panel
from simulation.cohort.haplotypes import Copying, change, survival
from simulation.cohort.site import Cohort
from simulation.cohort.terms import BLOCK, recipe, terms

SAID = "variants=704,haplotypes=12,recombination=6,ancestries=1,site-1.ancestry=1"
PEOPLE = 12_000
LOOKED_AT = 64  # variants: two chromosomes, four blocks each


def genotypes(cohort: Cohort, people: int = PEOPLE, ancestry: int = 0, factor: float = 1.0) -> np.ndarray:
    copying = Copying(cohort.panel, factor * change(cohort.terms), cohort.terms["copying-error"])
    whose = np.full(people, ancestry)
    blocks = itertools.islice(copying.blocks(whose, cohort.stream("test")), LOOKED_AT // BLOCK)
    return np.concatenate([values for _, values in blocks]).astype(float)


def expected(cohort: Cohort) -> np.ndarray:
    """Covariance of one haplotype's alleles: the panel's, times the probability of one origin."""
    held = cohort.panel.alleles[0, :, :LOOKED_AT].astype(float)
    places = np.arange(LOOKED_AT)
    return np.cov(held.T, bias=True) * survival(cohort.terms, places[:, None], places[None, :])


def furthest(found: np.ndarray, said: np.ndarray) -> float:
    """The largest difference of covariances, in standard errors of a covariance of genotypes."""
    deviation = np.sqrt(np.diag(said))
    error = 2 * np.outer(deviation, deviation) / np.sqrt(PEOPLE)
    return float(np.max(np.abs(found - 2 * said) / np.where(error > 0, error, np.inf)))


def test_linkage_falls_with_distance_as_said_and_not_otherwise() -> None:
    cohort = Cohort(recipe(SAID, 3), 10)
    said = expected(cohort)
    assert furthest(np.cov(genotypes(cohort), bias=True), said) < 6.5
    assert furthest(np.cov(genotypes(cohort, factor=3.0), bias=True), said) > 10  # another decay is seen


def test_frequencies_are_those_of_the_ancestry() -> None:
    cohort = Cohort(recipe("variants=64,haplotypes=12,divergence=0.3", 4), 10)
    for ancestry, frequency in enumerate(cohort.panel.frequencies()[:, :LOOKED_AT]):
        found = genotypes(cohort, ancestry=ancestry).mean(axis=1) / 2
        assert np.abs(found - frequency).max() < 5 * 0.5 / np.sqrt(2 * PEOPLE)


def test_divergence_is_the_fixation_index() -> None:
    said = terms(recipe("variants=20000,haplotypes=400,divergence=0.1,linkage=0", 5))
    first, second = panel.drawn(said, np.random.default_rng(5)).frequencies()
    # Hudson's estimator (Bhatia et al. 2013, equation 10), as a ratio of means.
    within = (first * (1 - first) + second * (1 - second)) / (400 - 1)
    between = first * (1 - second) + second * (1 - first)
    assert np.mean((first - second) ** 2 - within) / np.mean(between) == pytest.approx(0.1, abs=0.01)


def test_a_copying_error_turns_alleles() -> None:
    calm = Cohort(recipe(SAID + ",copying-error=0.1,recombination=0", 6), 10)
    frequency = calm.panel.frequencies()[0, :LOOKED_AT]
    found = genotypes(calm).mean(axis=1) / 2
    assert found == pytest.approx(0.9 * frequency + 0.1 * (1 - frequency), abs=0.02)


def test_chromosomes_are_independent_of_each_other() -> None:
    cohort = Cohort(recipe("variants=352,haplotypes=40,recombination=0,ancestries=1", 7), 10)
    chromosome = panel.chromosome_of(cohort.panel.variants)
    assert sorted(set(chromosome.tolist())) == list(range(1, 23))
    joint = np.corrcoef(genotypes(cohort)[[15, 16]])  # the last of the first, the first of the second
    assert chromosome[15] != chromosome[16]
    assert abs(joint[0, 1]) < 5 / np.sqrt(PEOPLE)


def test_a_given_panel_is_copied(tmp_path) -> None:
    alleles = np.zeros((1, 3, 13), dtype=np.int8)
    alleles[:, 0] = 1
    np.savez(tmp_path / "own.npz", haplotypes=alleles)
    cohort = Cohort(recipe("recombination=0", 8), 10, panel.given(tmp_path / "own.npz"))
    assert cohort.panel.variants == BLOCK
    found = genotypes(cohort, 50)
    assert (found == found[0]).all()


@pytest.mark.parametrize("wrong", [np.zeros((3, 16)), np.full((1, 3, 16), 2), np.zeros((1, 3, 4))])
def test_what_is_no_panel_is_refused(tmp_path, wrong) -> None:
    np.savez(tmp_path / "own.npz", haplotypes=wrong)
    with pytest.raises(DataError, match="haplotypes are 0 and 1"):
        panel.given(tmp_path / "own.npz")
    with pytest.raises(DataError, match="is no panel"):
        panel.given(tmp_path / "absent.npz")


@pytest.mark.parametrize(
    "stratum", ["height=3", "variants", "variants=many", "heritability=2", "sites=1.5", "site-9.share=1",
                "causal=50,variants=8"],
)  # fmt: skip
def test_a_recipe_that_says_nonsense_is_refused(stratum) -> None:
    with pytest.raises(UsageError):
        recipe(stratum, 1)
