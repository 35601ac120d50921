"""A part of the sparse graph's ring, singled out of a round whose request a majority confirms.

Around a core of the ring lie two rims, each k/2 hospitals in a row. Those in the rims are shown an opening
without the hospitals outside, and no request; everybody else is asked for the whole sum. A core or rim
hospital then has masks with core, rims and colluders alone, and its self mask is restored by those of its
neighbours who answer: of the rims, the colluders.
"""

from __future__ import annotations

import hashlib

import numpy as np
from federation import Federation, federation, total
from liar import Liar

from privacy.secagg.graph import degree, least_threshold, neighbourhoods

COUNT, CORE = 74, 20
HALF = degree(COUNT) // 2
EACH = 2  # colluders in either rim


def arc(hospitals: Federation) -> Liar:
    """The core, and the rims less the colluders at their outer ends."""
    roster = hospitals.roster
    around = neighbourhoods(roster.names, roster.digest)
    ring = sorted(roster.names, key=lambda name: hashlib.sha256(f"{roster.digest} {name}".encode()).digest())
    core, right, outside, left = np.split(np.array(ring), [CORE, CORE + HALF, COUNT - HALF])
    helpers = {*right[-EACH:].tolist(), *left[:EACH].tolist()}
    rims = {*right.tolist(), *left.tolist()} - helpers
    kept = {*core.tolist(), *rims}
    hidden = {name: {*around[name]} & {*outside.tolist()} for name in rims}
    asked = {name: set[str]() for name in (*core.tolist(), *outside.tolist())}
    return Liar(hospitals, tuple(sorted(kept)), tuple(sorted(helpers)), hidden, asked)


def helped(liar: Liar, name: str) -> int:
    """How many shares of a hospital's self mask the coordinator gets."""
    roster = liar.hospitals.roster
    return sum(
        peer in liar.dropped or peer in liar.helpers
        for peer in neighbourhoods(roster.names, roster.digest)[name]
    )


def test_a_threshold_one_lower_would_let_openings_alone_cut_off_a_part_of_the_ring() -> None:
    threshold = least_threshold(COUNT, 1) - 1
    assert 2 * threshold > degree(COUNT) + 1 + 2 * EACH  # though no two requests find enough answers
    liar = arc(federation(COUNT, threshold=threshold, fewest=COUNT - HALF + EACH, confirm=True))
    assert len(liar.kept) + len(liar.helpers) < liar.hospitals.roster.fewest
    liar.show()
    liar.sign()
    np.testing.assert_array_equal(liar.sum(liar.ask()), total(liar.kept))


def test_with_the_threshold_as_it_is_nobody_in_that_part_is_unmasked() -> None:
    threshold = least_threshold(COUNT, 1)
    liar = arc(federation(COUNT, threshold=threshold, fewest=COUNT - HALF + EACH, confirm=True))
    assert {helped(liar, name) for name in liar.kept} >= {threshold - 1}
    assert sum(helped(liar, name) < threshold for name in liar.kept) >= 2 * (HALF - EACH)
