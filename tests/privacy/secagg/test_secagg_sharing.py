"""Secrets in shares, and shares in envelopes."""

from __future__ import annotations

from itertools import combinations

import pytest
from federation import called
from hypothesis import given, settings
from hypothesis import strategies as st

from ground.errors import FederationError, PrivacyError
from privacy.secagg import sharing

SECRETS = st.binary(min_size=16, max_size=16)
KEY = bytes(range(32))
CONTEXT = ("digest", 7, "sender", "reader")
PLAIN = bytes(range(32))


@given(SECRETS, st.integers(1, 12), st.data())
@settings(deadline=None, max_examples=40)
def test_any_shares_that_reach_the_threshold_restore_the_secret(
    secret: bytes, count: int, data: st.DataObject
) -> None:
    threshold = data.draw(st.integers(1, count))
    shares = sharing.split(secret, threshold, called(count))
    chosen = data.draw(st.lists(st.sampled_from(called(count)), min_size=threshold, unique=True))
    restored = sharing.combine({name: shares[name] for name in chosen}, threshold, called(count), "x")
    assert restored == secret


@pytest.mark.parametrize(("count", "threshold"), [(4, 3), (6, 4), (12, 7)])
def test_one_share_fewer_than_the_threshold_restores_nothing(count: int, threshold: int) -> None:
    names, secret = called(count), KEY[:16]
    shares = sharing.split(secret, threshold, names)
    for chosen in list(combinations(names, threshold - 1))[:20]:
        few = {name: shares[name] for name in chosen}
        with pytest.raises(
            FederationError, match=f"only {threshold - 1} of the {threshold} shares needed for x"
        ):
            sharing.combine(few, threshold, names, "x")
        assert sharing.combine(few, threshold - 1, names, "x") != secret


def test_the_same_secret_is_shared_differently_each_time() -> None:
    one, other = (sharing.split(KEY[:16], 3, called(5)) for _ in range(2))
    assert all(one[name] != other[name] for name in called(5))


def test_a_wrong_share_restores_another_secret() -> None:
    shares = sharing.split(KEY[:16], 3, called(3))
    assert sharing.combine(shares | {"hospital-01": bytes(16)}, 3, called(3), "x") != KEY[:16]


def test_an_envelope_opens_for_its_reader_and_hides_what_it_holds() -> None:
    sealed = sharing.seal(KEY, PLAIN, *CONTEXT)
    assert sharing.unseal(KEY, sealed, "sender", *CONTEXT) == PLAIN
    assert PLAIN not in sealed
    assert sharing.seal(KEY, PLAIN, *CONTEXT) != sealed


@pytest.mark.parametrize("place", range(len(CONTEXT)))
def test_an_envelope_opens_in_no_other_context(place: int) -> None:
    sealed = sharing.seal(KEY, PLAIN, *CONTEXT)
    other = [*CONTEXT[:place], 8 if place == 1 else "other", *CONTEXT[place + 1 :]]
    with pytest.raises(PrivacyError, match="the shares of sender do not open here"):
        sharing.unseal(KEY, sealed, "sender", *other)


def test_an_envelope_opens_under_no_other_key() -> None:
    with pytest.raises(PrivacyError, match="do not open here"):
        sharing.unseal(KEY[::-1], sharing.seal(KEY, PLAIN, *CONTEXT), "sender", *CONTEXT)


def test_an_envelope_with_any_bit_flipped_does_not_open() -> None:
    sealed = sharing.seal(KEY, PLAIN, *CONTEXT)
    assert len(sealed) == 60
    for bit in range(8 * len(sealed)):
        flipped = (int.from_bytes(sealed) ^ 1 << bit).to_bytes(len(sealed))
        with pytest.raises(PrivacyError, match="do not open here"):
            sharing.unseal(KEY, flipped, "sender", *CONTEXT)
