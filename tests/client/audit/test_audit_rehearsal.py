from __future__ import annotations

import pytest

from client.audit import rehearsal
from privacy.secagg import CoordinatorSide, HospitalSide
from privacy.secagg.identity import Identity
from tasks.study import Study


def coordinated(study: Study, hospitals: int) -> int:
    """The fewest hospitals in a sum, as the coordinator of so many asks for it."""
    assert study.privacy is not None
    announced = [
        HospitalSide.begin(study.digest, name).announce(Identity.generate())
        for name in (f"hospital-{number:02}" for number in range(hospitals))
    ]
    return CoordinatorSide.begin(study.digest, announced, study.privacy.minimum_hospitals).roster.fewest


@pytest.mark.parametrize("counting", [True, False])
@pytest.mark.parametrize("hospitals", [5, 7, 10])
def test_a_rehearsal_shares_noise_among_as_many_as_the_coordinator_asks_for(
    hospitals: int, counting: bool, studies: dict[str, Study]
) -> None:
    shares, step = rehearsal._shares_and_step(studies["secure"], hospitals, counting=counting)
    assert shares == coordinated(studies["secure"], hospitals)
    assert step > 0


def test_there_are_federations_whose_sums_hold_more_than_the_study_s_minimum(
    studies: dict[str, Study],
) -> None:
    """Where the test above would notice that the minimum alone was taken."""
    study = studies["secure"]
    assert study.privacy is not None
    assert coordinated(study, 10) > study.privacy.minimum_hospitals
