"""Attacks on who is who: what a hospital refuses to join, and what it refuses to open a first round with."""

from __future__ import annotations

import pytest
from federation import OTHER_STUDY, STUDY, Federation, altered, called, federation, identity, known

from ground.errors import PrivacyError
from privacy.secagg import Announcement, CoordinatorSide, Endorsement, Floor, HospitalSide, Identity, Roster

NAMES = called(4)
SIDES = {name: HospitalSide.begin(STUDY, name) for name in NAMES}
MALLORY = Identity.generate()


def announced() -> dict[str, Announcement]:
    return {name: side.announce(identity(name)) for name, side in SIDES.items()}


def roster_of(announcements: dict[str, Announcement], **changes: object) -> Roster:
    made = CoordinatorSide.begin(STUDY, announcements.values(), 3).roster
    return altered(made, **changes)


def join(
    roster: Roster,
    peers: dict[str, bytes] | None = None,
    floor: Floor | None = None,
    side: HospitalSide = SIDES[NAMES[0]],
) -> tuple[HospitalSide, Endorsement]:
    mine = identity(side.hospital)
    return side.join(roster, mine, known(NAMES) if peers is None else peers, floor or Floor())


def test_an_honest_roster_is_joined_and_joined_again() -> None:
    roster = roster_of(announced())
    side, endorsement = join(roster)
    assert join(roster, side=side) == (side, endorsement)
    assert side.joined == roster


def test_a_roster_of_another_study_is_refused() -> None:
    with pytest.raises(PrivacyError, match="belongs to another study"):
        join(roster_of(announced(), study=OTHER_STUDY))


def test_keys_that_a_peer_signed_for_another_study_are_refused() -> None:
    replayed = identity(NAMES[1]).announce(OTHER_STUDY, NAMES[1], announced()[NAMES[1]].sealing)
    with pytest.raises(PrivacyError, match="hospital-01 did not sign its keys"):
        join(roster_of(announced() | {NAMES[1]: replayed}))


def test_a_peers_key_that_the_coordinator_swapped_for_its_own_is_refused() -> None:
    forged = altered(announced()[NAMES[1]], sealing=announced()[NAMES[2]].sealing)
    with pytest.raises(PrivacyError, match="hospital-01 did not sign its keys"):
        join(roster_of(announced() | {NAMES[1]: forged}))


def test_two_peers_whose_keys_were_swapped_are_refused() -> None:
    one, other = announced()[NAMES[1]], announced()[NAMES[2]]
    swapped = {NAMES[1]: altered(other, hospital=NAMES[1]), NAMES[2]: altered(one, hospital=NAMES[2])}
    with pytest.raises(PrivacyError, match="hospital-01 did not sign its keys"):
        join(roster_of(announced() | swapped))


def test_a_peer_under_an_identity_that_the_coordinator_made_up_is_refused() -> None:
    forged = MALLORY.announce(STUDY, NAMES[1], announced()[NAMES[1]].sealing)
    with pytest.raises(PrivacyError, match="hospital-01 with another identity than the one known here"):
        join(roster_of(announced() | {NAMES[1]: forged}))


def test_a_hospital_that_nobody_knows_is_refused() -> None:
    sybil = HospitalSide.begin(STUDY, "hospital-99").announce(MALLORY)
    with pytest.raises(PrivacyError, match="hospital-99, whose identity this hospital does not know"):
        join(roster_of(announced() | {"hospital-99": sybil}))


def test_one_identity_under_two_names_is_refused() -> None:
    twin = SIDES[NAMES[1]].model_copy(update={"hospital": "hospital-99"}).announce(identity(NAMES[1]))
    peers = known(NAMES) | {"hospital-99": identity(NAMES[1]).public}
    with pytest.raises(PrivacyError, match="one identity under two names"):
        join(roster_of(announced() | {"hospital-99": twin}), peers)


def test_a_hospitals_own_earlier_keys_are_refused_though_it_signed_them() -> None:
    earlier = HospitalSide.begin(STUDY, NAMES[0]).announce(identity(NAMES[0]))
    with pytest.raises(PrivacyError, match="lists this hospital with other keys than its own"):
        join(roster_of(announced() | {NAMES[0]: earlier}))


def test_a_roster_without_the_hospital_itself_is_refused() -> None:
    others = {name: each for name, each in announced().items() if name != NAMES[0]}
    with pytest.raises(PrivacyError, match="lists this hospital with other keys than its own"):
        join(roster_of(others))


def test_a_hospital_cannot_be_listed_twice() -> None:
    each = announced()[NAMES[0]]
    with pytest.raises(ValueError, match="once each, in alphabetical order"):
        Roster(study=STUDY, announcements=(each, each), threshold=2, fewest=2)


@pytest.mark.parametrize("changes", [{"threshold": 4}, {"fewest": 4}, {"study": OTHER_STUDY}])
def test_a_second_different_roster_for_the_same_study_is_refused(changes: dict[str, object]) -> None:
    roster = roster_of(announced())
    side, _ = join(roster)
    with pytest.raises(PrivacyError, match="a second, different roster"):
        join(altered(roster, **changes), side=side)


def test_too_few_hospitals_for_this_ones_own_floor_are_refused() -> None:
    roster = roster_of(announced())
    assert roster.fewest == 3
    with pytest.raises(PrivacyError, match="sums over as few as 3 hospitals, this one insists on 4"):
        join(roster, floor=Floor(hospitals=4))


def test_a_sum_of_more_hospitals_than_there_are_is_refused() -> None:
    with pytest.raises(PrivacyError, match="4 hospitals cannot make a sum of 5"):
        join(roster_of(announced(), fewest=5))


