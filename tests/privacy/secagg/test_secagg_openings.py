"""Attacks on the opening of a round: forged, replayed, repeated or contradictory."""

from __future__ import annotations

import numpy as np
import pytest
from federation import OTHER_STUDY, altered, federation, identity, total, values

from ground.errors import PrivacyError
from privacy.secagg import HospitalSide, Opening, Preparation
from privacy.secagg.keys import public_half

FIRST, SECOND, THIRD, FOURTH = NAMES = ("hospital-00", "hospital-01", "hospital-02", "hospital-03")


def with_preparation(opening: Opening, changed: Preparation) -> Opening:
    kept = [each for each in opening.preparations if each.hospital != changed.hospital]
    listed = sorted([*kept, changed], key=lambda each: each.hospital)
    return altered(opening, preparations=tuple(listed))


def prepared(opening: Opening, name: str) -> Preparation:
    return next(each for each in opening.preparations if each.hospital == name)


def refused(side: HospitalSide, opening: Opening, why: str) -> None:
    """Refused, and the words are as they were."""
    words = values(side.hospital)
    with pytest.raises(PrivacyError, match=why):
        side.mask(opening, words)
    np.testing.assert_array_equal(words, values(side.hospital))


def test_a_round_is_opened_once() -> None:
    hospitals = federation(4)
    opening = hospitals.begin_round(1)
    refused(hospitals.sides[FIRST], opening, "round 1 was opened already: its masks are used once")
    with pytest.raises(PrivacyError, match="round 1 was opened already: nothing is prepared for it again"):
        hospitals.sides[FIRST].prepare(1, identity(FIRST))


def test_an_earlier_round_cannot_be_opened_after_a_later_one() -> None:
    hospitals = federation(4)
    hospitals.prepare(1)
    first = hospitals.open(1)
    hospitals.begin_round(2)
    refused(hospitals.sides[FIRST], first, "round 1 was opened already")
    with pytest.raises(PrivacyError, match="round 1 was opened already: nothing is prepared"):
        hospitals.sides[FIRST].prepare(1, identity(FIRST))


def test_a_round_that_was_not_prepared_is_refused() -> None:
    hospitals = federation(4)
    hospitals.prepare(1, *NAMES[1:])
    refused(hospitals.sides[FIRST], hospitals.open(1), "this hospital has prepared nothing for round 1")


def test_nothing_is_done_before_a_roster_is_joined() -> None:
    with pytest.raises(PrivacyError, match="no roster was joined"):
        HospitalSide.begin("s", FIRST).prepare(1, identity(FIRST))


def test_an_opening_under_another_number_than_the_round_asked_for_is_refused() -> None:
    hospitals = federation(4)
    hospitals.prepare(1)
    opening = hospitals.open(1)
    hospitals.sides[FIRST].check(opening, 1)
    with pytest.raises(PrivacyError, match="round 2 comes with the keys of round 1"):
        hospitals.sides[FIRST].check(opening, 2)


def test_the_keys_of_an_earlier_round_are_refused() -> None:
    hospitals = federation(4)
    hospitals.prepare(1)
    earlier = hospitals.open(1)
    hospitals.prepare(2)
    replayed = with_preparation(hospitals.open(2), prepared(earlier, SECOND))
    refused(hospitals.sides[FIRST], replayed, "the keys of hospital-01 are those of round 1")


def test_the_keys_of_an_earlier_round_under_a_new_number_are_refused() -> None:
    hospitals = federation(4)
    hospitals.prepare(1)
    renumbered = altered(prepared(hospitals.open(1), SECOND), round=2)
    hospitals.prepare(2)
    replayed = with_preparation(hospitals.open(2), renumbered)
    refused(hospitals.sides[FIRST], replayed, "hospital-01 did not sign its key for round 2")


def test_the_keys_of_another_study_are_refused() -> None:
    hospitals, others = federation(4), federation(4, study=OTHER_STUDY)
    hospitals.prepare(1)
    replayed = with_preparation(hospitals.open(1), others.prepare(1)[SECOND])
    refused(hospitals.sides[FIRST], replayed, "hospital-01 did not sign its key for round 1")


def test_a_key_that_the_coordinator_put_in_place_of_a_peers_is_refused() -> None:
    hospitals = federation(4)
    hospitals.prepare(1)
    opening = hospitals.open(1)
    forged = altered(prepared(opening, SECOND), public=public_half(hospitals.sides[THIRD]._sealing))
    refused(hospitals.sides[FIRST], with_preparation(opening, forged), "hospital-01 did not sign its key")


def test_a_commitment_that_the_coordinator_put_in_place_of_a_peers_is_refused() -> None:
    hospitals = federation(4)
    hospitals.prepare(1)
    opening = hospitals.open(1)
    forged = altered(prepared(opening, SECOND), commitment=prepared(opening, THIRD).commitment)
    refused(hospitals.sides[FIRST], with_preparation(opening, forged), "hospital-01 did not sign its key")


def test_a_participant_who_is_not_on_the_roster_is_refused() -> None:
    hospitals = federation(4)
    hospitals.prepare(1)
    opening = hospitals.open(1)
    stranger = altered(prepared(opening, SECOND), hospital="hospital-99")
    listed = altered(opening, preparations=(*opening.preparations, stranger))
    refused(hospitals.sides[FIRST], listed, "hospital-99 takes part in a round and is not on the roster")


