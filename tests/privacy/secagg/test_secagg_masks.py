"""Masks are key streams of full strength; what travels says nothing. Each of Flower's flaws has its test."""

from __future__ import annotations

import itertools

import numpy as np
import numpy.typing as npt
import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from federation import STUDY, called, federation, identity, known
from scipy.stats import chisquare

from ground.arrays import Words
from ground.errors import PrivacyError
from privacy.randomness import Stream
from privacy.secagg import Floor, HospitalSide, UnmaskRequest, masks, wire
from privacy.secagg.wire import Wire

KEY = bytes(range(32))
WIDTHS = [np.uint32, np.uint64]
# Every field of every message: a number of patients, a metric or a weight would be a new one.
FIELDS = {
    "Announcement": {"hospital", "identity", "sealing", "colluders", "signature"},
    "Confirmation": {"hospital", "signature"},
    "Endorsement": {"hospital", "signature"},
    "Floor": {"hospitals", "colluders"},  # a hospital's own setting: of it only the announced number travels
    "Joined": {"endorsement", "preparation"},
    "Opening": {"round", "preparations", "endorsements"},
    "Preparation": {"hospital", "round", "public", "commitment", "signature", "sealed"},
    "Refusal": {"round", "hospital", "why"},  # the coordinator's own note
    "Roster": {"study", "announcements", "threshold", "fewest", "quorum"},
    "UnmaskRequest": {"roster", "round", "active", "dropped", "confirmations"},
    "Unmasking": {"hospital", "round", "self_masks", "mask_keys"},
}
NUMBERS = {"round", "threshold", "fewest", "quorum", "hospitals", "colluders"}


