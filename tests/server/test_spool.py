"""Contributions on disk: the same sum to the last bit whatever came when, and whatever was interrupted."""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ground.arrays import Array
from ground.errors import FederationError, StateError
from server import spool, stored
from server.spool import Spool
from tasks.learners.contract import add_up
from tasks.messages import Reply

ORDER = ("amiens", "brest", "caen", "dijon", "evreux", "falaise", "gap")
STAMP = "abc train 1"


def values(name: str, size: int = 1000) -> Array:
    """Numbers of all magnitudes, so that every order of adding gives other last bits."""
    drawn = np.random.default_rng(ORDER.index(name))
    return (drawn.standard_normal(size) * 10.0 ** drawn.integers(-6, 6, size)).astype(np.float32)


def reply(name: str, **changes: Any) -> Reply:
    made = Reply(name, "train", "abc", 1, vector=values(name), metrics={"auc": 0.5}, patients=7)
    return replace(made, **changes)


def expected(*names: str) -> bytes:
    return add_up([values(name) for name in names]).vector.tobytes()


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two at a time, in stretches that do not divide the size."""
    monkeypatch.setattr(spool, "BATCH", 2)
    monkeypatch.setattr(stored, "STRETCH", 300)


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    order=st.permutations(ORDER),
    count=st.integers(1, len(ORDER)),
    keep=st.sampled_from([0, 4000, 9000, 10**6]),
    restarts=st.sets(st.integers(0, len(ORDER))),
)
def test_neither_the_order_of_arrival_nor_restarts_change_a_bit_of_the_sum(
    tmp_path_factory: pytest.TempPathFactory, order: list[str], count: int, keep: int, restarts: set[int]
) -> None:
    home = tmp_path_factory.mktemp("spool")
    made = Spool(home, STAMP, ORDER, keep=keep)
    came = order[:count]
    for number, name in enumerate(came):
        said = made.add(reply(name))
        assert said == reply(name, vector=None)
        if number in restarts:  # those in memory are asked for again
            made = Spool(home, STAMP, ORDER, keep=keep)
            for again in came[: number + 1]:
                if again not in made.found:
                    made.add(reply(again))
    total = made.total(came)
    in_order = [name for name in ORDER if name in came]
    assert total.hospitals == count
    assert total.vector.tobytes() == expected(*in_order)


def test_the_order_of_adding_matters_so_that_the_test_above_can_fail() -> None:
    assert expected(*ORDER) != expected(*reversed(ORDER))


def test_disk_holds_a_sum_and_a_few_whoever_many_there_are(tmp_path: Path) -> None:
    made, most = Spool(tmp_path, STAMP, ORDER, keep=0), 0
    for name in ORDER:
        made.add(reply(name))
        most = max(most, sum(file.suffix == ".values" for file in tmp_path.glob("round/*")))
    assert most == 2
    assert made.total(ORDER).vector.tobytes() == expected(*ORDER)


def test_those_who_come_before_their_turn_wait_for_it(tmp_path: Path) -> None:
    made = Spool(tmp_path, STAMP, ORDER, keep=0)
    for name in ORDER[1:]:
        made.add(reply(name))
    assert not (tmp_path / "round/sum.json").exists()
    made.add(reply(ORDER[0]))
    assert [file.name for file in tmp_path.glob("round/*.values")] == ["sum-1.values"]


def test_what_is_small_is_never_written(tmp_path: Path) -> None:
    made = Spool(tmp_path, STAMP, ORDER)
    for name in ORDER:
        made.add(reply(name))
    assert list(tmp_path.iterdir()) == []


def test_only_the_owner_reads_what_is_kept(tmp_path: Path) -> None:
    made = Spool(tmp_path, STAMP, ORDER, keep=0)
    for name in ORDER[:3]:
        made.add(reply(name))
    assert {file.stat().st_mode & 0o777 for file in (tmp_path / "round").iterdir()} == {0o600}
    assert (tmp_path / "round").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("step", range(1, 12))
def test_a_crash_at_any_write_or_removal_leaves_what_gives_the_same_sum(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    """The process ends at the n-th time that it touches the disk."""
    touched = 0

    def touching(function: Any) -> Any:
        def call(*arguments: Any, **named: Any) -> Any:
            nonlocal touched
            touched += 1
            if touched == step:
                raise KeyboardInterrupt
            return function(*arguments, **named)

        return call

    made = Spool(tmp_path, STAMP, ORDER, keep=0)
    with monkeypatch.context() as context:
        context.setattr(os, "fsync", touching(os.fsync))
        context.setattr(Path, "unlink", touching(Path.unlink))
        for name in ORDER:
            with suppress(KeyboardInterrupt):
                made.add(reply(name))
            if touched >= step:
                break
    assert touched >= step
    again = Spool(tmp_path, STAMP, ORDER, keep=0)
    assert all(said == reply(name, vector=None) for name, said in again.found.items())
    for name in ORDER:
        if name not in again.found:
            again.add(reply(name))
    assert again.total(ORDER).vector.tobytes() == expected(*ORDER)


@pytest.mark.parametrize("damage", ["flipped", "shortened", "gone", "words"])
def test_a_damaged_contribution_is_asked_for_again(tmp_path: Path, damage: str) -> None:
    made = Spool(tmp_path, STAMP, ORDER, keep=0)
    made.add(reply("brest"))
    made.add(reply("dijon"))
    file = tmp_path / "round/1.values"
    data = bytearray(file.read_bytes())
    if damage == "flipped":
        data[100] ^= 1
        file.write_bytes(data)
    elif damage == "shortened":
        file.write_bytes(data[:-4])
    elif damage == "gone":
        file.unlink()
    else:
        (tmp_path / "round/1.json").write_text('{"stamp": 3}')
    again = Spool(tmp_path, STAMP, ORDER, keep=0)
    assert set(again.found) == {"dijon"}
    again.add(reply("brest"))
    assert again.total(("brest", "dijon")).vector.tobytes() == expected("brest", "dijon")


def test_another_round_s_contributions_are_removed(tmp_path: Path) -> None:
    made = Spool(tmp_path, STAMP, ORDER, keep=0)
    for name in ORDER[:3]:
        made.add(reply(name))
    assert Spool(tmp_path, "abc train 2", ORDER, keep=0).found == {}
    assert list((tmp_path / "round").iterdir()) == []


def test_a_sum_over_somebody_who_gave_nothing_is_refused_by_name(tmp_path: Path) -> None:
    made = Spool(tmp_path, STAMP, ORDER)
    with pytest.raises(FederationError, match="caen replied without a contribution"):
        made.add(reply("caen", vector=None))
    made.add(reply("brest"))
    with pytest.raises(FederationError, match="caen replied without a contribution"):
        made.total(("brest", "caen"))


def test_a_full_disk_is_one_line_that_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    made = Spool(tmp_path, STAMP, ORDER, keep=0)
    with pytest.raises(StateError, match=r"^.*/round: No space left on device: make room, then .* goes on"):
        made.add(reply("brest"))
