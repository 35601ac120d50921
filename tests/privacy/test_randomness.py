from __future__ import annotations

import hmac

import numpy as np
import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest, kstest, norm

from privacy.randomness import Floats, Stream, secret_key, seeded_key

KEY = bytes(range(32))
COUNT = 200_000
KEYS = st.binary(min_size=32, max_size=32)
CONTEXTS = st.lists(st.integers(0, 99) | st.text("abc", min_size=1, max_size=4), max_size=3).map(tuple)


def normals() -> Floats:
    return Stream(KEY, "normals").normal(COUNT)


@given(KEYS, CONTEXTS, st.integers(0, 40))
@settings(deadline=None)
def test_the_same_key_and_context_give_the_same_numbers(
    key: bytes, context: tuple[str | int, ...], count: int
) -> None:
    one, other = Stream(key, *context), Stream(key, *context)
    assert one.bytes(count) == other.bytes(count)
    np.testing.assert_array_equal(one.normal(count), other.normal(count))


@given(KEYS, CONTEXTS, CONTEXTS)
@settings(deadline=None)
def test_different_contexts_give_different_numbers(
    key: bytes, one: tuple[str | int, ...], other: tuple[str | int, ...]
) -> None:
    same = tuple(map(str, one)) == tuple(map(str, other))
    assert (Stream(key, *one).bytes(16) == Stream(key, *other).bytes(16)) == same


def test_two_contexts_are_uncorrelated() -> None:
    one, other = Stream(KEY, "hospital", 1).normal(COUNT), Stream(KEY, "hospital", 2).normal(COUNT)
    assert abs(np.corrcoef(one, other)[0, 1]) < 4 / COUNT**0.5


def test_different_keys_give_different_numbers() -> None:
    assert Stream(KEY).bytes(16) != Stream(KEY[::-1]).bytes(16)


@given(st.lists(st.integers(0, 100), max_size=5))
@settings(deadline=None)
def test_drawing_in_parts_gives_the_numbers_of_drawing_at_once(parts: list[int]) -> None:
    stream = Stream(KEY)
    assert b"".join(stream.bytes(part) for part in parts) == Stream(KEY).bytes(sum(parts))


def test_the_bytes_are_chacha20_under_a_key_derived_by_hkdf() -> None:
    # RFC 5869 without salt, one block of output, written out with HMAC alone.
    extracted = hmac.digest(bytes(32), KEY, "sha256")
    derived = hmac.digest(extracted, b"hospital\x1f3\x01", "sha256")
    stream = Cipher(algorithms.ChaCha20(derived, bytes(16)), mode=None).encryptor().update(bytes(200))
    assert Stream(KEY, "hospital", 3).bytes(200) == stream


def test_the_bytes_never_change_from_one_version_to_the_next() -> None:
    # Computed once with RFC 8439's block function and RFC 5869's HKDF, written out by hand.
    assert Stream(KEY, "hospital", 3).bytes(16).hex() == "d618c5d09a2b55e923927fb9fba668ba"


@pytest.mark.parametrize("length", [0, 16, 31, 33])
def test_a_key_of_another_length_is_refused(length: int) -> None:
    with pytest.raises(ValueError, match=f"32 bytes, not {length}"):
        Stream(bytes(length))


def test_seeded_keys_repeat_and_secret_keys_do_not() -> None:
    assert seeded_key(1, "a") == seeded_key(1, "a")
    assert len({seeded_key(1), seeded_key(2), seeded_key(1, "a"), secret_key(), secret_key()}) == 5
    assert len(seeded_key(1)) == len(secret_key()) == 32


def test_uniform_numbers_lie_strictly_between_zero_and_one() -> None:
    numbers = Stream(KEY).uniform(COUNT)
    assert numbers.min() > 0.0
    assert numbers.max() < 1.0
    assert kstest(numbers, "uniform").pvalue > 1e-3


@pytest.mark.parametrize(("filler", "expected"), [(b"\x00", 2.0**-53), (b"\xff", 1.0 - 2.0**-53)])
def test_the_extreme_words_give_neither_zero_nor_one_and_finite_noise(
    monkeypatch: pytest.MonkeyPatch, filler: bytes, expected: float
) -> None:
    stream = Stream(KEY)
    monkeypatch.setattr(stream, "bytes", lambda count: filler * count)
    assert stream.uniform(1)[0] == expected
    assert 8.2 < abs(stream.normal(1)[0]) < 8.3


def test_normal_numbers_follow_the_standard_normal_distribution() -> None:
    assert kstest(normals(), "norm").pvalue > 1e-3


@pytest.mark.parametrize("wrong", [normals() * 1.05, normals() * 0.95, normals() + 0.03])
def test_the_same_check_fails_for_a_wrong_distribution(wrong: Floats) -> None:
    assert kstest(wrong, "norm").pvalue < 1e-6


def test_normal_numbers_have_variance_one() -> None:
    # The variance of n draws has standard error √(2/n); 4 of them are 1.3 %.
    assert abs(normals().var() - 1.0) < 4 * (2 / COUNT) ** 0.5
    assert abs(normals().mean()) < 4 / COUNT**0.5


def test_the_tails_beyond_four_deviations_are_as_frequent_as_they_should_be() -> None:
    numbers = Stream(KEY, "tails").normal(10 * COUNT)
    beyond = int((numbers > 4.0).sum()), int((numbers < -4.0).sum())
    assert all(binomtest(count, numbers.size, norm.sf(4.0)).pvalue > 1e-3 for count in beyond)


@pytest.mark.parametrize("rate", [0.01, 0.064, 0.5, 0.99])
def test_poisson_sampling_takes_each_patient_at_the_rate(rate: float) -> None:
    chosen = Stream(KEY, "sampling").chosen(COUNT, rate)
    assert binomtest(len(chosen), COUNT, rate).pvalue > 1e-3
    assert kstest(chosen / COUNT, "uniform").pvalue > 1e-3
    assert (np.diff(chosen) > 0).all()


def test_every_patient_is_taken_at_rate_one_and_none_at_rate_zero() -> None:
    np.testing.assert_array_equal(Stream(KEY).chosen(5, 1.0), np.arange(5))
    assert Stream(KEY).chosen(5, 0.0).size == 0
