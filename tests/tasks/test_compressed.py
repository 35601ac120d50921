"""Numbers made smaller and back: every bit, however the bytes are cut, and no bomb."""

from __future__ import annotations

import pickle
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of

from ground.arrays import Array
from tasks import compressed
from tasks.carried import deflated, unpack_array
from tasks.compressed import BLOCK, deflate, inflate
from tasks.messages import Reply, pack_reply, unpack_reply

KIND = st.sampled_from([np.float32, np.float64])


def there_and_back(values: Array, cut: int) -> Array:
    small = deflate(values)
    assert small is not None
    back = np.empty_like(values)
    inflate([small[start : start + cut] for start in range(0, len(small), cut)], back)
    return back


@settings(deadline=None, max_examples=60)
@given(
    values=KIND.flatmap(lambda kind: arrays_of.arrays(kind, st.integers(1, 700))),
    block=st.sampled_from([16, 64, 1000]),
    cut=st.integers(1, 200),
)
def test_every_bit_comes_back(values: Array, block: int, cut: int) -> None:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(compressed, "BLOCK", block)
        patched.setattr(compressed, "WORTH_IT", 100.0)
        assert there_and_back(values, cut).tobytes() == values.tobytes()


@pytest.mark.parametrize("size", [BLOCK // 4, BLOCK // 4 + 1, 3 * BLOCK // 4 - 1])
def test_blocks_meet_without_a_seam(size: int) -> None:
    values = np.random.default_rng(1).standard_normal(size).astype(np.float32)
    assert there_and_back(values, 999_983).tobytes() == values.tobytes()


def test_updates_become_smaller_and_what_is_mostly_zero_much_smaller() -> None:
    update = np.random.default_rng(1).standard_normal(BLOCK).astype(np.float32)
    small = deflate(update)
    assert small is not None
    assert len(small) < 0.9 * update.nbytes
    update[: int(0.98 * update.size)] = 0
    small = deflate(update)
    assert small is not None
    assert len(small) < 0.05 * update.nbytes


@pytest.mark.parametrize("kind", [np.uint32, np.uint64])
def test_masked_words_stay_as_they_are(kind: type[np.unsignedinteger]) -> None:
    words = np.random.default_rng(1).integers(0, 2**32, 1000).astype(kind) * kind(2**31 + 11)
    if kind is np.uint32:
        assert deflate(words) is None
    assert deflate(words[:0]) is None


def test_a_reply_made_smaller_is_the_same_reply() -> None:
    vector = np.random.default_rng(1).standard_normal(50_000).astype(np.float32)
    reply = Reply("lille", "train", "ab" * 32, 3, vector=vector, metrics={"auc": 0.5})
    content = deflated(pack_reply(reply))
    back = unpack_reply(pickle.loads(pickle.dumps(content)))  # noqa: S301
    assert back.vector is not None
    assert back.vector.tobytes() == vector.tobytes()
    assert not back.vector.flags.writeable
    assert back.metrics == reply.metrics
    assert len(content.array_records["arrays"]["vector"].data) < 0.9 * vector.nbytes


def block_of(plain: bytes) -> bytes:
    packed = zlib.compress(plain)
    return len(packed).to_bytes(4, "little") + packed


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x01",
        block_of(bytes(16)) + b"\x00",
        block_of(bytes(12)),
        block_of(bytes(20)),
        block_of(bytes(10**8)),
        block_of(bytes(16)) + block_of(b""),
        block_of(bytes(16)) + block_of(bytes(4)),
        (4).to_bytes(4, "little") + b"abcd",
        (2**32 - 1).to_bytes(4, "little") + bytes(100),
        block_of(bytes(16))[:-3],
    ],
    ids=range(11),
)
def test_anything_else_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"block|deflated|fewer"):
        inflate([data], np.empty(4, dtype=np.float32))


def test_a_shape_below_zero_is_refused() -> None:
    vector = np.zeros(5000, dtype=np.float32)
    small = deflated(pack_reply(Reply("lille", "train", "ab", 3, vector=vector))).array_records["arrays"][
        "vector"
    ]
    small.shape = (-5000,)
    with pytest.raises(ValueError, match="not an array"):
        unpack_array(small)
