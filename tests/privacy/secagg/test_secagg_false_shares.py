"""One bad hospital is left out, by name, as long as the others suffice."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from federation import Federation, altered, federation, identity, total
from hypothesis import given, settings
from hypothesis import strategies as st

from ground.errors import FederationError, PrivacyError
from privacy.secagg import CoordinatorSide, Preparation, Unmasking, sharing
from privacy.secagg.checks import check_prepared
from privacy.secagg.restoring import TRIES, restore

HOLDERS = tuple(f"hospital-{number:02}" for number in range(8))
SECRET = bytes(range(16))


def genuine(secret: bytes) -> bool:
    return secret == SECRET


@given(st.integers(1, 8), st.sets(st.sampled_from(HOLDERS)), st.sets(st.sampled_from(HOLDERS)))
@settings(deadline=None, max_examples=60)
def test_a_secret_is_restored_where_enough_shares_are_genuine_and_else_nothing_is(
    threshold: int, silent: set[str], false: set[str]
) -> None:
    dealt = sharing.split(SECRET, threshold, HOLDERS)
    shares = {name: share for name, share in dealt.items() if name not in silent}
    shares |= {name: bytes(16) for name in false if name in shares}
    good = shares.keys() - false
    if len(good) < threshold:
        with pytest.raises(FederationError, match="Brest"):
            restore(shares, threshold, HOLDERS, genuine, whose="Brest", what="key")
        return
    restored = restore(shares, threshold, HOLDERS, genuine, whose="Brest", what="key")
    assert restored.secret == SECRET
    assert restored.liars <= false
    first = set(sorted(shares)[:threshold])
    assert restored.liars == (false & shares.keys() if first & false else set())


def test_among_many_choices_some_are_tried_at_random_and_the_liars_are_named() -> None:
    holders = tuple(f"hospital-{number:02}" for number in range(36))
    shares = sharing.split(SECRET, 20, holders)
    shares |= {holders[place]: bytes(16) for place in (0, 5)}
    restored = restore(shares, 20, holders, genuine, whose="Brest", what="key")
    assert restored.secret == SECRET
    assert restored.liars == {holders[0], holders[5]}
    assert TRIES < 1000  # of 7 thousand million


def test_those_who_lied_before_are_asked_last() -> None:
    calls: list[bytes] = []

    def counted(secret: bytes) -> bool:
        calls.append(secret)
        return genuine(secret)

    shares = sharing.split(SECRET, 4, HOLDERS) | {HOLDERS[0]: bytes(16)}
    restore(shares, 4, HOLDERS, counted, whose="Brest", what="key", suspects={HOLDERS[0]})
    assert len(calls) == 1
    calls.clear()
    restore(shares, 4, HOLDERS, counted, whose="Brest", what="key")
    assert len(calls) > 1


def answers_of(hospitals: Federation, gone: int) -> list[Unmasking]:
    """Of all but the first few, who sent nothing."""
    hospitals.begin_round(1)
    hospitals.collect(hospitals.names[gone:])
    request = hospitals.close()
    return [hospitals.unmask(name, request) for name in request.active]


def lied(answer: Unmasking) -> Unmasking:
    """The answer with every share another one of the right size."""
    false = {name: bytes(16) for name in answer.self_masks}
    return altered(answer, self_masks=false, mask_keys={name: bytes(16) for name in answer.mask_keys})


@pytest.mark.parametrize("gone", [0, 1])
@pytest.mark.parametrize("liar", [0, 3, -1])
def test_a_hospital_that_sends_false_shares_is_named_and_the_sum_is_exact(gone: int, liar: int) -> None:
    hospitals = federation(8)
    answers = answers_of(hospitals, gone)
    name = answers[liar].hospital
    answers[liar] = lied(answers[liar])
    unmasked = hospitals.coordinator.finish(answers)
    np.testing.assert_array_equal(unmasked.words, total(hospitals.names[gone:]))
    # Whose shares were not among the first tried is neither believed nor blamed.
    assert unmasked.liars in ((name,), ())
    assert unmasked.liars or liar == -1


def test_in_a_sparse_graph_a_liar_is_named_by_its_neighbours_secrets() -> None:
    hospitals = federation(60)
    answers = answers_of(hospitals, 1)
    answers[0] = lied(answers[0])
    unmasked = hospitals.coordinator.finish(answers)
    np.testing.assert_array_equal(unmasked.words, total(hospitals.names[1:]))
    assert unmasked.liars == (answers[0].hospital,)


def test_with_as_many_liars_as_the_threshold_cannot_spare_nothing_comes_out() -> None:
    hospitals = federation(8)
    answers = answers_of(hospitals, 0)
    spare = len(answers) - hospitals.roster.threshold
    assert hospitals.coordinator.total is not None
    before = hospitals.coordinator.total.copy()
    few = [lied(each) if place <= spare else each for place, each in enumerate(answers)]
    with pytest.raises(FederationError, match="the shares of hospital-00 are not of its self mask"):
        hospitals.coordinator.finish(few)
    np.testing.assert_array_equal(before, hospitals.coordinator.total)


def first_prepared(hospitals: Federation) -> Preparation:
    return hospitals.prepare(1)[hospitals.names[0]]


def resigned(hospitals: Federation, made: Preparation, public: bytes) -> Preparation:
    signed = identity(made.hospital).sign_key(hospitals.roster, made.hospital, 1, public, made.commitment)
    return altered(made, public=public, signature=signed)


BAD: dict[str, tuple[Callable[[Federation, Preparation], Preparation], str]] = {
    "signature": (lambda _, made: altered(made, signature=bytes(64)), "did not sign its key for round 1"),
    "degenerate": (lambda all_, made: resigned(all_, made, bytes(32)), "sent a key that shares no secret"),
    "one share": (
        lambda _, made: altered(made, sealed=dict(list(made.sealed.items())[1:])),
        "sealed shares for others than its neighbours",
    ),
}


@pytest.mark.parametrize(("spoil", "why"), BAD.values(), ids=BAD)
def test_a_preparation_that_would_have_everybody_refuse_the_round_is_noticed_before(
    spoil: Callable[[Federation, Preparation], Preparation], why: str
) -> None:
    hospitals = federation(4)
    made = first_prepared(hospitals)
    check_prepared(hospitals.roster, made)
    with pytest.raises(PrivacyError, match=f"hospital-00 {why}"):
        check_prepared(hospitals.roster, spoil(hospitals, made))


def test_refusals_are_kept_with_the_state() -> None:
    side = federation(4).coordinator.refuse(3, "hospital-02", "too long")
    again = CoordinatorSide.from_text(side.to_text(), None)
    assert [(each.round, each.hospital, each.why) for each in again.refusals] == [
        (3, "hospital-02", "too long")
    ]
