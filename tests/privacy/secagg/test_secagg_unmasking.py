"""Attacks on the request that ends a round, and what a late vector is worth."""

from __future__ import annotations

import numpy as np
import pytest
from federation import OTHER_STUDY, Federation, altered, federation, total, values

from ground.arrays import Words
from ground.errors import FederationError, PrivacyError
from privacy.secagg import Unmasking, UnmaskRequest, keys, masks, sharing

FIRST, SECOND, THIRD, FOURTH, FIFTH = NAMES = tuple(f"hospital-{number:02}" for number in range(5))
ROSTER = federation(5).roster.digest


def masked() -> Federation:
    """Five hospitals, of whom four are enough, have sent their words for round 1."""
    hospitals = federation(5)
    hospitals.begin_round(1)
    return hospitals


def request(active: tuple[str, ...], dropped: tuple[str, ...] = (), number: int = 1) -> UnmaskRequest:
    return UnmaskRequest(roster=ROSTER, round=number, active=active, dropped=dropped)


def refused(hospitals: Federation, asked: UnmaskRequest, why: str, name: str = FIRST) -> None:
    asked = altered(asked, roster=hospitals.roster.digest) if asked.roster == ROSTER else asked
    with pytest.raises(PrivacyError, match=why):
        hospitals.unmask(name, asked)


def test_a_peer_both_in_the_sum_and_dropped_is_refused() -> None:
    refused(masked(), request(NAMES, (FIFTH,)), "hospital-04 would be both in the sum and not")


def test_a_peer_listed_twice_as_active_is_refused() -> None:
    refused(masked(), request((*NAMES, FIFTH)), "round 1 was opened with other hospitals than listed")


@pytest.mark.parametrize("active", [NAMES[:4], (*NAMES, "hospital-99")])
def test_a_request_about_other_hospitals_than_the_round_was_opened_with_is_refused(
    active: tuple[str, ...],
) -> None:
    refused(masked(), request(active), "round 1 was opened with other hospitals than listed")


def test_a_request_that_leaves_the_hospital_itself_out_is_refused() -> None:
    refused(masked(), request(NAMES[1:], (FIRST,)), "round 1 leaves this hospital out")


def test_a_request_that_leaves_too_few_is_refused() -> None:
    refused(masked(), request(NAMES[:3], NAMES[3:]), "unmasked with 3 hospitals, 3 of them around this one")


@pytest.mark.parametrize(("threshold", "fewest"), [(3, 4), (4, 3)])
def test_a_request_must_leave_enough_for_the_sum_and_for_the_threshold(threshold: int, fewest: int) -> None:
    hospitals = federation(5, threshold=threshold, fewest=fewest)
    hospitals.begin_round(1)
    refused(hospitals, request(NAMES[:3], NAMES[3:]), f"where {fewest} and {threshold} are the least")


def test_a_second_different_request_for_the_same_round_is_refused() -> None:
    hospitals = masked()
    hospitals.unmask(FIRST, request(NAMES[:4], (FIFTH,)))
    for other in (request(NAMES), request((*NAMES[:3], FIFTH), (FOURTH,))):
        refused(hospitals, other, "round 1 was unmasked already, by another request")


def test_the_same_request_again_gets_the_same_answer() -> None:
    hospitals = masked()
    asked = request(NAMES[:4], (FIFTH,))
    assert hospitals.unmask(FIRST, asked) == hospitals.unmask(FIRST, asked)


def test_a_request_for_a_round_that_is_not_open_is_refused() -> None:
    hospitals = federation(5)
    hospitals.prepare(1)
    refused(hospitals, request(NAMES), "round 1 is not open here")
    hospitals.begin_round(1, hospitals.open(1))
    refused(hospitals, request(NAMES, number=2), "round 2 is not open here")


def test_the_request_of_an_earlier_round_is_refused_in_the_next() -> None:
    hospitals = masked()
    asked = request(NAMES)
    hospitals.unmask(FIRST, asked)
    hospitals.begin_round(2)
    refused(hospitals, asked, "round 1 is not open here")


