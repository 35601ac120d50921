"""A hospital's state: it survives a restart at any moment, forgets what it used, and shows no secret."""

from __future__ import annotations

import base64
import traceback

import numpy as np
import pytest
from federation import STUDY, altered, called, federation, identity, known, total

from ground.errors import FederationError, PrivacyError
from privacy.secagg import CoordinatorSide, Floor, HospitalSide, Roster, UnmaskRequest
from privacy.secagg.hospital import Pair


def revived(side: HospitalSide) -> HospitalSide:
    return HospitalSide.from_text(side.to_text())


@pytest.mark.parametrize("stage", ["prepared", "opened", "masked", "confirmed", "answered"])
@pytest.mark.parametrize("gone", [0, 1])
def test_a_round_goes_on_identically_from_the_saved_state(stage: str, gone: int) -> None:
    hospitals = federation(6)
    assert hospitals.roster.confirm
    hospitals.prepare(1)

    def restart() -> None:
        revivals = {name: revived(side) for name, side in hospitals.sides.items()}
        assert revivals == hospitals.sides
        hospitals.sides = revivals

    if stage == "prepared":
        restart()
    opening = hospitals.open(1)
    if stage == "opened":
        restart()
    for name in hospitals.names[gone:]:
        hospitals.mask(name, opening)
    if stage == "masked":
        restart()
    hospitals.collect(hospitals.names[gone:])
    request = hospitals.close()
    if stage == "confirmed":
        restart()
        assert request.confirmations == tuple(hospitals.confirm(name, request) for name in request.active)
    answers = [hospitals.unmask(name, request) for name in request.active]
    if stage == "answered":
        restart()
        assert answers == [hospitals.unmask(name, request) for name in request.active]
    np.testing.assert_array_equal(hospitals.coordinator.finish(answers).words, total(hospitals.names[gone:]))
    hospitals.prepare(2)
    np.testing.assert_array_equal(hospitals.run(2), total(hospitals.names))


def test_the_set_up_goes_on_identically_from_the_saved_state() -> None:
    names = called(3)
    sides = {name: revived(HospitalSide.begin(STUDY, name)) for name in names}
    announcements = [side.announce(identity(name)) for name, side in sides.items()]
    roster = Roster.from_text(CoordinatorSide.begin(STUDY, announcements, 3).roster.to_text())
    for name, side in sides.items():
        joined, endorsement = side.join(roster, identity(name), known(names), Floor())
        again, same = revived(joined).join(roster, identity(name), known(names), Floor())
        assert (again, same) == (joined, endorsement)


def test_masking_with_a_saved_state_gives_the_same_words() -> None:
    hospitals = federation(3)
    hospitals.prepare(1)
    opening = hospitals.open(1).for_hospital(hospitals.names[0])
    side, words = hospitals.sides[hospitals.names[0]], [np.zeros(5, np.uint64), np.zeros(5, np.uint64)]
    assert side.mask(opening, words[0]) == revived(side).mask(opening, words[1])
    np.testing.assert_array_equal(words[0], words[1])


def test_a_restarted_hospital_still_refuses_a_second_request_and_a_second_opening() -> None:
    hospitals = federation(5)
    opening = hospitals.begin_round(1)
    name, last = hospitals.names[0], hospitals.names[4]
    digest = hospitals.roster.digest
    first = UnmaskRequest(roster=digest, round=1, active=hospitals.names[:4], dropped=(last,))
    hospitals.unmask(name, first)
    side = revived(hospitals.sides[name])
    with pytest.raises(PrivacyError, match="unmasked already"):
        side.unmask(UnmaskRequest(roster=digest, round=1, active=hospitals.names, dropped=()))
    with pytest.raises(PrivacyError, match="opened already"):
        side.mask(opening.for_hospital(name), np.zeros(3, np.uint64))


