"""Stories that would single out a smaller sum than the roster promises, told to real hospitals."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from federation import Federation, federation, total
from liar import Flow, Liar, Story, flow

from ground.errors import PrivacyError
from privacy.secagg.graph import degree, least_sum, least_threshold, neighbourhoods
from privacy.secagg.stories import certain, quorum

EXPOSED = [
    (count, colluders)
    for count in range(5, 13)
    for colluders in range(3)
    if certain(count, least_threshold(count, colluders), least_threshold(count, colluders), colluders)
    < least_threshold(count, colluders)
]


@cache
def singled_out(count: int, colluders: int) -> tuple[Story, Flow]:
    """The story about everybody that leaves the smallest sum, colluders among it."""
    threshold = least_threshold(count, colluders)
    for size in range(1, threshold):
        for helping in range(min(colluders, size - 1) + 1):
            for hidden in range(count - threshold + 1):
                story = Story(count - helping, size - helping, hidden, count - threshold, threshold - helping)
                believed = story.dropped() if story.kept + hidden <= story.honest else None
                if believed is not None:
                    return story, believed
    raise AssertionError("no story is told")


def told(count: int, colluders: int, *, confirm: bool) -> Liar:
    """Hospitals to whom it was told, with a roster that has them confirm requests or not."""
    threshold = least_threshold(count, colluders)
    hospitals = federation(count, colluders=colluders, threshold=threshold, confirm=confirm)
    liar = Liar.of(hospitals, *singled_out(count, colluders))
    liar.show()
    return liar


def test_the_stories_are_told_to_most_federations_of_five_to_twelve() -> None:
    assert len(EXPOSED) == 21
    assert {(12, 0), (12, 1), (12, 2)} <= {*EXPOSED}


@pytest.mark.parametrize(("count", "colluders"), EXPOSED)
def test_where_nobody_confirms_stories_reveal_a_smaller_sum_than_promised(count: int, colluders: int) -> None:
    liar = told(count, colluders, confirm=False)
    assert len(liar.kept) + len(liar.helpers) < liar.hospitals.roster.fewest
    np.testing.assert_array_equal(liar.sum(liar.ask()), total(liar.kept))


@pytest.mark.parametrize(("count", "colluders"), EXPOSED)
def test_where_hospitals_confirm_the_same_stories_get_no_answer(count: int, colluders: int) -> None:
    liar = told(count, colluders, confirm=True)
    liar.sign()
    assert len({asked.digest for asked in liar.requests.values()}) > 1
    for name, asked in liar.requests.items():
        with pytest.raises(PrivacyError, match="hospitals confirm the unmask request of round 1"):
            liar.hospitals.unmask(name, asked)


@pytest.mark.parametrize(("count", "colluders"), EXPOSED)
def test_the_coordinator_has_exposed_hospitals_confirm(count: int, colluders: int) -> None:
    assert federation(count, colluders=colluders).roster.confirm


def test_one_of_twelve_is_alone_with_a_coordinator_that_nobody_helps() -> None:
    liar = told(12, 1, confirm=False)
    assert (len(liar.kept), liar.helpers) == (1, ())


SPARSE, SHARES = 150, 23  # one share fewer than hospitals insist on, with whom nobody need collude


def about_one_of_many(hospitals: Federation) -> Liar:
    """All neighbours of the first are called dropped, each before as many of its own as restore its key."""
    roster = hospitals.roster
    around, victim = neighbourhoods(roster.names, roster.digest), roster.names[0]
    gone = [name for name in around[victim] if name != victim]
    place = {name: number for number, name in enumerate(roster.names)}
    most = min(SPARSE - roster.fewest, degree(SPARSE) + 1 - roster.threshold)
    near = {name: [other for other in gone if other != name and other in around[name]] for name in place}
    believers = [name for name, others in near.items() if others]
    believed = flow(
        {place[name]: most for name in believers},
        {place[name]: [place[other] for other in near[name]] for name in believers},
        {place[other]: roster.threshold for other in gone},
    )
    assert believed is not None
    dropped = {roster.names[one]: {roster.names[other] for other in of} for one, of in believed.items()}
    return Liar(hospitals, (victim,), (), {}, dropped)


def test_the_stories_that_leave_one_of_150_alone_cannot_all_be_confirmed() -> None:
    fewest = least_sum(SPARSE, 1)
    liar = about_one_of_many(federation(SPARSE, threshold=SHARES, fewest=fewest, confirm=True))
    assert {len(request.active) >= fewest for request in liar.requests.values()} == {True}
    asked = [request.digest for request in liar.requests.values()]
    unasked = SPARSE - len(asked)
    # Whoever is not needed may sign what it likes, and still no two requests have a majority.
    common = sorted(map(asked.count, {*asked}))[-2:]
    assert len({*asked}) > 2
    assert sum(common) + unasked + round(SPARSE / 20) < 2 * quorum(SPARSE, 1)