def test_a_hospitals_own_key_of_an_earlier_attempt_is_refused() -> None:
    hospitals = federation(4)
    hospitals.prepare(1)
    opening = hospitals.open(1)
    hospitals.prepare(1, FIRST)
    refused(hospitals.sides[FIRST], opening, "lists this hospital with another key than its own")


def test_a_round_that_lists_a_hospital_twice_is_refused() -> None:
    hospitals = federation(4)
    hospitals.prepare(1)
    opening = hospitals.open(1)
    doubled = altered(opening, preparations=(*opening.preparations, prepared(opening, SECOND)))
    refused(hospitals.sides[FIRST], doubled, "round 1 lists a hospital twice")


def test_a_round_without_the_hospital_itself_is_refused() -> None:
    hospitals = federation(4)
    hospitals.prepare(1)
    opening = hospitals.open(1)
    without = altered(opening, preparations=opening.preparations[1:])
    refused(hospitals.sides[FIRST], without, "round 1 does not count on this hospital")


@pytest.mark.parametrize(("threshold", "fewest"), [(4, 3), (3, 4)])
def test_a_round_of_too_few_for_the_sum_or_for_the_threshold_is_refused(threshold: int, fewest: int) -> None:
    hospitals = federation(5, threshold=threshold, fewest=fewest)
    hospitals.prepare(1)
    opening = hospitals.open(1)
    few = altered(opening, preparations=opening.preparations[:3])
    refused(hospitals.sides[FIRST], few, f"where {fewest} and {threshold} are the least")


def without_shares_of(opening: Opening, *names: str) -> Opening:
    for name in names:
        opening = with_preparation(opening, altered(prepared(opening, name), sealed={}))
    return opening


def test_a_peer_whose_shares_were_withheld_is_named_and_the_sum_is_exact_without_them() -> None:
    hospitals = federation(4)
    hospitals.prepare(1)
    hospitals.begin_round(1, without_shares_of(hospitals.open(1), SECOND))
    assert [side.unopened for side in hospitals.sides.values()] == [(SECOND,), (), (SECOND,), (SECOND,)]
    hospitals = federation(4)
    hospitals.prepare(1)
    opening = hospitals.open(1)
    for name in NAMES:  # hospital-00 alone holds no share of hospital-01
        hospitals.mask(name, without_shares_of(opening, SECOND) if name == FIRST else opening)
    hospitals.collect(NAMES)
    request = hospitals.close()
    answers = [hospitals.unmask(name, request) for name in NAMES]
    assert SECOND not in answers[0].self_masks
    np.testing.assert_array_equal(hospitals.coordinator.finish(answers).words, total(NAMES))


def test_where_fewer_shares_open_than_the_threshold_the_round_is_refused() -> None:
    hospitals = federation(4)
    hospitals.prepare(1)
    opening = without_shares_of(hospitals.open(1), SECOND, THIRD)
    refused(hospitals.sides[FIRST], opening, "the shares of 2 hospitals that open here, itself among them, w")


@pytest.mark.parametrize("source", ["another round", "another study", "another reader", "another sender"])
def test_sealed_shares_of_another_place_do_not_open(source: str) -> None:
    hospitals = federation(4)
    others = federation(4, study=OTHER_STUDY) if source == "another study" else hospitals
    earlier = others.prepare(1)
    hospitals.prepare(2)
    opening = hospitals.open(2)
    own = prepared(opening, SECOND)
    sealed = {
        "another round": earlier[SECOND].sealed[FIRST],
        "another study": earlier[SECOND].sealed[FIRST],
        "another reader": own.sealed[THIRD],
        "another sender": prepared(opening, THIRD).sealed[FIRST],
    }[source]
    replayed = with_preparation(opening, altered(own, sealed={FIRST: sealed}))
    opened = hospitals.sides[FIRST].mask(replayed, values(FIRST))
    assert opened.unopened == (SECOND,)
    assert opened.open is not None
    assert SECOND not in opened.open.held


def test_a_peer_whose_key_shares_no_secret_is_refused_by_name() -> None:
    hospitals = federation(4)
    hospitals.prepare(1)
    opening = hospitals.open(1)
    own = prepared(opening, SECOND)
    signature = identity(SECOND).sign_key(hospitals.roster, SECOND, 1, bytes(32), own.commitment)
    weak = altered(own, public=bytes(32), signature=signature)
    refused(hospitals.sides[FIRST], with_preparation(opening, weak), "hospital-01 sent a key that shares no")


def test_different_participants_shown_to_different_hospitals_end_in_noise() -> None:
    hospitals = federation(6, threshold=4)  # who do not confirm
    hospitals.prepare(1)
    opening = hospitals.open(1)
    short = altered(opening, preparations=opening.preparations[:5])
    for name in hospitals.names[:5]:
        hospitals.mask(name, short if name == FIRST else opening)
    hospitals.collect(hospitals.names[:5])
    honest = hospitals.coordinator.close()
    with pytest.raises(PrivacyError, match="round 1 was opened with other hospitals than listed"):
        hospitals.unmask(FIRST, honest)
    # Even answers to what each was shown leave the mask that FIRST never put on.
    answers = [hospitals.unmask(FIRST, altered(honest, dropped=()))]
    answers += [hospitals.unmask(name, honest) for name in hospitals.names[1:5]]
    assert not (hospitals.coordinator.finish(answers).words == total(hospitals.names[:5])).any()
