from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from flwr.app import ConfigRecord, RecordDict
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of

from client.memory import Memory, Store
from ground.bundle import pack
from ground.errors import FederationError, StateError
from privacy.accountant import Accountant, Event
from tasks.messages import Instruction, Reply

DIGEST = "0123456789abcdef" * 4
VECTORS = arrays_of.arrays(st.sampled_from([np.float32, np.float64]), st.integers(1, 5))
ARRAYS = {"control": np.arange(3, dtype=np.float32), "patients": np.array([17.5])}
REPLY = Reply("brest", "train", DIGEST, 4, np.arange(2.0), 0.5, {"auc": 0.5}, seconds=0.25, worker="9")
MEMORY = Memory(5, ARRAYS, Accountant((Event(1.0, 9.5), Event(0.25, 1.5, 4))), REPLY)


@pytest.fixture(params=["home", "context"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    return Store(tmp_path / "home" if request.param == "home" else None, DIGEST, RecordDict())


def assert_same(came: Memory, sent: Memory) -> None:
    assert (came.stage, came.accountant) == (sent.stage, sent.accountant)
    assert set(came.arrays) == set(sent.arrays)
    for name, value in sent.arrays.items():
        assert came.arrays[name].dtype == value.dtype
        np.testing.assert_array_equal(came.arrays[name], value)
    assert came.reply is not None
    assert sent.reply is not None
    for part in ("hospital", "phase", "digest", "round", "noise", "metrics", "seconds", "worker", "error"):
        assert getattr(came.reply, part) == getattr(sent.reply, part)
    np.testing.assert_array_equal(came.reply.vector, sent.reply.vector)


def test_there_is_an_empty_memory_before_the_first_round(store: Store) -> None:
    assert store.load() == Memory(-1, {}, Accountant(), None)


def test_a_memory_is_loaded_as_it_was_saved(store: Store) -> None:
    store.save(MEMORY)
    assert_same(store.load(), MEMORY)


def test_a_later_memory_replaces_the_earlier_one_whole(store: Store) -> None:
    store.save(MEMORY)
    later = Memory(6, {"personal": np.ones(2)}, Accountant(), Reply("brest", "train", DIGEST, 5))
    store.save(later)
    assert_same(store.load(), later)


@given(
    st.dictionaries(st.text("abc.-", min_size=1, max_size=6), VECTORS, max_size=3),
    st.none() | VECTORS,
    st.integers(0, 10**6),
    st.booleans(),
)
@settings(deadline=None)
def test_any_memory_is_loaded_as_it_was_saved(
    tmp_path_factory: pytest.TempPathFactory, arrays, vector, number: int, in_home: bool
) -> None:
    home = tmp_path_factory.mktemp("home") if in_home else None
    reply = Reply("brest", "train", DIGEST, number, vector)
    memory = Memory(number, arrays, MEMORY.accountant, reply)
    store = Store(home, DIGEST, RecordDict())
    store.save(memory)
    came = store.load()
    assert (came.reply.vector is None) == (vector is None)
    if vector is not None:
        assert_same(came, memory)
    assert set(came.arrays) == set(arrays)


def test_a_memory_lies_in_one_file_named_by_the_digest(tmp_path: Path) -> None:
    Store(tmp_path / "home", DIGEST, RecordDict()).save(MEMORY)
    assert [path.name for path in (tmp_path / "home").iterdir()] == [f"{DIGEST}.safetensors"]


def test_a_hospital_with_a_home_leaves_nothing_in_the_context(tmp_path: Path) -> None:
    context = RecordDict()
    Store(tmp_path, DIGEST, context).save(MEMORY)
    assert len(context) == 0


def test_two_studies_lie_beside_each_other_in_one_context() -> None:
    context = RecordDict()
    Store(None, DIGEST, context).save(MEMORY)
    assert Store(None, DIGEST[::-1], context).load().stage == -1
    assert Store(None, DIGEST, context).load().stage == 5


def test_a_memory_without_its_reply_is_not_saved(store: Store) -> None:
    with pytest.raises(ValueError, match="together with the reply"):
        store.save(Memory(1))
    assert store.load().stage == -1


@given(place=st.integers(0, 10**6), flip=st.integers(1, 255), keep=st.floats(0, 1, exclude_max=True))
@settings(deadline=None)
def test_a_damaged_file_never_passes_for_a_memory(
    tmp_path_factory: pytest.TempPathFactory, place: int, flip: int, keep: float
) -> None:
    store = Store(tmp_path_factory.mktemp("home"), DIGEST, RecordDict())
    store.save(MEMORY)
    whole = store._file.read_bytes()
    flipped = bytearray(whole)
    flipped[place % len(whole)] ^= flip
    for damaged in (bytes(flipped), whole[: int(keep * len(whole))]):
        store._file.write_bytes(damaged)
        try:
            came = store.load()
        except StateError as error:
            said = str(error)
        else:  # white space inside the header is all that may change unnoticed
            assert_same(came, MEMORY)
            continue
        assert DIGEST in said
        assert "damaged: restore it from a backup" in said
        assert "\n" not in said


@pytest.mark.parametrize(
    "header",
    [
        {},
        {"round": 4},
        {"round": "four", "reply": "{}", "accountant": "[]"},
        {"round": 4, "reply": "{}", "accountant": "[]"},
    ],
)
def test_a_bundle_that_is_no_memory_is_refused(tmp_path: Path, header: dict[str, object]) -> None:
    (tmp_path / f"{DIGEST}.safetensors").write_bytes(pack(ARRAYS, header))
    with pytest.raises(StateError, match="without it nobody knows what was spent"):
        Store(tmp_path, DIGEST, RecordDict()).load()


def test_a_damaged_context_is_refused() -> None:
    context = RecordDict({f"laennec-{DIGEST[:16]}": ConfigRecord({"memory": b"nonsense"})})
    with pytest.raises(StateError, match="this study's memory: damaged"):
        Store(None, DIGEST, context).load()


def test_a_round_is_answered_once_a_later_one_anew_and_an_older_one_not_at_all() -> None:
    assert MEMORY.answer_to(Instruction("enrol", "", DIGEST, 1, 3)) is REPLY
    assert MEMORY.answer_to(Instruction("roster", "", DIGEST, 1, 3)) is None
    with pytest.raises(FederationError, match="asked for unmask, round 0, after train 4 was answered"):
        MEMORY.answer_to(Instruction("unmask", "", DIGEST, 0, 3))
