from __future__ import annotations

import json
import math
import pickle
from contextlib import suppress
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from flwr.app import Array as FlowerArray
from flwr.app import ArrayRecord, ConfigRecord, RecordDict
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of

from ground.errors import DataError, FederationError, LaennecError
from tasks.messages import (
    MESSAGE_TYPE,
    Instruction,
    Reply,
    pack_instruction,
    pack_reply,
    reply_from_text,
    reply_to_text,
    unpack_instruction,
    unpack_reply,
)

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
PHASES = st.sampled_from(sorted(MESSAGE_TYPE))
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
VECTORS = arrays_of.arrays(
    st.sampled_from([np.float32, np.float64]), st.integers(0, 5), elements=st.floats(width=32)
)
INSTRUCTIONS = st.builds(
    Instruction,
    phase=PHASES,
    study=TEXT,
    digest=TEXT,
    round=st.integers(0, 2**40),
    hospitals=st.integers(0, 2**40),
    published=st.dictionaries(st.text("abc.-", min_size=1, max_size=4), VECTORS, max_size=3),
)
REPLIES = st.builds(
    Reply,
    hospital=TEXT,
    phase=PHASES,
    digest=TEXT,
    round=st.integers(0, 2**40),
    vector=st.none() | VECTORS,
    noise=NUMBERS,
    metrics=st.dictionaries(TEXT, NUMBERS | st.just(math.nan), max_size=3),
    patients=st.none() | st.integers(0, 10**6),
    quarantined=st.none() | st.integers(0, 10**6),
    seconds=NUMBERS,
    worker=TEXT,
    error=st.none() | st.tuples(TEXT, TEXT),
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
REPLY = Reply("brest", "train", "d" * 64, 3, vector=np.arange(4.0), metrics={"auc": 0.5}, patients=7)
INSTRUCTION = Instruction("train", "a study", "d" * 64, 3, 4, {"model": np.arange(4.0)})
KEYS = sorted(json.loads(reply_to_text(REPLY)))


def content(text: Any, arrays: dict[str, FlowerArray] | None = None) -> RecordDict:
    return RecordDict({"text": ConfigRecord({"json": text}), "arrays": ArrayRecord(arrays or {})})


def without_arrays(value: Reply) -> Reply:
    """With NaN, which equals nothing, written out."""
    metrics: Any = {key: str(number) for key, number in value.metrics.items()}
    return replace(value, vector=None, metrics=metrics)


@given(INSTRUCTIONS)
@settings(deadline=None)
def test_an_instruction_arrives_as_it_was_sent(sent: Instruction) -> None:
    came = unpack_instruction(pack_instruction(sent))
    assert replace(came, published={}) == replace(sent, published={})
    assert list(came.published) == list(sent.published)
    for name, vector in sent.published.items():
        assert came.published[name].dtype == vector.dtype
        np.testing.assert_array_equal(came.published[name], vector)


@given(REPLIES)
@settings(deadline=None)
def test_a_reply_arrives_as_it_was_sent(sent: Reply) -> None:
    came = unpack_reply(pack_reply(sent))
    assert without_arrays(came) == without_arrays(sent)
    assert (came.vector is None) == (sent.vector is None)
    if came.vector is not None and sent.vector is not None:
        assert came.vector.dtype == sent.vector.dtype
        np.testing.assert_array_equal(came.vector, sent.vector)


@given(REPLIES)
@settings(deadline=None)
def test_the_text_of_a_reply_is_json_that_every_reader_understands(sent: Reply) -> None:
    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    json.loads(reply_to_text(sent), parse_constant=refuse)


def test_two_packings_of_one_reply_are_the_same_bytes() -> None:
    first, second = (pack_reply(REPLY).array_records["arrays"]["vector"].data for _ in range(2))
    assert first == second


@pytest.mark.parametrize("key", KEYS)
def test_a_reply_without_one_of_its_keys_is_refused(key: str) -> None:
    values = json.loads(reply_to_text(REPLY))
    del values[key]
    with pytest.raises(FederationError, match="malformed"):
        reply_from_text(json.dumps(values))


@pytest.mark.parametrize("key", ["phase", "study", "digest", "round", "hospitals"])
def test_an_instruction_without_one_of_its_keys_is_refused(key: str) -> None:
    values = json.loads(pack_instruction(INSTRUCTION).config_records["text"]["json"])
    del values[key]
    with pytest.raises(FederationError, match=r"an instruction is malformed: .* the same version"):
        unpack_instruction(content(json.dumps(values)))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *(("phase", value) for value in ("evaluate", "", None, 1, [])),
        *(("round", value) for value in (1.0, "1", True, None)),
        *(("noise", value) for value in ("much", None, [], 10**400)),
        *(("metrics", value) for value in ([], None, {"auc": "high"}, {"auc": 10**400})),
        *(("patients", value) for value in (7.0, "7", True)),
        *(("error", value) for value in ("a", 5, {}, ["DataError"])),
    ],
)
def test_a_reply_with_a_value_of_another_kind_is_refused(key: str, value: object) -> None:
    values = json.loads(reply_to_text(REPLY)) | {key: value}
    with pytest.raises(FederationError, match="a reply is malformed"):
        reply_from_text(json.dumps(values))


