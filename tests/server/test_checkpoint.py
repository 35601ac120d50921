from __future__ import annotations

import json
import math
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of

from ground.bundle import pack
from ground.errors import StateError
from privacy.accountant import Accountant, Event
from server import checkpoint
from server.progress import Member, Progress, Record
from tasks.learners.contract import State
from tasks.study import parse

STUDY = parse('name = "kept"\ntask = "heart-disease"\nrounds = 9\n[privacy]\nepsilon = 1.0\n')
WHERE = "home/coordinator"
DAMAGED = f"^{WHERE}: damaged: "

FLOATS = st.floats(allow_nan=False, allow_infinity=False)
COUNTS = st.none() | st.integers(0, 10**6)
RATES = st.floats(0.0, 1.0, exclude_min=True)
MODELS = arrays_of.arrays(np.float32, st.integers(0, 20), elements=st.floats(width=32, allow_nan=False))
SLOTS = st.dictionaries(
    st.text("abcdefgh.", min_size=1, max_size=6),
    arrays_of.arrays(np.float64, st.integers(0, 5), elements=FLOATS),
    max_size=3,
)
METRICS = st.dictionaries(st.text(max_size=5), FLOATS | st.just(math.nan), max_size=3)
RECORDS = st.builds(
    Record,
    st.integers(0, 9),
    st.dictionaries(st.text(max_size=5), METRICS, max_size=3),
    st.lists(st.text(max_size=5), max_size=3).map(tuple),
)
PROGRESSES = st.builds(
    Progress,
    study=st.just(STUDY),
    phase=st.sampled_from(["enrol", "train", "report", "done"]),
    round=st.integers(0, 9),
    roster=st.lists(st.builds(Member, st.text(max_size=8), COUNTS, COUNTS), max_size=3).map(tuple),
    state=st.builds(State, MODELS, SLOTS),
    accountant=st.builds(
        Accountant,
        st.lists(st.builds(Event, RATES, st.floats(0.0, 1e6), st.integers(1, 50)), max_size=3).map(tuple),
    ),
    history=st.lists(RECORDS, max_size=3).map(tuple),
)
PROGRESS = Progress(
    STUDY,
    "train",
    2,
    (Member("cleveland", 303, 0), Member("hungary", None, None)),
    State(np.arange(14, dtype=np.float32), {"patients": np.array([505.3])}),
    Accountant((Event(1.0, 20.0), Event(1.0, 7.5))),
    (Record(0, {"cleveland": {"accuracy": 0.5, "auc": math.nan}}, ("cleveland", "hungary")),),
)
WHOLE = checkpoint.to_bytes(PROGRESS)


@given(PROGRESSES)
@settings(deadline=None)
def test_what_is_saved_is_what_is_read(progress: Progress) -> None:
    saved = checkpoint.to_bytes(progress)
    back = checkpoint.from_bytes(saved, WHERE)
    assert checkpoint.to_bytes(back) == saved
    # NaN is not equal to itself, so history is compared by its bytes alone.
    arrays = State(np.zeros(0))
    assert replace(back, state=arrays, history=()) == replace(progress, state=arrays, history=())
    np.testing.assert_array_equal(back.state.model, progress.state.model)
    assert back.state.model.dtype == np.float32
    assert set(back.state.slots) == set(progress.state.slots)


def test_an_undefined_metric_is_still_undefined_after_reading() -> None:
    record = checkpoint.from_bytes(WHOLE, WHERE).history[0]
    assert math.isnan(record.metrics["cleveland"]["auc"])
    assert record.metrics["cleveland"]["accuracy"] == 0.5
    assert record.contributors == ("cleveland", "hungary")


@given(st.integers(0, len(WHOLE) - 1))
@settings(deadline=None)
def test_a_truncated_checkpoint_is_refused_by_its_place(length: int) -> None:
    with pytest.raises(StateError, match=DAMAGED):
        checkpoint.from_bytes(WHOLE[:length], WHERE)


