"""What is iterated side by side in partial least squares: the components, permutations, halves.

Each is a subspace iteration of its own over some pairing of the patients' imaging with their genotypes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from tasks.learners.products import Floats

Kind = Literal["components", "permutation", "half"]


@dataclass(frozen=True)
class Analysis:
    """One subspace iteration.

    Attributes:
        kind: what it is for.
        width: how many weight vectors it has.
        number: of the permutation, 0 for the patients as they are; of the split.
        half: 0 or 1.

    """

    kind: Kind
    width: int
    number: int = 0
    half: int = 0


def side_by_side(components: int, width: int, permutations: int, splits: int) -> tuple[Analysis, ...]:
    """The components with `width` vectors, and where they are asked for permutations and halves."""
    everything = [Analysis("components", width)]
    if permutations:
        everything += [Analysis("permutation", components, number) for number in range(permutations + 1)]
    everything += [Analysis("half", components, number, half) for number in range(splits) for half in (0, 1)]
    return tuple(everything)


def columns_of(analyses: tuple[Analysis, ...]) -> list[tuple[Analysis, slice]]:
    """Each analysis with its place among all weight vectors."""
    ends = np.cumsum([each.width for each in analyses]).tolist()
    return [(each, slice(end - each.width, end)) for each, end in zip(analyses, ends, strict=True)]


def paired(analysis: Analysis, scores: Floats, seed: int, *, genetics: bool) -> Floats:
    """The scores of one hospital's patients as this analysis weighs the other table's rows by them.

    `scores` have shape (patient, vector); `genetics` where these are imaging scores that weigh genotypes.
    In a permutation patient i's imaging meets the genotypes of patient π(i), in both directions; in a half
    only its patients count, their scores centred.
    """
    count = len(scores)
    if analysis.kind == "permutation" and analysis.number:
        order = _shuffled(count, seed, 1, analysis.number)
        if not genetics:
            return scores[order]
        moved = np.empty_like(scores)
        moved[order] = scores
        return moved
    if analysis.kind == "half":
        chosen = np.array_split(_shuffled(count, seed, 2, analysis.number), 2)[analysis.half]
        found = np.zeros_like(scores)
        if len(chosen):
            found[chosen] = scores[chosen] - scores[chosen].mean(axis=0)
        return found
    return scores


def _shuffled(count: int, seed: int, purpose: int, number: int) -> npt.NDArray[np.int64]:
    return np.random.default_rng([seed, purpose, number, count]).permutation(count)