@given(st.sampled_from(KEYS), JSON)
@settings(deadline=None, max_examples=200)
def test_whatever_stands_in_a_reply_it_is_read_or_refused(key: str, value: object) -> None:
    values = json.loads(reply_to_text(REPLY)) | {key: value}
    with suppress(FederationError):
        assert isinstance(reply_from_text(json.dumps(values)), Reply)


@given(st.text(max_size=20) | JSON.map(json.dumps))
@settings(deadline=None)
def test_any_other_text_is_refused(text: str) -> None:
    for unpack in (unpack_instruction, unpack_reply):
        with pytest.raises(FederationError, match="malformed"):
            unpack(content(text))


@pytest.mark.parametrize("text", ["[" * 100_000, 5, b"{}", "[]", "null"])
def test_text_that_is_no_object_is_refused(text: object) -> None:
    for unpack in (unpack_instruction, unpack_reply):
        with pytest.raises(FederationError, match="malformed"):
            unpack(content(text))


@pytest.mark.parametrize(
    "records",
    [
        RecordDict(),
        RecordDict({"text": ConfigRecord({"json": reply_to_text(REPLY)})}),
        RecordDict({"arrays": ArrayRecord()}),
        RecordDict({"text": ConfigRecord(), "arrays": ArrayRecord()}),
        RecordDict({"arrays": ConfigRecord({"json": "{}"}), "text": ArrayRecord()}),
    ],
)
def test_a_message_of_other_parts_is_refused(records: RecordDict) -> None:
    for unpack in (unpack_instruction, unpack_reply):
        with pytest.raises(FederationError, match="a message is malformed"):
            unpack(records)


@pytest.mark.parametrize(
    "changes",
    [
        {"data": b""},
        {"data": b"\x00" * 7},
        {"dtype": "object"},
        {"dtype": "<i8"},
        {"dtype": "nonsense"},
        {"shape": (3,)},
        {"shape": (-2, -2)},
        {"stype": "pickle"},
    ],
)
def test_a_vector_that_is_not_what_it_says_is_refused(changes: dict[str, Any]) -> None:
    whole = pack_reply(REPLY).array_records["arrays"]["vector"]
    parts = {"dtype": whole.dtype, "shape": whole.shape, "stype": whole.stype, "data": bytes(whole.data)}
    broken = FlowerArray(**{**parts, **changes})
    with pytest.raises(FederationError, match="a message is malformed"):
        unpack_reply(content(reply_to_text(REPLY), {"vector": broken}))


def test_pickled_objects_are_never_loaded() -> None:
    pickled = FlowerArray(np.zeros(2))
    pickled.data = pickle.dumps(REPLY)
    with pytest.raises(FederationError, match="a message is malformed"):
        unpack_reply(content(reply_to_text(REPLY), {"vector": pickled}))


def test_an_error_keeps_its_kind_and_its_words() -> None:
    problem = unpack_reply(pack_reply(replace(REPLY, error=("DataError", "line 3")))).problem()
    assert type(problem) is DataError
    assert str(problem) == "line 3"


@pytest.mark.parametrize("name", ["SystemExit", "KeyboardInterrupt", "ValueError", ""])
def test_an_error_of_no_kind_of_ours_is_the_base_of_the_tree(name: str) -> None:
    assert type(replace(REPLY, error=(name, "text")).problem()) is LaennecError


def test_a_reply_without_an_error_has_no_problem() -> None:
    assert REPLY.problem() is None
