"""Digital patients for trying the task out: haplotypes with linkage, a smooth image, one gene that moves it.

All numbers are assumed. A genotype is the sum of two haplotypes, each a thresholded Gaussian chain along
blocks of variants (linkage decays within a block, and there is none between blocks). The image has three
smooth modes and noise; the causal gene's variants explain `EXPLAINED` of the variance of the first mode.
Hospitals differ in allele frequencies (ancestry) and in a scanner's offset. `laennec patients
heterogeneous` makes richer cohorts.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from ground.errors import UsageError
from simulation.recipe import Recipe
from tasks.imaging_genetics.genotypes import Stored, Variants
from tasks.imaging_genetics.options import PHENOTYPES, VARIANTS
from tasks.imaging_genetics.patients import Pairs, Phenotypes

SIMULATOR, VERSION = "imaging-genetics", 1
STRATA = ("north", "east", "south", "west")
GENE, LINKED = 37, 20  # the causal gene's block, and variants in a block
CAUSAL = tuple(GENE * LINKED + place for place in (8, 10, 12))
EXPLAINED = 0.15
LINKAGE = 0.95  # correlation of neighbours in the chain
DRIFT = 0.15  # of allele frequencies between hospitals, in logits
MODES = (0.35, 0.2, 0.1)  # share of the image's variance; the rest is noise of each phenotype
OFFSET = 0.2  # of a scanner, in deviations of a phenotype

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class _Truth:
    """What all patients of a hospital share."""

    threshold: Floats  # of the chain, (variant,)
    modes: Floats  # (mode, phenotype)
    offset: Floats  # (phenotype,)
    effect: float  # of one causal allele on the first mode


def recipes(stratum: str, count: int, seed: int) -> list[Recipe]:
    """Recipes of `count` independent patients; the first ones do not depend on `count`."""
    if stratum not in STRATA:
        raise UsageError(f"imaging-genetics: no stratum {stratum!r}; choose one of {', '.join(STRATA)}")
    if count < 0 or seed < 0:
        raise UsageError("imaging-genetics: count and seed must not be negative; give whole numbers from 0")
    words = np.random.SeedSequence(seed).generate_state(count, np.uint64)
    return [Recipe(SIMULATOR, VERSION, stratum, int(word) >> 11) for word in words]


def simulate(those: list[Recipe]) -> Pairs:
    """The patients of some recipes, each a function of its own recipe alone."""
    everybody = [_patient(recipe) for recipe in those]
    genotypes = np.stack([each[0] for each in everybody], axis=1)
    phenotypes = np.stack([each[1] for each in everybody])
    rows = np.arange(len(those))
    return Pairs(Phenotypes(phenotypes, rows), Stored(genotypes, rows), variants())


def variants() -> Variants:
    """Where the variants lie: a chromosome each hundred blocks and its tenth, one variant a kilobase."""
    order = np.arange(VARIANTS)
    chromosome = (order * 22 // VARIANTS + 1).astype(str)
    names = np.array([f"gene{place // LINKED + 1}:{place % LINKED + 1}" for place in order])
    return Variants(chromosome, 1000 * (order + 1), names, np.full(VARIANTS, "A/G"))


def _patient(recipe: Recipe) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.float32]]:
    random = np.random.Generator(np.random.PCG64(recipe.entropy()))
    truth = _truth(recipe.stratum)
    genotype = (_chain(random) < truth.threshold).sum(axis=0).astype(np.int8)
    moved = genotype[list(CAUSAL)].sum() - 2.0 * len(CAUSAL) * 0.5
    latent = random.standard_normal(len(MODES))
    latent[0] = np.sqrt(1.0 - EXPLAINED) * latent[0] + truth.effect * moved
    noise = np.sqrt(1.0 - sum(MODES)) * random.standard_normal(PHENOTYPES)
    image = (np.sqrt(MODES) * latent) @ truth.modes + noise + truth.offset
    return genotype, image.astype(np.float32)


def _chain(random: np.random.Generator) -> Floats:
    """Two haplotypes' Gaussian chains, (2, variant): correlated within blocks, each N(0, 1)."""
    blocks = random.standard_normal((2, VARIANTS // LINKED, LINKED))
    for place in range(1, LINKED):
        blocks[:, :, place] = (
            LINKAGE * blocks[:, :, place - 1] + np.sqrt(1 - LINKAGE**2) * blocks[:, :, place]
        )
    return blocks.reshape(2, VARIANTS)


@lru_cache(maxsize=len(STRATA))
def _truth(stratum: str) -> _Truth:
    everywhere = np.random.default_rng(20170609)
    here = np.random.default_rng([20170609, STRATA.index(stratum)])
    frequency = everywhere.uniform(0.05, 0.5, VARIANTS)
    frequency[list(CAUSAL)] = 0.5
    logit = np.log(frequency / (1 - frequency)) + DRIFT * here.standard_normal(VARIANTS)
    place = np.linspace(0.0, np.pi, PHENOTYPES)
    modes = np.stack([np.cos((number + 1) * place) for number in range(len(MODES))])
    modes *= np.sqrt(PHENOTYPES) / np.linalg.norm(modes, axis=1, keepdims=True)
    # Three alleles in linkage: their sum's variance, by the chain, is that of a few thousand draws.
    drawn = (_causal(np.random.default_rng(7)) < 0.0).sum(axis=1).sum(axis=1)
    return _Truth(
        threshold=_normal_quantile(1 / (1 + np.exp(-logit))),
        modes=modes,
        offset=OFFSET * here.standard_normal(PHENOTYPES),
        effect=float(np.sqrt(EXPLAINED) / drawn.std()),
    )


def _causal(random: np.random.Generator) -> Floats:
    """The chain at the causal variants of many people, (person, haplotype, causal)."""
    near = np.abs(np.subtract.outer(CAUSAL, CAUSAL))
    return random.multivariate_normal(np.zeros(len(CAUSAL)), LINKAGE**near, (4000, 2))


def _normal_quantile(probability: Floats) -> Floats:
    from scipy.special import ndtri

    found: Floats = ndtri(probability)
    return found
