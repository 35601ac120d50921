from __future__ import annotations

import subprocess
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from client.limits import READING, Limits
from ground.errors import LaterError, UsageError
from tasks.messages import MESSAGE_TYPE

ROOT = Path(__file__).parents[2]
ZONE = timezone(timedelta(hours=1), "CET")


def at(text: str) -> datetime:
    return datetime.fromisoformat(f"2026-03-02T{text}").replace(tzinfo=ZONE)


@pytest.mark.parametrize(
    ("hours", "time", "minutes"),
    [
        ("19:00-07:00", "18:59:00", 1),
        ("19:00-07:00", "19:00:00", 0),
        ("19:00-07:00", "00:00:00", 0),
        ("19:00-07:00", "06:59:59", 0),
        ("19:00-07:00", "07:00:00", 12 * 60),
        ("09:00-17:00", "08:00:00", 60),
        ("09:00-17:00", "12:00:00", 0),
        ("09:00-17:00", "17:00:00", 16 * 60),
        ("00:00-23:59", "23:59:30", 0.5),
    ],
)
def test_hours_may_cross_midnight(hours: str, time: str, minutes: float) -> None:
    assert Limits(hours=hours).seconds_to_wait(at(time)) == 60 * minutes


@given(
    begin=st.integers(0, 1439),
    length=st.integers(1, 1439),
    second=st.integers(0, 86399),
)
def test_after_the_wait_the_hours_have_begun(begin: int, length: int, second: int) -> None:
    end = (begin + length) % 1440
    limits = Limits(hours=f"{begin // 60:02}:{begin % 60:02}-{end // 60:02}:{end % 60:02}")
    now = at("00:00:00") + timedelta(seconds=second)
    wait = limits.seconds_to_wait(now)
    assert 0 <= wait < 86400
    assert limits.seconds_to_wait(now + timedelta(seconds=wait)) == 0
    inside = (second / 60 - begin) % 1440 < length
    assert (wait == 0) == inside


def test_outside_the_hours_it_is_said_when_to_ask_again() -> None:
    limits = Limits(hours="19:00-07:00")
    with pytest.raises(LaterError) as caught:
        limits.check_hours("train", at("12:30:00"))
    said = "training runs here in 19:00-07:00 (CET), and it is 12:30: ask again at 19:00"
    assert str(caught.value) == said
    assert caught.value.seconds == 6.5 * 3600


@pytest.mark.parametrize("phase", MESSAGE_TYPE)
def test_a_round_that_was_begun_may_be_brought_to_its_end_at_any_hour(phase: str) -> None:
    limits = Limits(hours="19:00-07:00")
    if phase in READING:
        with pytest.raises(LaterError):
            limits.check_hours(phase, at("12:00:00"))
    else:
        limits.check_hours(phase, at("12:00:00"))


@pytest.mark.parametrize("hours", ["19-7", "19:00-19:00", "24:00-07:00", "19:60-07:00", "19:00–07:00", ""])
def test_hours_that_are_none_are_refused(hours: str) -> None:
    with pytest.raises(ValueError, match="hours are two times of day"):
        Limits(hours=hours)


def test_a_reply_that_is_too_large_stays_here() -> None:
    limits = Limits(upload_megabytes=1.5)
    limits.check_upload(1_500_000)
    with pytest.raises(UsageError, match=r"has 1\.6 MB, and this hospital sends at most 1\.5 MB"):
        limits.check_upload(1_600_000)
    Limits().check_upload(10**12)


def test_what_is_not_limited_is_said_too() -> None:
    assert Limits().shown() == {
        "processors": "not limited",
        "memory": "not limited",
        "hours": "always",
        "size of a reply": "not limited",
    }
    assert Limits(threads=2, memory_megabytes=8000, hours="19:00-07:00", upload_megabytes=2.5).shown() == {
        "processors": "2",
        "memory": "8000 MB",
        "hours": "19:00-07:00",
        "size of a reply": "2.5 MB",
    }


def run(code: str) -> str:
    code = f"import os\nfrom client.limits import Limits\n{code}"
    finished = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return finished.stdout.strip()


@pytest.mark.skipif(sys.platform != "linux", reason="processors are bound by the kernel of Linux")
def test_no_thread_of_the_process_leaves_the_processors_allowed() -> None:
    code = """
import threading
done = threading.Event()
threading.Thread(target=done.wait).start()
Limits(threads=1).enforce()
found = {len(os.sched_getaffinity(int(task))) for task in os.listdir("/proc/self/task")}
said = lambda: print(found, len(os.sched_getaffinity(0)), os.environ["OMP_NUM_THREADS"])
threading.Thread(target=said).start()
done.set()
"""
    assert run(code) == "{1} 1 1"


def test_beyond_the_memory_allowed_an_allocation_fails_and_the_process_lives_on() -> None:
    code = """
Limits(memory_megabytes=256).enforce()
kept = bytearray(50 * 10**6)
try:
    bytearray(400 * 10**6)
except MemoryError:
    print("refused", len(kept))
"""
    assert run(code) == "refused 50000000"


def test_a_limit_that_is_absent_binds_nothing() -> None:
    code = """
import resource
before = resource.getrlimit(resource.RLIMIT_DATA), os.sched_getaffinity(0)
Limits().enforce()
print(before == (resource.getrlimit(resource.RLIMIT_DATA), os.sched_getaffinity(0)))
"""
    assert run(code) == "True"