@given(st.integers(0, len(WHOLE) - 1), st.integers(1, 255))
@settings(deadline=None, max_examples=300)
def test_a_corrupted_byte_never_passes_for_other_progress(place: int, flip: int) -> None:
    damaged = bytearray(WHOLE)
    damaged[place] ^= flip
    try:
        progress = checkpoint.from_bytes(bytes(damaged), WHERE)
    except StateError:
        return
    assert checkpoint.to_bytes(progress) == WHOLE


@pytest.mark.parametrize("missing", ["study", "phase", "round", "roster", "accountant", "history", "secure"])
def test_a_checkpoint_that_lacks_a_part_is_refused(missing: str) -> None:
    header = {
        "study": STUDY.to_toml(),
        "phase": "enrol",
        "round": 0,
        "roster": [],
        "accountant": "[]",
        "history": [],
        "secure": None,
        "pending": None,
        "summed": [],
    }
    assert checkpoint.from_bytes(pack({"model": np.zeros(2)}, header), WHERE).round == 0
    del header[missing]
    with pytest.raises(StateError, match=DAMAGED):
        checkpoint.from_bytes(pack({"model": np.zeros(2)}, header), WHERE)


def test_a_checkpoint_of_a_study_that_this_version_cannot_read_is_refused() -> None:
    header = {
        "study": "name = 3",
        "phase": "enrol",
        "round": 0,
        "roster": [],
        "accountant": "[]",
        "history": [],
    }
    with pytest.raises(StateError, match=DAMAGED):
        checkpoint.from_bytes(pack({"model": np.zeros(2)}, header), WHERE)


def test_a_folder_without_a_checkpoint_gives_nothing(tmp_path: Path) -> None:
    assert checkpoint.load(tmp_path / "home") is None


def test_the_last_save_is_what_is_loaded_and_the_only_file(tmp_path: Path) -> None:
    checkpoint.save(PROGRESS, tmp_path)
    checkpoint.save(replace(PROGRESS, round=3), tmp_path)
    loaded = checkpoint.load(tmp_path)
    assert loaded is not None
    assert loaded.round == 3
    assert [file.name for file in tmp_path.iterdir()] == [checkpoint.FILE]


def test_a_damaged_file_is_named_with_its_path(tmp_path: Path) -> None:
    checkpoint.save(PROGRESS, tmp_path)
    (tmp_path / checkpoint.FILE).write_bytes(WHOLE[:100])
    with pytest.raises(StateError, match=f"{checkpoint.FILE}: damaged"):
        checkpoint.load(tmp_path)


# One process imports once, then forks a child for each attempt; the child saves until it is killed.
SAVE_AND_KILL = """
import json, os, random, signal, sys, time
from dataclasses import replace
from pathlib import Path
import numpy as np
from server import checkpoint
from tasks.learners.contract import State

home, loaded = Path(sys.argv[1]), []
first = checkpoint.load(home)
for _ in range(15):
    child = os.fork()
    if child == 0:
        number = checkpoint.load(home).round
        while True:
            number += 1
            model = np.full(300_000, number, dtype=np.float32)
            checkpoint.save(replace(first, round=number, state=State(model)), home)
    time.sleep(random.uniform(0.005, 0.1))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    progress = checkpoint.load(home)
    assert (progress.state.model == progress.round).all()
    loaded.append(progress.round)
print(json.dumps(loaded))
"""


def test_whatever_the_instant_of_a_kill_what_is_loaded_is_whole(tmp_path: Path) -> None:
    checkpoint.save(replace(PROGRESS, round=0, state=State(np.zeros(300_000, dtype=np.float32))), tmp_path)
    finished = subprocess.run(
        [sys.executable, "-c", SAVE_AND_KILL, tmp_path],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    rounds = json.loads(finished.stdout)
    assert rounds == sorted(rounds)
    assert rounds[-1] > 0
