"""What comes out is the exact sum of those who sent, whoever fails and whenever; or nothing."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from federation import COUNT, Federation, altered, called, federation, identity, total, values
from hypothesis import given, settings
from hypothesis import strategies as st

from ground.arrays import Words
from ground.errors import FederationError, PrivacyError, UsageError
from privacy.secagg import CoordinatorSide, HospitalSide
from privacy.secagg.graph import least_threshold
from privacy.secagg.stories import quorum

FATES = ("well", "well", "well", "absent", "silent", "late", "unsigned", "mute")


@given(st.lists(st.sampled_from(FATES), min_size=3, max_size=12))
@settings(deadline=None, max_examples=40)
def test_the_sum_is_exact_or_nothing_comes_out_whoever_fails_at_whatever_stage(fates: list[str]) -> None:
    hospitals = federation(len(fates))
    by_fate = {fate: [n for n, f in zip(hospitals.names, fates, strict=True) if f == fate] for fate in FATES}
    present = [name for name in hospitals.names if name not in by_fate["absent"]]
    active = [name for name in present if name not in by_fate["silent"] + by_fate["late"]]
    answering = [name for name in active if name not in by_fate["mute"]]
    signing = [name for name in active if name not in by_fate["unsigned"]]
    if present:  # without a name, all would prepare
        hospitals.prepare(1, *present)
    fates_now = {fate: by_fate[fate] for fate in ("silent", "late", "unsigned", "mute")}
    confirmed = not hospitals.roster.confirm or len(signing) >= quorum(len(fates), 1)
    if len(answering) >= hospitals.roster.threshold and confirmed:
        np.testing.assert_array_equal(hospitals.run(1, **fates_now), total(active))
        return
    with pytest.raises((FederationError, PrivacyError)):
        hospitals.run(1, **fates_now)
    if hospitals.coordinator.total is not None:
        assert not (hospitals.coordinator.total == total(hospitals.coordinator.active)).any()


@given(st.integers(3, 12), st.integers(0, 700), st.sampled_from([np.uint32, np.uint64]))
@settings(deadline=None, max_examples=12)
def test_masks_cancel_for_words_of_any_number_and_width(count: int, size: int, width: type) -> None:
    hospitals = federation(count)
    hospitals.prepare(1)
    opening = hospitals.open(1)
    words = np.arange(size, dtype=width)
    for name in hospitals.names:
        hospitals.mask(name, opening, words)
    hospitals.collect(hospitals.names)
    request = hospitals.close()
    answers = [hospitals.unmask(name, request) for name in hospitals.names]
    np.testing.assert_array_equal(hospitals.coordinator.finish(answers).words, words * width(count))


@pytest.mark.parametrize(
    ("count", "fate"), [*((count, "late") for count in range(3, 13)), (7, "absent"), (8, "silent")]
)
def test_as_many_as_the_threshold_leaves_may_drop_out_and_not_one_more(count: int, fate: str) -> None:
    spare = count - least_threshold(count, 1)
    for gone in (spare, spare + 1):
        hospitals = federation(count)
        missing = hospitals.names[:gone]
        hospitals.prepare(1, *(name for name in hospitals.names if fate != "absent" or name not in missing))
        fates = {} if fate == "absent" else {fate: missing}
        if gone == spare:
            np.testing.assert_array_equal(hospitals.run(1, **fates), total(hospitals.names[gone:]))
        else:
            with pytest.raises(FederationError):
                hospitals.run(1, **fates)


def stopped_short(hospitals: Federation) -> tuple[Words, Words]:
    """A round that one answer too few unmasks: the coordinator's words before and after it tried."""
    hospitals.begin_round(1)
    hospitals.collect(hospitals.names[1:])
    request = hospitals.close()
    few = request.active[: hospitals.roster.threshold - 1]
    answers = [hospitals.unmask(name, request) for name in few]
    assert hospitals.coordinator.total is not None
    before = hospitals.coordinator.total.copy()
    with pytest.raises(FederationError, match="the round is abandoned"):
        hospitals.coordinator.finish(answers)
    return before, hospitals.coordinator.total


def test_the_total_stays_masked_where_a_share_is_missing() -> None:
    hospitals = federation(6)
    before, after = stopped_short(hospitals)
    np.testing.assert_array_equal(before, after)
    assert not (after == total(hospitals.names[1:])).any()


def test_the_total_stays_masked_where_the_shares_are_of_another_key() -> None:
    hospitals = federation(5)
    hospitals.begin_round(1)
    hospitals.collect(hospitals.names[1:])
    request = hospitals.close()
    answers = [hospitals.unmask(name, request) for name in request.active]
    first = answers[0].model_copy(update={"mask_keys": {hospitals.names[0]: bytes(16)}})
    assert hospitals.coordinator.total is not None
    before = hospitals.coordinator.total.copy()
    with pytest.raises(FederationError, match="the shares of hospital-00 are not of its key"):
        hospitals.coordinator.finish([first, *answers[1:]])
    np.testing.assert_array_equal(before, hospitals.coordinator.total)


def test_a_hospital_whose_shares_are_of_another_self_mask_is_named_and_the_total_stays_masked() -> None:
    hospitals = federation(5)
    hospitals.begin_round(1)
    hospitals.collect(hospitals.names[1:])
    request = hospitals.close()
    answers = [hospitals.unmask(name, request) for name in request.active]
    false = answers[0].self_masks | {hospitals.names[3]: bytes(16)}
    assert hospitals.coordinator.total is not None
    before = hospitals.coordinator.total.copy()
    with pytest.raises(FederationError, match="the shares of hospital-03 are not of its self mask"):
        hospitals.coordinator.finish([altered(answers[0], self_masks=false), *answers[1:]])
    np.testing.assert_array_equal(before, hospitals.coordinator.total)
    np.testing.assert_array_equal(hospitals.coordinator.finish(answers).words, total(hospitals.names[1:]))


