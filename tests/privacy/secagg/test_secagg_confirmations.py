"""Hospitals sign the request that they were shown, and answer it only beside a majority's signatures."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from federation import OTHER_STUDY, Federation, altered, federation, identity, known, total

from ground.errors import PrivacyError
from privacy.secagg import Floor, Identity, Roster, UnmaskRequest, checks
from privacy.secagg.wire import Confirmation

COUNT, QUORUM = 6, 4
NAMES = FIRST, SECOND, THIRD, FOURTH, FIFTH, SIXTH = tuple(f"hospital-{number:02}" for number in range(COUNT))


def masked(number: int = 1, **terms: object) -> Federation:
    """Six hospitals, four of whom are a majority, have sent their words."""
    hospitals = federation(COUNT, **terms)
    assert hospitals.roster.confirm
    hospitals.begin_round(number)
    hospitals.collect(NAMES)
    return hospitals


def signed(request: UnmaskRequest, names: Iterable[str]) -> tuple[Confirmation, ...]:
    """What these hospitals sign where they are shown this request."""
    return tuple(identity(name).confirm(request, name) for name in names)


def refused(hospitals: Federation, confirmations: Iterable[Confirmation], why: str) -> None:
    """The coordinator's request, with these beside it."""
    request = altered(hospitals.coordinator.close(), confirmations=tuple(confirmations))
    before = hospitals.sides[FIRST]
    with pytest.raises(PrivacyError, match=why):
        hospitals.unmask(FIRST, request)
    assert hospitals.sides[FIRST] == before


def other(request: UnmaskRequest) -> UnmaskRequest:
    """A request that is as good, of the same round: the last hospital is not in the sum."""
    return altered(request, active=NAMES[:-1], dropped=NAMES[-1:])


@pytest.mark.parametrize("few", range(QUORUM))
def test_a_request_with_too_few_signatures_is_refused(few: int) -> None:
    hospitals = masked()
    given = signed(hospitals.coordinator.close(), NAMES[:few])
    refused(hospitals, given, f"only {few} hospitals confirm the unmask request of round 1, 4 are needed")


def test_a_majority_of_signatures_is_enough() -> None:
    hospitals = masked()
    request = hospitals.close(unsigned=NAMES[QUORUM:])
    assert len(request.confirmations) == QUORUM
    answers = [hospitals.unmask(name, request) for name in NAMES]
    np.testing.assert_array_equal(hospitals.coordinator.finish(answers).words, total(NAMES))


def test_signatures_under_another_request_are_refused() -> None:
    hospitals = masked()
    elsewhere = other(hospitals.coordinator.close())
    why = "hospital-00 did not sign the unmask request of round 1 that this hospital was shown"
    refused(hospitals, signed(elsewhere, NAMES), why)


def test_one_signature_under_another_request_spoils_a_majority() -> None:
    hospitals = masked()
    request = hospitals.coordinator.close()
    given = (*signed(request, NAMES[:5]), *signed(other(request), NAMES[5:]))
    refused(hospitals, given, "hospital-05 did not sign the unmask request")


def test_a_forged_signature_is_refused() -> None:
    hospitals = masked()
    request = hospitals.coordinator.close()
    forged = Identity.generate().confirm(request, FOURTH)
    refused(hospitals, (*signed(request, NAMES[:3]), forged), "hospital-03 did not sign the unmask request")


def test_a_signature_under_another_hospitals_name_is_refused() -> None:
    hospitals = masked()
    request = hospitals.coordinator.close()
    renamed = altered(signed(request, [THIRD])[0], hospital=FOURTH)
    refused(hospitals, (*signed(request, NAMES[:3]), renamed), "hospital-03 did not sign the unmask request")


def test_the_signature_of_a_hospital_that_is_not_on_the_roster_is_refused() -> None:
    hospitals = masked()
    request = hospitals.coordinator.close()
    stranger = identity("hospital-99").confirm(request, "hospital-99")
    why = "hospital-99 confirmed a request and is not on the roster"
    refused(hospitals, (*signed(request, NAMES), stranger), why)


def test_a_hospital_that_signs_twice_counts_once() -> None:
    hospitals = masked()
    given = signed(hospitals.coordinator.close(), NAMES[:3])
    refused(hospitals, (*given, *given), "only 3 hospitals confirm")


def test_signatures_of_an_earlier_round_are_refused() -> None:
    hospitals = masked()
    given = hospitals.close().confirmations
    hospitals.begin_round(2)
    hospitals.collect(NAMES)
    refused(hospitals, given, "hospital-00 did not sign the unmask request of round 2")


def test_signatures_of_another_study_are_refused() -> None:
    hospitals, others = masked(), masked(study=OTHER_STUDY)
    refused(hospitals, others.close().confirmations, "hospital-00 did not sign the unmask request of round 1")


def test_a_signature_for_another_purpose_does_not_pass_for_a_confirmation() -> None:
    hospitals = masked()
    for each in (*hospitals.coordinator.endorsements, *hospitals.coordinator.opening.preparations):
        passed = Confirmation(hospital=each.hospital, signature=each.signature)
        refused(hospitals, [passed], f"{each.hospital} did not sign the unmask request")


