"""A peer's message, however broken, is unpacked or refused by name."""

import pytest
import targets
from corpus import CHANGES, changed
from hypothesis import example, given, settings
from hypothesis import strategies as st
from targets import instruction, json_of, reply

from ground.errors import FederationError
from tasks.messages import MESSAGE_TYPE, Reply, reply_to_text

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(), max_size=8)
    | st.sampled_from(["\ud800", *MESSAGE_TYPE, "DataError", "LaterError", "StudyError"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
ARRAYS = st.binary(max_size=60)
INSTRUCTION = {
    "phase": "train",
    "study": "s",
    "digest": "d",
    "round": 1,
    "hospitals": 3,
    "secure": {"a": "b"},
}
REPLY = {"hospital": "h", "phase": "train", "digest": "d", "round": 1, "noise": 1.0, "metrics": {"a": None},
         "summed": ["a"], "secure": "", "patients": 3, "quarantined": 0, "seconds": 1.0, "worker": "w",
         "error": ["DataError", "x"], "later": 0.0, "signature": ""}  # fmt: skip


def twisted(whole):
    return st.dictionaries(st.sampled_from(sorted(whole)), VALUES, max_size=3).map(
        lambda other: json_of({**whole, **other})
    )


@given(twisted(INSTRUCTION), ARRAYS)
@settings(max_examples=200, deadline=None)
@example(json_of({**INSTRUCTION, "study": "\ud800"}), b"")
@example(json_of({**INSTRUCTION, "secure": {"\udfff": "x"}}), b"")
def test_twisted_instructions(text, array):
    instruction(text + b"\0" + array if array else text)


@given(twisted(REPLY), ARRAYS)
@settings(max_examples=200, deadline=None)
@example(json_of({**REPLY, "noise": float("nan")}), b"")
@example(json_of({**REPLY, "error": ["DataError", "\ud800"]}), b"")
@example(json_of({**REPLY, "metrics": {"\ud800": 1}}), b"")
def test_twisted_replies(text, array):
    reply(text + b"\0" + array if array else text)


@given(CHANGES)
@settings(max_examples=150, deadline=None)
def test_broken_texts(changes):
    instruction(changed(json_of(INSTRUCTION) + b"\0" + bytes(40), changes))
    reply(changed(json_of(REPLY) + b"\0" + bytes(40), changes))


def test_the_reply_that_is_twisted_is_whole_to_begin_with():
    """Else every twisted one would be refused for what it lacks, and nothing would be tested."""
    assert json_of(REPLY).count(b":") >= reply_to_text(Reply("h", "train", "d", 1)).count(":")
    reply(json_of(REPLY))
    instruction(json_of(INSTRUCTION))


def test_a_promise_that_is_broken_is_noticed(monkeypatch):
    monkeypatch.setattr(targets, "unpack_reply", lambda _: Reply("\ud800", "train", "d", 1))
    with pytest.raises(FederationError):
        reply(json_of(REPLY))
