"""Who masks with whom: everybody up to 50 hospitals, a random regular graph beyond (Bell et al., CCS 2020).

With k neighbours each, a hospital's work no longer grows with the federation. The graph is a Harary ring: the
hospitals in an order drawn from the roster's digest, each joined with the k/2 on either side. It is private
and robust as long as, in every hospital's closed neighbourhood of k + 1,

- 2t > k + 2 + c, with at most c corrupt members: no two contradicting unmask requests both find t answers,
  and no part of the ring is cut off: where openings hide what lies beyond, or everybody there is gone, an
  edge has k/2 neighbours in a row of whom only corrupt ones help, so each of two edges needs t − k/2 − 1;
- at least t members remain: a dropped or active hospital's secret is restored;
- no k/2 neighbours in a row are all corrupt or gone: the rest stays one connected sum.

`degree` takes the smallest k for which each of the three fails with probability at most 2⁻⁴⁰ (privacy) or
2⁻²⁰ (robustness) by a union bound over hypergeometric tails, for one hospital in twenty corrupt and one in
ten gone. A coordinator that also controls hospitals can redraw the order by having them announce new keys.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache

from scipy.stats import hypergeom

COMPLETE = 50
CORRUPT, GONE = 1 / 20, 1 / 10
PRIVATE, ROBUST = 2.0**-40, 2.0**-20


@lru_cache(maxsize=64)
def neighbourhoods(names: tuple[str, ...], seed: str) -> dict[str, tuple[str, ...]]:
    """Hospital -> itself and those it masks with, in alphabetical order."""
    if len(names) <= COMPLETE:
        return dict.fromkeys(names, tuple(sorted(names)))
    half = degree(len(names)) // 2
    if 2 * half >= len(names) - 1:
        return dict.fromkeys(names, tuple(sorted(names)))
    ring = sorted(names, key=lambda name: hashlib.sha256(f"{seed} {name}".encode()).digest())
    return {
        name: tuple(sorted(ring[(place + away) % len(ring)] for away in range(-half, half + 1)))
        for place, name in enumerate(ring)
    }


def least_threshold(hospitals: int, colluders: int) -> int:
    """t: the least number of share holders that keeps the promise of `neighbourhoods`.

    In the complete graph the smallest with 2t > n + c for c hospitals that collude with the coordinator; in
    the sparse one as `degree` takes it, or more where so many colluders could all be neighbours.
    """
    if hospitals <= COMPLETE:
        return min(hospitals, (hospitals + colluders) // 2 + 1)
    size = min(hospitals, degree(hospitals) + 1)
    corrupt = max(corrupt_neighbours(hospitals, size - 1), min(colluders, size - 1))
    return min(size, (size + 1 + corrupt) // 2 + 1)


def least_sum(hospitals: int, colluders: int) -> int:
    """The fewest hospitals in a sum: the threshold, or in a sparse graph all but those it expects to go."""
    if hospitals <= COMPLETE:
        return least_threshold(hospitals, colluders)
    return hospitals - int(GONE * hospitals)


def fewest_in_a_sum(hospitals: int, minimum: int, colluders: int = 1) -> int:
    """What a coordinator asks for, where the study asks for `minimum` hospitals in a sum.

    However few there are, two of them do not collude: else the sum would show one alone.
    """
    return max(3, minimum, colluders + 2, least_sum(hospitals, colluders))


@lru_cache(maxsize=64)
def degree(hospitals: int) -> int:
    """The smallest even k that is private and robust; at most n − 1, rounded up to even."""
    for k in range(2, hospitals, 2):
        corrupt = corrupt_neighbours(hospitals, k)
        threshold = (k + 2 + corrupt) // 2 + 1
        gone = hypergeom(hospitals - 1, round(GONE * hospitals), k)
        robust = hospitals * gone.sf(k + 1 - threshold) <= ROBUST
        connected = hospitals * (CORRUPT + GONE) ** (k // 2) <= PRIVATE
        if threshold <= k + 1 and robust and connected:
            return k
    return hospitals - hospitals % 2


@lru_cache(maxsize=1024)
def corrupt_neighbours(hospitals: int, k: int) -> int:
    """c: more than so many corrupt among k neighbours occur nowhere, but with probability 2⁻⁴⁰."""
    corrupt = hypergeom(hospitals - 1, round(CORRUPT * hospitals), k)
    return next(c for c in range(k + 1) if hospitals * corrupt.sf(c) <= PRIVATE)