@pytest.mark.parametrize("threshold", [1, 2, 5])
def test_a_threshold_too_low_or_too_high_is_refused(threshold: int) -> None:
    with pytest.raises(PrivacyError, match=f"threshold {threshold} is outside 3 to 4"):
        join(roster_of(announced(), threshold=threshold))


def test_a_hospital_that_fears_more_colluders_insists_on_a_higher_threshold() -> None:
    with pytest.raises(PrivacyError, match="threshold 3 is outside 4 to 4"):
        join(roster_of(announced()), floor=Floor(colluders=2))


def test_a_sum_that_would_show_one_hospital_to_its_colluders_is_refused() -> None:
    roster = roster_of(announced(), threshold=4)
    with pytest.raises(PrivacyError, match="a sum of 3 hospitals, 2 of them colluding, would show one alone"):
        join(roster, floor=Floor(colluders=2))
    join(altered(roster, fewest=4), floor=Floor(colluders=2))


@pytest.mark.parametrize("count", [6, 12, 60])
def test_a_roster_that_needs_confirmations_and_asks_for_none_is_refused(count: int) -> None:
    hospitals = federation(count)
    name = hospitals.names[0]
    side, peers = hospitals.sides[name].model_copy(update={"roster": None}), known(hospitals.names)
    silent = altered(hospitals.roster, quorum=0)
    with pytest.raises(PrivacyError, match="the roster has 0 confirm what they are asked"):
        side.join(silent, identity(name), peers, Floor())
    side.join(hospitals.roster, identity(name), peers, Floor())


def test_a_roster_may_ask_for_confirmations_that_it_does_not_need() -> None:
    assert not roster_of(announced()).confirm
    join(roster_of(announced(), quorum=3))


def test_in_a_sparse_graph_a_sum_that_leaves_out_many_is_refused() -> None:
    names = called(60)
    announcements = {name: HospitalSide.begin(STUDY, name).announce(identity(name)) for name in names[1:]}
    announcements[NAMES[0]] = announced()[NAMES[0]]
    with pytest.raises(PrivacyError, match="as few as 30 hospitals, this one insists on 54"):
        join(roster_of(announcements, fewest=30), known(names))


def opened_first(hospitals: Federation) -> None:
    hospitals.mask(NAMES[0], hospitals.open(1))


def test_a_first_round_without_everybodys_endorsement_is_refused() -> None:
    hospitals = federation(4)
    hospitals.prepare(1)
    hospitals.coordinator = hospitals.coordinator.endorsed(hospitals.coordinator.endorsements[:3])
    with pytest.raises(PrivacyError, match="hospital-03 has not endorsed the roster"):
        opened_first(hospitals)


def test_even_a_hospital_that_is_absent_must_have_endorsed_the_roster() -> None:
    hospitals = federation(4)
    hospitals.prepare(1, *NAMES[:3])
    hospitals.coordinator = hospitals.coordinator.endorsed(hospitals.coordinator.endorsements[:3])
    with pytest.raises(PrivacyError, match="hospital-03 has not endorsed the roster"):
        opened_first(hospitals)


@pytest.mark.parametrize("changes", [{"threshold": 4}, {"fewest": 4}])
def test_hospitals_that_were_shown_different_rosters_do_not_open_a_round(changes: dict[str, object]) -> None:
    hospitals = federation(4)
    hospitals.prepare(1)
    other = altered(hospitals.roster, **changes)
    signed = [identity(name).endorse(other if name == NAMES[2] else hospitals.roster, name) for name in NAMES]
    hospitals.coordinator = hospitals.coordinator.endorsed(signed)
    with pytest.raises(
        PrivacyError, match="hospital-02 did not sign the roster that this hospital was shown"
    ):
        opened_first(hospitals)


def test_an_endorsement_of_another_studys_roster_is_refused() -> None:
    hospitals, others = federation(4), federation(4, study=OTHER_STUDY)
    hospitals.prepare(1)
    hospitals.coordinator = hospitals.coordinator.endorsed(others.coordinator.endorsements)
    with pytest.raises(PrivacyError, match="hospital-00 did not sign the roster"):
        opened_first(hospitals)


def test_an_endorsement_by_a_stranger_is_refused() -> None:
    hospitals = federation(4)
    hospitals.prepare(1)
    stranger = MALLORY.endorse(hospitals.roster, "hospital-99")
    hospitals.coordinator = hospitals.coordinator.endorsed([*hospitals.coordinator.endorsements, stranger])
    with pytest.raises(PrivacyError, match="hospital-99 endorsed the roster and is not on it"):
        opened_first(hospitals)


def test_a_signature_for_one_purpose_does_not_pass_for_another() -> None:
    hospitals = federation(4)
    hospitals.prepare(1)
    key = identity(NAMES[1]).sign_key(hospitals.roster, NAMES[1], 1, bytes(32), bytes(32))
    signed = {each.hospital: each for each in hospitals.coordinator.endorsements}
    signed[NAMES[1]] = altered(signed[NAMES[1]], signature=key)
    hospitals.coordinator = hospitals.coordinator.endorsed(signed.values())
    with pytest.raises(PrivacyError, match="hospital-01 did not sign the roster"):
        opened_first(hospitals)


def test_a_key_that_shares_no_secret_is_refused_by_name() -> None:
    weak = identity(NAMES[1]).announce(STUDY, NAMES[1], bytes(32))  # a point of small order: RFC 7748, 6.1
    side, _ = join(roster_of(announced() | {NAMES[1]: weak}))
    with pytest.raises(PrivacyError, match="hospital-01 sent a key that shares no secret"):
        side.prepare(1, identity(NAMES[0]))