def test_after_a_request_was_confirmed_no_other_one_is_confirmed_or_answered() -> None:
    hospitals = masked()
    request = hospitals.coordinator.close()
    hospitals.confirm(FIRST, request)
    elsewhere = altered(other(request), confirmations=signed(other(request), NAMES))
    for again in (hospitals.confirm, hospitals.unmask):
        with pytest.raises(PrivacyError, match="round 1 was unmasked already, by another request"):
            again(FIRST, elsewhere)


def test_after_a_request_was_answered_no_other_one_is_confirmed() -> None:
    hospitals = masked()
    request = hospitals.coordinator.close()
    hospitals.unmask(FIRST, altered(request, confirmations=signed(request, NAMES)))
    with pytest.raises(PrivacyError, match="round 1 was unmasked already, by another request"):
        hospitals.confirm(FIRST, other(request))


def test_the_same_request_again_gets_the_same_signature_and_the_same_answer() -> None:
    hospitals = masked()
    request = hospitals.coordinator.close()
    assert hospitals.confirm(FIRST, request) == hospitals.confirm(FIRST, request)
    made = [
        hospitals.unmask(FIRST, altered(request, confirmations=signed(request, names)))
        for names in (NAMES, NAMES[::-1], NAMES[:4], NAMES[2:])
    ]
    assert made == [made[0]] * 4
    assert hospitals.confirm(FIRST, request) == signed(request, [FIRST])[0]


def test_no_request_is_confirmed_that_would_not_be_answered() -> None:
    hospitals = masked()
    request = hospitals.coordinator.close()
    for changes, why in (
        ({"roster": "0" * 64}, "round 1 would be unmasked for another roster"),
        ({"round": 2}, "round 2 is not open here"),
        ({"active": NAMES[1:], "dropped": NAMES[:1]}, "round 1 leaves this hospital out"),
        ({"active": NAMES[:3], "dropped": NAMES[3:]}, "unmasked with 3 hospitals"),
        ({"active": NAMES[:5]}, "round 1 was opened with other hospitals than listed"),
        ({"dropped": NAMES[5:]}, "hospital-05 would be both in the sum and not"),
    ):
        with pytest.raises(PrivacyError, match=why):
            hospitals.confirm(FIRST, altered(request, **changes))


@pytest.mark.parametrize("asked", [QUORUM - 1, COUNT - 1])
def test_a_roster_that_asks_for_fewer_signatures_than_it_takes_or_more_than_a_sum_has_is_refused(
    asked: int,
) -> None:
    hospitals = masked()
    side = hospitals.sides[FIRST].model_copy(update={"roster": None})
    with pytest.raises(PrivacyError, match=f"{asked} confirm what they are asked, where it takes {QUORUM}"):
        side.join(altered(hospitals.roster, quorum=asked), identity(FIRST), known(NAMES), Floor())
    side.join(hospitals.roster, identity(FIRST), known(NAMES), Floor())


def test_what_was_confirmed_goes_with_the_request_and_not_into_the_next_round() -> None:
    hospitals = masked()
    request = hospitals.close()
    assert [each.hospital for each in request.confirmations] == list(NAMES)
    hospitals.begin_round(2)
    hospitals.collect(NAMES)
    assert hospitals.coordinator.close().confirmations == ()


@cache
def ready(count: int, colluders: int) -> Federation:
    """All have masked and are asked to confirm; nothing else is insisted on."""
    hospitals = federation(count, colluders=colluders, threshold=1, confirm=True)
    hospitals.begin_round(1)
    return hospitals


def answered(count: int, colluders: int, group: int) -> list[bool]:
    """Whether anybody answers each of two requests, shown to the first honest hospitals and to the others."""
    hospitals = replace(ready(count, colluders), sides=dict(ready(count, colluders).sides))
    honest, helpers = hospitals.names[: count - colluders], hospitals.names[count - colluders :]
    whole = UnmaskRequest(roster=hospitals.roster.digest, round=1, active=hospitals.names, dropped=())
    without = altered(whole, active=hospitals.names[1:], dropped=hospitals.names[:1])
    some = []
    for names, request in ((honest[:group], whole), (honest[group:], without)):
        given = [hospitals.confirm(name, request) for name in names]
        asked = altered(request, confirmations=(*given, *signed(request, helpers)))
        answers = 0
        for name in names:
            try:
                answers += bool(hospitals.unmask(name, asked))
            except PrivacyError:
                continue
        assert answers in (0, len(names))
        some.append(answers > 0)
    return some


SPLITS = [(count, colluders) for count in range(4, 13) for colluders in range(3)]


@pytest.mark.parametrize(("count", "colluders"), SPLITS)
def test_of_two_different_requests_at_most_one_is_answered(count: int, colluders: int) -> None:
    for group in range(1, count - colluders):
        assert not all(answered(count, colluders, group))


@pytest.mark.parametrize(("count", "colluders"), SPLITS)
def test_with_one_signature_fewer_two_different_requests_are_answered(
    count: int, colluders: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def one_fewer(roster: Roster, request: UnmaskRequest) -> None:
        if len(request.confirmations) < roster.quorum - 1:
            raise PrivacyError("too few")

    monkeypatch.setattr(checks, "check_confirmations", one_fewer)
    assert all(answered(count, colluders, (count - colluders) // 2))