def test_the_secrets_of_a_round_are_forgotten_once_it_is_masked() -> None:
    hospitals = federation(4)
    hospitals.prepare(1)
    name = hospitals.names[0]
    secrets = hospitals.sides[name].prepared[1]
    hospitals.begin_round(1, hospitals.open(1))
    text = hospitals.sides[name].to_text()
    for secret in (secrets.mask_key, secrets.self_mask):
        assert base64.urlsafe_b64encode(secret).decode() not in text
    assert not hospitals.sides[name].prepared
    assert not hospitals.sides[name].own


def test_only_the_round_to_come_and_the_one_before_it_are_kept() -> None:
    hospitals = federation(4)
    for number in (1, 2, 3, 4):
        hospitals.prepare(number)
    assert set(hospitals.sides[hospitals.names[0]].prepared) == {3, 4}
    assert set(hospitals.sides[hospitals.names[0]].own) == {3, 4}


def test_the_state_shows_no_secret_when_it_is_printed() -> None:
    hospitals = federation(4)
    hospitals.begin_round(1)
    hospitals.prepare(2)
    side = hospitals.sides[hospitals.names[0]]
    assert side.open is not None
    pairs: list[Pair] = [*side.prepared.values(), *side.own.values(), *side.open.held.values()]
    secrets = [side.sealing, *(pair.mask_key for pair in pairs), *(pair.self_mask for pair in pairs)]
    assert len(secrets) == 13
    for shown in (repr(side), str(side), repr(side.open), repr(pairs), repr(identity(hospitals.names[0]))):
        for secret in secrets:
            assert repr(secret)[2:-1] not in shown
            assert secret.hex() not in shown
            assert base64.urlsafe_b64encode(secret).decode() not in shown


@pytest.mark.parametrize("damage", ["{", "short key", "unknown field"])
def test_a_damaged_state_is_refused_without_a_word_of_what_it_holds(damage: str) -> None:
    side = HospitalSide.begin(STUDY, "hospital-00")
    secret = base64.urlsafe_b64encode(side.sealing).decode()
    text = {
        "{": side.to_text()[:-1],
        "short key": side.to_text().replace(secret, secret[:-8]),
        "unknown field": side.to_text().replace('"sealing"', '"ceiling"'),
    }[damage]
    with pytest.raises(FederationError, match="malformed hospitalside") as caught:
        HospitalSide.from_text(text)
    assert secret[:16] not in "".join(traceback.format_exception(caught.value))


def test_the_coordinators_state_survives_a_restart_with_what_was_confirmed() -> None:
    hospitals = federation(6)
    hospitals.begin_round(1)
    hospitals.collect(hospitals.names)
    request = hospitals.close()
    side = hospitals.coordinator
    again = CoordinatorSide.from_text(side.to_text(), side.total)
    assert again == side
    assert again.close() == request
    assert len(request.confirmations) == 6


def test_messages_survive_the_wire_as_they_are() -> None:
    hospitals = federation(6)
    made = hospitals.prepare(1)
    opening = hospitals.open(1)
    for name in hospitals.names:
        hospitals.mask(name, type(opening).from_text(opening.to_text()))
    hospitals.collect(hospitals.names[:5])
    request = hospitals.close()
    answer = hospitals.unmask(hospitals.names[0], request)
    endorsement = hospitals.coordinator.endorsements[0]
    for message in (
        hospitals.roster,
        endorsement,
        *made.values(),
        opening,
        *request.confirmations,
        request,
        answer,
    ):
        again = type(message).from_text(message.to_text())
        assert again == message
        assert again.to_text() == message.to_text()
        assert altered(message) == message


def test_a_hospital_is_sent_only_the_shares_that_are_sealed_for_it() -> None:
    hospitals = federation(4)
    hospitals.prepare(1)
    opening, name = hospitals.open(1), hospitals.names[0]
    readers = [set(each.sealed) for each in opening.for_hospital(name).preparations]
    assert readers == [set(), {name}, {name}, {name}]
