"""Which variants act, the image's patterns, what each scanner adds: what a method may find again."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from simulation.cohort.haplotypes import survival
from simulation.cohort.panel import Panel
from simulation.cohort.terms import Terms

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Effects:
    """The truth of a cohort.

    Attributes:
        causal: indices of the variants that act, shape (causal,).
        weights: of one allele on the genetic score, by ancestry, shape (ancestry, causal).
        means: of the score before it is centred, by ancestry, shape (ancestry,).
        mode, aging, sex, atrophy: patterns over phenotypes, shape (phenotype,), at their most ±1.
        offsets: of each site's scanner, shape (site, phenotype).

    """

    causal: Integers
    weights: Floats
    means: Floats
    mode: Floats
    aging: Floats
    sex: Floats
    atrophy: Floats
    offsets: Floats


def effects(terms: Terms, panel: Panel, random: np.random.Generator) -> Effects:
    """Drawn once a cohort."""
    many = min(terms.count("causal"), panel.variants)
    causal = np.sort(random.choice(panel.variants, many, replace=False))
    raw = random.standard_normal(many)
    together = survival(terms, causal[:, None], causal[None, :])
    weights, means = np.zeros((panel.ancestries, many)), np.zeros(panel.ancestries)
    for number, own in enumerate(panel.alleles):
        held = own[:, causal].astype(float)
        centred = held - held.mean(axis=0)
        covariance = centred.T @ centred / len(held) * together
        variance = 2 * float(raw @ covariance @ raw)  # of two haplotypes
        weights[number] = raw / np.sqrt(variance) if variance > 0 else 0.0
        means[number] = 2 * float(held.mean(axis=0) @ weights[number])
    side = terms.count("side")
    across, down = (each.ravel() for each in np.meshgrid(*[np.linspace(-1, 1, side)] * 2))
    offsets = np.stack([_unit(field(1, terms, random)[0]) * site["offset"] for site in terms.sites])
    return Effects(
        causal,
        weights,
        means,
        mode=np.cos(np.pi * across) * np.cos(np.pi * down),
        aging=np.exp(-(across**2 + (down - 0.4) ** 2) / 0.5),
        sex=np.sin(np.pi * across / 2),
        atrophy=np.exp(-((across - 0.3) ** 2 + (down + 0.3) ** 2) / 0.3),
        offsets=offsets,
    )


def field(count: int, terms: Terms, random: np.random.Generator) -> Floats:
    """Gaussian noise of variance 1, shape (count, phenotype); correlation smoothness^(steps of the grid)."""
    side, near = terms.count("side"), terms["smoothness"]
    noise = random.standard_normal((count, side, side))
    fresh = np.sqrt(1 - near**2)
    for place in range(1, side):
        noise[:, place] = near * noise[:, place - 1] + fresh * noise[:, place]
    for place in range(1, side):
        noise[:, :, place] = near * noise[:, :, place - 1] + fresh * noise[:, :, place]
    flat: Floats = noise.reshape(count, side * side)
    return flat


def _unit(values: Floats) -> Floats:
    """With root mean square 1."""
    scaled: Floats = values / np.sqrt((values**2).mean())
    return scaled