def test_the_request_of_another_studys_round_is_refused() -> None:
    hospitals, others = masked(), federation(5, study=OTHER_STUDY)
    others.begin_round(1)
    others.collect(others.names)
    refused(hospitals, others.coordinator.close(), "round 1 would be unmasked for another roster")


def test_a_hospital_gives_one_share_of_each_peer_and_of_itself_the_self_mask_alone() -> None:
    answer = masked().unmask(FIRST, request(NAMES[:4], (FIFTH,)))
    assert set(answer.self_masks) == {FIRST, SECOND, THIRD, FOURTH}
    assert set(answer.mask_keys) == {FIFTH}


def everything_legal(hospitals: Federation) -> list[Unmasking]:
    """What the coordinator gets once FIFTH, whose words came too late, was declared dropped."""
    hospitals.collect(NAMES[:4])
    asked = hospitals.coordinator.close()
    assert asked.dropped == (FIFTH,)
    return [hospitals.unmask(name, asked) for name in asked.active]


def without_pairwise_masks(hospitals: Federation, answers: list[Unmasking], name: str) -> Words:
    """A late hospital's words less every mask that the shares of its mask key give away."""
    shares = {answer.hospital: answer.mask_keys[name] for answer in answers if name in answer.mask_keys}
    secret = sharing.combine(shares, hospitals.roster.threshold, NAMES, name)
    private = keys.mask_key(hospitals.roster, 1, secret)
    opening = hospitals.coordinator.opening
    assert opening is not None
    words = hospitals.sent[name].copy()
    for each in opening.preparations:
        if each.hospital != name:
            key = keys.pair_key(hospitals.roster, 1, name, each.hospital, private, each.public)
            masks.apply(words, key, subtract=name < each.hospital)
    return words


def test_a_late_vector_is_still_masked_after_all_that_the_coordinator_may_know() -> None:
    hospitals = federation(5)
    secrets = hospitals.prepare(1) and hospitals.sides[FIFTH].prepared[1]
    hospitals.begin_round(1, hospitals.open(1))
    answers = everything_legal(hospitals)
    left = without_pairwise_masks(hospitals, answers, FIFTH)
    assert not (left == values(FIFTH)).any()
    # All that hides it is the self mask, of which no share was given and none will be.
    assert not any(FIFTH in answer.self_masks for answer in answers)
    for name in NAMES[:4]:
        refused(hospitals, request(NAMES), "unmasked already, by another request", name)
    masks.apply(left, keys.self_key(hospitals.roster, 1, FIFTH, secrets.self_mask), subtract=True)
    np.testing.assert_array_equal(left, values(FIFTH))


def test_the_late_hospital_itself_unmasks_nothing() -> None:
    hospitals = masked()
    hospitals.collect(NAMES[:4])
    refused(hospitals, hospitals.coordinator.close(), "round 1 leaves this hospital out", FIFTH)


def test_a_vector_that_comes_too_late_changes_the_sum_into_noise_if_it_is_added() -> None:
    hospitals = masked()
    answers = everything_legal(hospitals)
    hospitals.collect([FIFTH])
    with pytest.raises(FederationError, match="only 0 of the 4 shares needed for hospital-04"):
        hospitals.coordinator.finish(answers)


def test_the_sum_without_the_late_hospital_is_exact() -> None:
    hospitals = masked()
    answers = everything_legal(hospitals)
    np.testing.assert_array_equal(hospitals.coordinator.finish(answers).words, total(NAMES[:4]))


def test_unmasked_and_unasked_the_total_is_noise() -> None:
    hospitals = masked()
    hospitals.collect(NAMES)
    assert hospitals.coordinator.total is not None
    assert not (hospitals.coordinator.total == total(NAMES)).any()


def test_a_peer_listed_as_dropped_twice_is_refused() -> None:
    asked = altered(request(NAMES[:4], (FIFTH,)), dropped=(FIFTH, FIFTH))
    refused(masked(), asked, "round 1 was opened with other hospitals than listed")