def counter_stream(key: bytes, length: int) -> bytes:
    """AES-256 in counter mode, written out: each block is the encrypted number of the block."""
    encryptor = Cipher(algorithms.AES(key), modes.ECB()).encryptor()  # noqa: S305
    blocks = b"".join(number.to_bytes(16, "big") for number in range(-(-length // 16)))
    return encryptor.update(blocks)[:length]


def mask(key: bytes, size: int, width: npt.DTypeLike = np.uint64) -> Words:
    words = np.zeros(size, dtype=width)
    masks.apply(words, key)
    return words


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("size", [0, 1, 5, masks.CHUNK // 8, 2 * masks.CHUNK // 4 + 3])
def test_a_mask_is_the_key_stream_of_aes_256_in_counter_mode(width: npt.DTypeLike, size: int) -> None:
    bits = np.dtype(width).newbyteorder("<")
    expected = np.frombuffer(counter_stream(KEY, size * bits.itemsize), dtype=bits)
    np.testing.assert_array_equal(mask(KEY, size, width), expected)


def test_every_one_of_the_256_bits_of_a_key_changes_the_mask_everywhere() -> None:
    whole = mask(KEY, 64)
    seen = {whole.tobytes()}
    for bit in range(256):
        changed = mask((int.from_bytes(KEY) ^ 1 << bit).to_bytes(32), 64)
        assert not (changed == whole).any()
        seen.add(changed.tobytes())
    assert len(seen) == 257


@pytest.mark.parametrize("width", WIDTHS)
def test_a_mask_comes_off_as_it_went_on(width: npt.DTypeLike) -> None:
    words = np.arange(100, dtype=width) * 3
    changed = words.copy()
    masks.apply(changed, KEY)
    assert not (changed == words).any()
    masks.apply(changed, KEY, subtract=True)
    np.testing.assert_array_equal(changed, words)


@pytest.mark.parametrize("wrong", [np.zeros(3), np.zeros(3, np.int64), np.zeros((2, 2), np.uint64)])
def test_only_a_row_of_unsigned_words_is_masked(wrong: Words) -> None:
    before = wrong.copy()
    with pytest.raises(ValueError, match="masks go on a row of unsigned words"):
        masks.apply(wrong, KEY)
    np.testing.assert_array_equal(wrong, before)


def uniformity(words: Words) -> float:
    """How likely bytes so unevenly spread are, were they uniform."""
    return float(chisquare(np.bincount(words.view(np.uint8), minlength=256)).pvalue)


@pytest.mark.parametrize("width", WIDTHS)
def test_a_masked_vector_is_uniform_whatever_it_hides(
    monkeypatch: pytest.MonkeyPatch, width: npt.DTypeLike
) -> None:
    drawn = Stream(KEY, "hospitals")
    monkeypatch.setattr("os.urandom", drawn.bytes)  # the same secrets every time, so the same verdict
    hospitals = federation(3)
    hospitals.prepare(1)
    opening = hospitals.open(1)
    for name, value in zip(hospitals.names, (0, 1, 255), strict=True):
        words = np.full(100_000, value, dtype=width)
        assert uniformity(words) < 1e-12
        sent = hospitals.mask(name, opening, words)
        assert uniformity(sent) > 1e-3
        assert uniformity(np.diff(sent)) > 1e-3
    total = np.sum([hospitals.sent[name] for name in hospitals.names], axis=0, dtype=width)
    assert uniformity(total) > 1e-3
    for one, other in itertools.combinations(hospitals.names, 2):
        signs = np.corrcoef(hospitals.sent[one].astype(float), hospitals.sent[other].astype(float))
        assert abs(signs[0, 1]) < 4 / 100_000**0.5


def test_two_rounds_mask_the_same_words_differently() -> None:
    hospitals = federation(3)
    sent = []
    for number in (1, 2):
        hospitals.begin_round(number)
        sent.append(hospitals.sent[hospitals.names[0]])
    assert not (sent[0] == sent[1]).any()


def test_a_node_never_hands_over_both_shares_of_a_peer() -> None:
    hospitals = federation(5)
    assert not hospitals.roster.confirm
    hospitals.begin_round(1)
    digest = hospitals.roster.digest
    requests = [
        UnmaskRequest(roster=digest, round=1, active=active, dropped=tuple({*hospitals.names} - {*active}))
        for size in range(6)
        for active in itertools.combinations(hospitals.names, size)
    ]
    side, answered = hospitals.sides["hospital-00"], []
    for request in requests:
        try:
            side, answer = side.unmask(request)
        except PrivacyError:
            continue
        answered.append(answer)
        assert not set(answer.self_masks) & set(answer.mask_keys)
    assert len(answered) == 1


def test_relayed_keys_are_signed_and_the_threshold_is_not_the_servers_choice() -> None:
    hospitals = federation(4)
    lowered = hospitals.roster.model_copy(update={"threshold": 2})
    relayed = hospitals.roster.announcements[1].model_copy(update={"sealing": bytes(32)})
    announcements = (hospitals.roster.announcements[0], relayed, *hospitals.roster.announcements[2:])
    swapped = hospitals.roster.model_copy(update={"announcements": announcements})
    name = called(1)[0]
    side = hospitals.sides[name].model_copy(update={"roster": None})
    for roster, why in ((lowered, "threshold 2 is outside"), (swapped, "did not sign its keys")):
        with pytest.raises(PrivacyError, match=why):
            side.join(roster, identity(name), known(called(4)), Floor())


def test_no_message_has_a_field_for_anything_that_a_patient_could_change() -> None:
    messages = {each.__name__: each for each in Wire.__subclasses__() if each.__module__ == wire.__name__}
    assert {name: set(each.model_fields) for name, each in messages.items()} == FIELDS
    for each in messages.values():
        numbers = {name for name, field in each.model_fields.items() if field.annotation in (int, float)}
        assert numbers <= NUMBERS


def test_a_field_that_no_message_has_is_refused() -> None:
    text = wire.UnmaskRequest(roster="r", round=1, active=("a",), dropped=()).to_text()
    with pytest.raises(Exception, match="malformed unmaskrequest"):
        wire.UnmaskRequest.from_text(text[:-1] + ',"num_examples":3}')


def test_two_hospitals_agree_on_a_new_key_in_every_study() -> None:
    sides = [HospitalSide.begin(STUDY, name) for name in called(2)]
    assert len({side.sealing for side in sides} | {HospitalSide.begin(STUDY, "x").sealing}) == 3
