"""Secrets from shares, some of which may be false.

Whoever made a secret said beforehand what fixes it: the public half of its mask key, the commitment to its
self mask. So a restored secret shows whether all shares in it were genuine, and where they were not, others
are tried: any threshold of genuine ones will do. A share is false for certain only beside a genuine secret;
where no choice of shares gives one, the owner may have handed out false ones itself, and nobody can tell.
Verifiable sharing (Feldman, FOCS 1987) would tell at once, at the price of a public key for each share.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations

from ground.errors import FederationError
from privacy.secagg import sharing

# With t of m shares and e of them false a random choice is good with a chance of about ((m − t)/m)^e.
TRIES = 256


@dataclass(frozen=True)
class Restored:
    """A secret, and who sent a false share of it."""

    secret: bytes
    liars: frozenset[str] = frozenset()


def restore(
    shares: Mapping[str, bytes],
    threshold: int,
    holders: tuple[str, ...],
    genuine: Callable[[bytes], bool],
    *,
    whose: str,
    what: str,
    suspects: Collection[str] = (),
) -> Restored:
    """The genuine secret; `suspects` sent false shares of others, and are asked last.

    Raises FederationError, naming its owner, where too few shares came back or none of the choices tried
    gives it.
    """
    if len(shares) < threshold:
        sharing.combine(shares, threshold, holders, whose)  # raises, and says how many came
    trusted = sorted(shares, key=lambda name: (name in suspects, name))
    for tried, chosen in enumerate(_choices(trusted, threshold, whose)):
        secret = sharing.combine({name: shares[name] for name in chosen}, threshold, holders, whose)
        if genuine(secret):
            if not tried:  # none of these is false, and the others are nobody's business
                return Restored(secret)
            return Restored(secret, _false(shares, chosen, trusted, secret, holders))
    raise FederationError(f"the shares of {whose} are not of its {what}: the round is abandoned")


def _choices(names: list[str], threshold: int, seed: str) -> Iterator[tuple[str, ...]]:
    """So many of them at a time, the first ones first; all choices, or of a great many some at random."""
    if math.comb(len(names), threshold) <= TRIES:
        yield from combinations(names, threshold)
        return
    yield tuple(names[:threshold])
    draw = random.Random(seed)  # noqa: S311, nothing secret: the same attempts in every run
    for _ in range(TRIES - 1):
        yield tuple(draw.sample(names, threshold))


def _false(
    shares: Mapping[str, bytes],
    chosen: tuple[str, ...],
    names: Collection[str],
    secret: bytes,
    holders: tuple[str, ...],
) -> frozenset[str]:
    """Those whose share, in the place of a genuine one, gives another secret."""
    others, threshold = chosen[1:], len(chosen)

    def fits(name: str) -> bool:
        mixed = {each: shares[each] for each in (*others, name)}
        return sharing.combine(mixed, threshold, holders, name) == secret

    return frozenset(name for name in names if name not in chosen and not fits(name))
