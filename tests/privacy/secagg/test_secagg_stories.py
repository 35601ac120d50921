"""How small a sum lies can single out: the count against a search over everything that can be told."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from liar import Story
from scipy.optimize import LinearConstraint, milp

from privacy.secagg.graph import COMPLETE, least_threshold
from privacy.secagg.stories import certain, needs_confirmation, quorum

# Every roster that hospitals join: n, t, f, c.
JOINED = [
    (count, threshold, fewest, colluders)
    for count in range(3, 10)
    for colluders in range(3)
    for threshold in range(least_threshold(count, colluders), count + 1)
    for fewest in range(colluders + 2, count + 1)
]


@cache
def tellable(story: Story) -> bool:
    return story.dropped() is not None


def by_flow(count: int, threshold: int, fewest: int, colluders: int) -> int:
    """The smallest sum that some number of hidden hospitals and a flow of called-dropped ones single out."""
    return min(
        kept + helping
        for helping in range(colluders + 1)
        for kept in range(1, count - helping + 1)
        for hidden in range(min(count - fewest, count - helping - kept) + 1)
        if tellable(Story(count - helping, kept, hidden, count - fewest, threshold - helping))
    )


@cache
def reveals(honest: int, kept: int, missing: int, needed: int) -> bool:
    """Whether anything at all that hospitals can be told singles out the sum of the first few.

    Of each hospital, each other is hidden in its opening, or dropped in its request, or neither; no symmetry
    and no theorem is used. The self masks of the kept must be restored, and of each pair of a kept and
    another hospital the mask: it never was where the other is hidden, or the other's key is restored.
    """
    hide = {(h, g): 0 for h in range(honest) for g in range(honest) if h != g}
    hide = {pair: number for number, pair in enumerate(hide)}
    drop = {pair: len(hide) + number for pair, number in hide.items()}
    key = {g: 2 * len(hide) + g for g in range(honest)}
    rows: list[tuple[dict[int, float], float]] = []  # Σ coefficient · variable ≥ bound
    for h in range(honest):
        others = [g for g in range(honest) if g != h]
        rows.append(({of[h, g]: -1.0 for g in others for of in (hide, drop)}, -missing))
        rows += [({hide[h, g]: -1.0, drop[h, g]: -1.0}, -1.0) for g in others]
        if h < kept:
            rows.append(({of[g, h]: -1.0 for g in others for of in (hide, drop)}, needed - honest))
            rows += [({hide[h, g]: 1.0, key[g]: 1.0}, 1.0) for g in others if g >= kept]
            # One-sided, the mask between two of the kept would stay.
            rows += [({hide[h, g]: 1.0, hide[g, h]: -1.0}, 0.0) for g in others if g < kept]
        else:
            rows.append(({drop[g, h]: 1.0 for g in others} | {key[h]: -needed}, 0.0))
    matrix = np.zeros((len(rows), 2 * len(hide) + honest))
    for row, (coefficients, _) in zip(matrix, rows, strict=True):
        for variable, coefficient in coefficients.items():
            row[variable] = coefficient
    bounds = LinearConstraint(matrix, lb=[bound for _, bound in rows])
    width = matrix.shape[1]
    return bool(milp(np.zeros(width), integrality=np.ones(width), bounds=(0, 1), constraints=bounds).success)


def by_search(count: int, threshold: int, fewest: int, colluders: int) -> int:
    """The smallest sum that anything singles out; hospitals also see to it that `threshold` are there."""
    missing = count - max(fewest, threshold)
    return next(
        size
        for size in range(1, count + 1)
        for helping in range(min(colluders, size - 1) + 1)
        if reveals(count - helping, size - helping, missing, threshold - helping)
    )


@pytest.mark.parametrize("count", range(3, 10))
def test_the_smallest_sum_is_that_which_a_maximum_flow_finds(count: int) -> None:
    rosters = [roster for roster in JOINED if roster[0] == count]
    assert [certain(*roster) for roster in rosters] == [by_flow(*roster) for roster in rosters]


@pytest.mark.parametrize("count", range(3, 10))
def test_nothing_that_can_be_told_singles_out_a_smaller_sum(count: int) -> None:
    rosters = [roster for roster in JOINED if roster[0] == count]
    for roster in rosters:
        found = by_search(*roster)
        assert certain(*roster) <= found
        if roster[1] <= roster[2]:
            assert certain(*roster) == found


def test_a_sum_that_every_hospital_may_believe_in_is_always_to_be_had() -> None:
    for count, threshold, fewest, colluders in JOINED:
        if fewest >= threshold:
            assert 1 <= certain(count, threshold, fewest, colluders) <= fewest


def test_the_smallest_sum_falls_with_each_colluder_and_each_hospital_that_may_be_missing() -> None:
    for count, threshold, fewest, colluders in JOINED:
        least = certain(count, threshold, fewest, colluders)
        assert certain(count, threshold, fewest, colluders + 1) <= least
        assert certain(count, threshold, fewest - 1, colluders) <= least


def test_hospitals_confirm_just_where_a_smaller_sum_than_promised_can_be_singled_out() -> None:
    for roster in JOINED:
        assert needs_confirmation(*roster) == (by_flow(*roster) < roster[2])
    assert needs_confirmation(COMPLETE + 1, COMPLETE + 1, COMPLETE + 1, 0)


@pytest.mark.parametrize("colluders", [0, 1, 2, 5])
@pytest.mark.parametrize("count", [*range(3, 13), 49, 50, 51, 150])
def test_a_quorum_is_the_smallest_that_two_different_requests_cannot_both_have(
    count: int, colluders: int
) -> None:
    corrupt = max(colluders, round(count / 20)) if count > COMPLETE else colluders
    smallest = next(size for size in range(count + corrupt) if 2 * size > count + corrupt)
    assert quorum(count, colluders) == smallest
    assert colluders > count - 2 or smallest <= count
