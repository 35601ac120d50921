from __future__ import annotations

import numpy as np
import pytest

from client.audit import rehearsal
from privacy.secagg import CoordinatorSide, HospitalSide
from privacy.secagg.identity import Identity
from privacy.secagg.wire import Roster
from tasks.messages import words_of_sum
from tasks.patients import Patients
from tasks.registry import find
from tasks.study import Study


def drawn_up(study: Study, hospitals: int) -> Roster:
    """The roster, as the coordinator of so many hospitals draws it up."""
    assert study.privacy is not None
    announced = [
        HospitalSide.begin(study.digest, name).announce(Identity.generate())
        for name in (f"hospital-{number:02}" for number in range(hospitals))
    ]
    return CoordinatorSide.begin(study.digest, announced, study.privacy.minimum_hospitals).roster


def coordinated(study: Study, hospitals: int) -> int:
    """The fewest hospitals in a sum, as the coordinator of so many asks for it."""
    return drawn_up(study, hospitals).fewest


@pytest.mark.parametrize("counting", [True, False])
@pytest.mark.parametrize("hospitals", [5, 7, 10])
def test_a_rehearsal_shares_noise_among_as_many_as_the_coordinator_asks_for(
    hospitals: int, counting: bool, studies: dict[str, Study]
) -> None:
    shares, words = rehearsal._shares_and_words(studies["secure"], hospitals, {}, counting=counting)
    assert shares == coordinated(studies["secure"], hospitals)
    assert words is not None


@pytest.mark.parametrize("counting", [True, False])
@pytest.mark.parametrize("values", [14, 2_000_000])
def test_a_rehearsal_has_the_words_of_the_study_for_a_model_of_its_size(
    values: int, counting: bool, studies: dict[str, Study]
) -> None:
    study, published = studies["secure"], {"model": np.zeros(values, dtype=np.float32)}
    task, plan = find(study.task), study.plan()
    assert plan is not None
    found = rehearsal._shares_and_words(study, 10, published, counting=counting)[1]
    roster = drawn_up(study, 10)
    assert found == words_of_sum(study, plan, task, roster, published, counting=counting)


def test_a_larger_model_has_other_words(studies: dict[str, Study]) -> None:
    """Where the test above would notice that a model's size was left out."""
    small, large = (
        rehearsal._shares_and_words(studies["secure"], 10, {"model": np.zeros(values)}, counting=False)[1]
        for values in (1, 2_000_000)
    )
    assert small != large


def test_a_rehearsed_visit_rounds_and_cuts_as_the_words_ask(
    studies: dict[str, Study], hospitals: dict[str, Patients]
) -> None:
    terms = rehearsal.Terms.of(studies["secure"], 1)
    standing = rehearsal.enrol(terms, hospitals)
    visit = rehearsal.visit(terms, standing, "hungary", hospitals, "train", 4)
    words = rehearsal._shares_and_words(terms.study, len(hospitals), visit.published, counting=False)[1]
    assert words is not None
    assert (visit.step, visit.box, visit.done) == (words.step, words.box, 3 / 12)


def test_there_are_federations_whose_sums_hold_more_than_the_study_s_minimum(
    studies: dict[str, Study],
) -> None:
    """Where the test above would notice that the minimum alone was taken."""
    study = studies["secure"]
    assert study.privacy is not None
    assert coordinated(study, 10) > study.privacy.minimum_hospitals
