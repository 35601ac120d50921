"""Every hospital says how many colluders it fears, signed; the coordinator reckons with the most."""

from __future__ import annotations

import numpy as np
import pytest
from federation import STUDY, altered, called, identity, known, total
from federation import Federation as Everybody

from ground.errors import PrivacyError, UsageError
from privacy.secagg import CoordinatorSide, Endorsement, Floor, HospitalSide, Roster
from privacy.secagg.graph import least_threshold


def sides_of(count: int, feared: dict[int, int]) -> dict[str, HospitalSide]:
    return {
        name: HospitalSide.begin(STUDY, name, feared.get(place, 1))
        for place, name in enumerate(called(count))
    }


def coordinator(sides: dict[str, HospitalSide]) -> CoordinatorSide:
    return CoordinatorSide.begin(STUDY, [side.announce(identity(n)) for n, side in sides.items()], 3)


def join(sides: dict[str, HospitalSide], roster: Roster, name: str) -> tuple[HospitalSide, Endorsement]:
    floor = Floor(colluders=sides[name].colluders)
    return sides[name].join(roster, identity(name), known(sides), floor)


@pytest.mark.parametrize("count", [4, 5, 6, 9, 12, 60])
@pytest.mark.parametrize("feared", [{}, {0: 0}, {1: 2}, {0: 2, 3: 2}])
def test_a_roster_meets_what_every_hospital_fears_and_all_of_them_join(
    count: int, feared: dict[int, int]
) -> None:
    sides = sides_of(count, feared)
    roster = coordinator(sides).roster
    most = max(1, *feared.values(), 1)
    assert roster.threshold >= least_threshold(count, most)
    assert roster.fewest >= most + 2
    assert [each.colluders for each in roster.announcements] == [side.colluders for side in sides.values()]
    for name in sides:
        join(sides, roster, name)


def test_a_hospital_that_fears_two_is_summed_with() -> None:
    sides = sides_of(6, {2: 2})
    side = coordinator(sides)
    joined = {name: join(sides, side.roster, name) for name in sides}
    hospitals = Everybody(
        {name: each[0] for name, each in joined.items()}, side.endorsed(each[1] for each in joined.values())
    )
    hospitals.prepare(1)
    np.testing.assert_array_equal(hospitals.run(1, silent=called(6)[:1]), total(called(6)[1:]))


def test_more_colluders_than_the_federation_bears_are_named_with_who_fears_them() -> None:
    with pytest.raises(
        UsageError, match="at least 6 here; hospital-02 reckons with 4 colluding hospitals: wait"
    ):
        coordinator(sides_of(5, {2: 4}))


def test_a_coordinator_that_announces_fewer_is_refused_by_everybody() -> None:
    sides = sides_of(6, {2: 2})
    honest = coordinator(sides).roster
    lie = altered(honest.announcements[2], colluders=1)
    listed = tuple(lie if each.hospital == lie.hospital else each for each in honest.announcements)
    low = CoordinatorSide.begin(STUDY, listed, 3).roster
    assert low.threshold < honest.threshold
    for name in sides:
        why = "says that this hospital reckons with 1 colluding hospitals, and it said 2"
        why = why if name == lie.hospital else "hospital-02 did not sign its keys"
        with pytest.raises(PrivacyError, match=why):
            join(sides, low, name)


def test_a_coordinator_that_reckons_with_fewer_than_announced_is_refused_by_who_fears_more() -> None:
    sides = sides_of(6, {2: 2})
    honest = coordinator(sides).roster
    low = coordinator(sides_of(6, {})).roster
    careless = altered(honest, threshold=low.threshold, fewest=low.fewest, quorum=low.quorum)
    with pytest.raises(PrivacyError, match=r"insists on against 2 colluding hospitals|roster has"):
        join(sides, careless, "hospital-02")


def test_the_number_is_kept_with_the_state() -> None:
    side = HospitalSide.begin(STUDY, "hospital-00", 2)
    assert HospitalSide.from_text(side.to_text()).announce(identity("hospital-00")).colluders == 2
