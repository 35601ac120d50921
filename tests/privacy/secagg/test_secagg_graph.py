"""Who masks with whom."""

from __future__ import annotations

from math import comb

import networkx
import pytest
from federation import called

from privacy.secagg.graph import (
    COMPLETE,
    corrupt_neighbours,
    degree,
    least_sum,
    least_threshold,
    neighbourhoods,
)

DEGREES = {51: 34, 100: 36, 200: 42, 500: 66}


@pytest.mark.parametrize("count", [1, 2, 3, 12, 50])
def test_up_to_fifty_hospitals_everybody_masks_with_everybody(count: int) -> None:
    names = called(count)
    assert neighbourhoods(names, "seed") == dict.fromkeys(names, names)


@pytest.mark.parametrize("count", [51, 60, 100, 200, 500])
def test_beyond_fifty_the_graph_is_regular_symmetric_and_connected(count: int) -> None:
    around = neighbourhoods(called(count), "seed")
    assert set(around) == set(called(count))
    for name, near in around.items():
        assert len(set(near)) == len(near) == degree(count) + 1
        assert name in near
        assert list(near) == sorted(near)
        assert all(name in around[peer] for peer in near)
    assert networkx.is_connected(networkx.Graph((a, b) for a, near in around.items() for b in near))


@pytest.mark.parametrize(("count", "expected"), DEGREES.items())
def test_degrees_are_as_they_were(count: int, expected: int) -> None:
    assert degree(count) == expected


def test_the_order_follows_from_the_rosters_digest() -> None:
    one, other = neighbourhoods(called(100), "one"), neighbourhoods(called(100), "other")
    assert one == neighbourhoods(called(100), "one")
    assert one != other


@pytest.mark.parametrize("count", range(2, COMPLETE + 1))
@pytest.mark.parametrize("colluders", [0, 1, 2, 5])
def test_the_least_threshold_is_the_smallest_that_two_contradicting_requests_cannot_both_reach(
    count: int, colluders: int
) -> None:
    smallest = next(t for t in range(1, 2 * COMPLETE) if 2 * t > count + colluders)
    assert least_threshold(count, colluders) == min(count, smallest)
    assert least_sum(count, colluders) == least_threshold(count, colluders)


@pytest.mark.parametrize("count", DEGREES)
def test_in_a_sparse_graph_the_threshold_keeps_the_promise_of_the_neighbourhood(count: int) -> None:
    size = degree(count) + 1
    corrupt = corrupt_neighbours(count, size - 1)
    assert size + 1 + corrupt < 2 * least_threshold(count, 1) <= size + corrupt + 3
    assert least_threshold(count, 1) <= size
    assert least_sum(count, 1) == count - count // 10


def test_more_colluders_than_a_sparse_graph_expects_raise_its_threshold() -> None:
    expected = corrupt_neighbours(60, degree(60))
    assert least_threshold(60, expected) == least_threshold(60, 0)
    assert 2 * least_threshold(60, expected + 6) > degree(60) + 1 + expected + 6
    assert least_threshold(60, 60) == degree(60) + 1


def edges_need(count: int) -> int:
    """How many corrupt hospitals, in two runs of k/2 in a row, cut off a part of the ring."""
    return 2 * (least_threshold(count, 1) - degree(count) // 2 - 1)


@pytest.mark.parametrize("count", [51, 60, 70, 74, 90, 100, 110, 120, 150, 200, 300])
def test_one_corrupt_hospital_in_twenty_is_too_few_to_cut_off_a_part_of_the_ring(count: int) -> None:
    assert edges_need(count) > round(count / 20)


@pytest.mark.parametrize("count", [400, 500, 1000])
def test_where_there_are_enough_they_hardly_ever_stand_in_two_runs(count: int) -> None:
    pairs = count * (count - 1) // 2
    assert pairs * tail(count, round(count / 20), degree(count), edges_need(count) - 1) <= 2**-30


def tail(everybody: int, marked: int, drawn: int, more_than: int) -> float:
    """P(more than so many marked among those drawn), without putting back: counted."""
    ways = sum(comb(marked, m) * comb(everybody - marked, drawn - m) for m in range(more_than + 1, drawn + 1))
    return ways / comb(everybody, drawn)


@pytest.mark.parametrize("count", DEGREES)
def test_each_of_the_three_ways_to_fail_is_as_rare_as_stated(count: int) -> None:
    k, threshold = degree(count), least_threshold(count, 1)
    corrupt = corrupt_neighbours(count, k)
    assert count * tail(count - 1, round(count / 20), k, corrupt) <= 2**-40
    assert count * tail(count - 1, round(count / 10), k, k + 1 - threshold) <= 2**-20
    assert count * 0.15 ** (k // 2) <= 2**-40