def test_a_hospital_that_shares_another_self_mask_than_it_committed_to_is_named() -> None:
    hospitals = federation(4)
    made = hospitals.prepare(1)
    name, other = hospitals.names[2], hospitals.names[0]
    own = made[name]
    signature = identity(name).sign_key(hospitals.roster, name, 1, own.public, made[other].commitment)
    false = altered(own, commitment=made[other].commitment, signature=signature)
    hospitals.coordinator = hospitals.coordinator.prepare([false])
    with pytest.raises(FederationError, match="the shares of hospital-02 are not of its self mask"):
        hospitals.run(1)


def test_an_answer_to_another_round_counts_for_nothing() -> None:
    hospitals = federation(4)
    hospitals.prepare(1)
    hospitals.run(1)
    hospitals.begin_round(2)
    hospitals.collect(hospitals.names)
    request = hospitals.close()
    answers = [hospitals.unmask(name, request).model_copy(update={"round": 1}) for name in hospitals.names]
    with pytest.raises(FederationError, match="only 0 of the 3 shares"):
        hospitals.coordinator.finish(answers)


@pytest.mark.parametrize("fate", ["silent", "late"])
def test_a_hospital_that_missed_a_round_prepares_for_the_next_and_is_in_it(fate: str) -> None:
    hospitals = federation(4)
    hospitals.prepare(1)
    missing = hospitals.names[2:3]
    np.testing.assert_array_equal(
        hospitals.run(1, **{fate: missing}), total(set(hospitals.names) - {missing[0]})
    )
    hospitals.prepare(2)
    np.testing.assert_array_equal(hospitals.run(2), total(hospitals.names))


def test_rounds_follow_each_other_with_what_was_prepared_in_the_one_before() -> None:
    hospitals = federation(3)
    hospitals.prepare(1)
    for number in range(1, 5):
        summed = hospitals.run(number, between=partial(hospitals.prepare, number + 1))
        np.testing.assert_array_equal(summed, total(hospitals.names))


def test_an_abandoned_round_is_followed_by_the_next_number() -> None:
    hospitals = federation(4)
    hospitals.prepare(1)
    with pytest.raises(FederationError, match="hospital-00, hospital-01 sent nothing"):
        hospitals.run(1, late=hospitals.names[:2])
    hospitals.prepare(2)
    np.testing.assert_array_equal(hospitals.run(2), total(hospitals.names))


def test_a_round_that_too_few_prepared_is_not_opened_and_names_who_is_missing() -> None:
    hospitals = federation(4)
    hospitals.prepare(1, *hospitals.names[:2])
    assert not hospitals.coordinator.ready(1)
    with pytest.raises(FederationError, match="hospital-02, hospital-03 prepared nothing"):
        hospitals.open(1)
    hospitals.prepare(1, hospitals.names[2])
    assert hospitals.coordinator.ready(1)
    assert not hospitals.coordinator.ready(2)


def test_words_that_do_not_belong_are_refused() -> None:
    hospitals = federation(4)
    with pytest.raises(FederationError, match="no round is open"):
        hospitals.coordinator.add("hospital-00", values("hospital-00"))
    hospitals.prepare(1, *hospitals.names[:3])
    opening = hospitals.open(1)
    for name in hospitals.names[:3]:
        hospitals.mask(name, opening)
    hospitals.collect(hospitals.names[:1])
    with pytest.raises(FederationError, match="hospital-03 does not take part"):
        hospitals.coordinator.add("hospital-03", values("hospital-03"))
    with pytest.raises(FederationError, match="hospital-00 sent its words for round 1 twice"):
        hospitals.collect(hospitals.names[:1])
    for wrong in (np.zeros(COUNT + 1, np.uint64), np.zeros(COUNT, np.uint32)):
        with pytest.raises(FederationError, match="words where 6 were expected"):
            hospitals.coordinator.add("hospital-01", wrong)


def announcements(names: tuple[str, ...]) -> list:
    return [HospitalSide.begin("s", name).announce(identity(name)) for name in names]


def test_a_coordinator_begins_with_at_least_three_hospitals_of_different_names() -> None:
    with pytest.raises(UsageError, match="2 hospitals are too few"):
        CoordinatorSide.begin("s", announcements(called(2)), 2)
    with pytest.raises(UsageError, match="at least 5 here"):
        CoordinatorSide.begin("s", announcements(called(4)), 5)
    with pytest.raises(UsageError, match="hospital-00 announced itself twice"):
        CoordinatorSide.begin("s", announcements((*called(3), "hospital-00")), 3)


@pytest.mark.parametrize("fewest", [0, 3, 6, 8])
def test_in_the_complete_graph_as_many_restore_a_mask_as_are_in_the_smallest_sum(fewest: int) -> None:
    roster = CoordinatorSide.begin("s", announcements(called(8)), fewest).roster
    assert roster.threshold == roster.fewest == max(fewest, 5)


def test_sixty_hospitals_on_a_sparse_graph_sum_exactly_though_six_drop_out() -> None:
    hospitals = federation(60)
    hospitals.prepare(1, *hospitals.names[2:])
    result = hospitals.run(
        1, silent=hospitals.names[2:4], late=hospitals.names[4:6], mute=hospitals.names[6:8]
    )
    np.testing.assert_array_equal(result, total(hospitals.names[6:]))
