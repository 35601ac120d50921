"""What a coordinator can get by telling hospitals different stories, and when they must compare notes.

Each hospital sees only the opening and the unmask request that it is sent. That 2t > n + c keeps anybody from
collecting both secrets of one hospital, but not from telling different hospitals different things about
different peers: a sum over fewer hospitals than the roster promises can be singled out of the round. The
remedy is that of Bonawitz et al. (section 6): hospitals first sign the request that they were shown, and
answer it only with the signatures of a majority beside it. That is one more, small, message; it is asked for
where `certain` says that without it something would be lost.
"""

from __future__ import annotations

from functools import lru_cache

from privacy.secagg.graph import COMPLETE, CORRUPT


@lru_cache(maxsize=4096)
def certain(hospitals: int, threshold: int, fewest: int, colluders: int) -> int:
    """The fewest hospitals, colluders among them, in any sum that lies can single out; complete graph.

    Whoever is to be taken out of a sum of m honest hospitals is either hidden from each of the m by its
    opening, or called dropped before t − c honest others, which restores its mask key; each hospital believes
    that at most n − f peers are missing. Whether that can be told is a flow from those who are told to those
    they are told of, feasible if and only if it is for each number k of the latter (Hall's condition).
    """
    return min(_honest(hospitals, threshold, fewest, c) + c for c in range(colluders + 1))


def needs_confirmation(hospitals: int, threshold: int, fewest: int, colluders: int) -> bool:
    """Whether hospitals are to compare notes; in a sparse graph always, since it has more room for lies."""
    return hospitals > COMPLETE or certain(hospitals, threshold, fewest, colluders) < fewest


def quorum(hospitals: int, colluders: int) -> int:
    """So many signatures under one request cannot stand under another as well: 2·quorum > n + c."""
    corrupt = max(colluders, round(CORRUPT * hospitals)) if hospitals > COMPLETE else colluders
    return (hospitals + corrupt) // 2 + 1


def _honest(hospitals: int, threshold: int, fewest: int, colluders: int) -> int:
    honest, missing = hospitals - colluders, hospitals - fewest
    return next(
        (m for m in range(1, honest) if _can_be_told(honest, m, missing, max(1, threshold - colluders))),
        honest,
    )


def _can_be_told(honest: int, kept: int, missing: int, needed: int) -> bool:
    """Whether all but `kept` honest hospitals can be taken out: some hidden, the others called dropped."""
    others = honest - kept
    return any(
        all(
            kept * min(missing - hidden, k)
            + hidden * min(missing, k)
            + k * min(missing, k - 1)  # nobody believes that it is missing itself
            + (others - hidden - k) * min(missing, k)
            >= k * needed
            for k in range(1, others - hidden + 1)
        )
        for hidden in range(min(missing, others) + 1)
    )
