"""What cannot be used of a plain study's replies: its hospital is named, and the study's rule decides."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_driver import EVERYBODY, FakeGrid, Node, follow, good, others, reply_of
from test_round import DISTRIBUTED, FREE, LOCAL, NAMES, PARAMETERS

from ground.errors import FederationError
from server import checkpoint, gathering, spool
from server.driver import Terms
from server.events import Advanced, Event
from tasks.messages import Instruction, Reply
from tasks.study import Study

REST = tuple(name for name in NAMES if name != "hungary")
NAN = "hungary sent numbers that are not finite: the contribution was refused"


def spoilt(**changes: Any) -> Node:
    """A hospital whose every answer to round 1 cannot be used."""

    def node(request: Instruction, _: int) -> Reply:
        reply = reply_of(request, "hungary")
        if (request.phase, request.round) != ("train", 1):
            return reply
        made = {key: value(reply) if callable(value) else value for key, value in changes.items()}
        return replace(reply, **made)

    return node


def last_is(value: float) -> Any:
    return lambda reply: np.append(reply.vector[:-1], np.float32(value))


CASES: dict[str, tuple[dict[str, Any], str]] = {
    "NaN": ({"vector": last_is(np.nan)}, NAN),
    "infinity": ({"vector": last_is(np.inf)}, NAN),
    "one value more": ({"vector": np.ones(PARAMETERS + 2)}, f"hungary sent {PARAMETERS + 2} values where"),
    "a hundred times more": ({"vector": np.ones(100 * PARAMETERS)}, f"sent {100 * PARAMETERS} values where"),
    "another shape": ({"vector": lambda r: r.vector.reshape(1, -1)}, f"{PARAMETERS + 1} were expected"),
    "nothing": ({"vector": None}, "hungary replied without a contribution"),
    "words": ({"vector": np.ones(PARAMETERS + 1, dtype=np.uint32)}, "sent words where numbers are due"),
    "another study": ({"digest": "0" * 64}, "hungary answered another study or round"),
    "an earlier round": ({"round": 0}, "hungary answered another study or round"),
    "another phase": ({"phase": "report"}, "hungary answered another study or round"),
}


def left_out(events: list[Event]) -> list[tuple[int, str, str]]:
    steps = [event for event in events if isinstance(event, Advanced)]
    return [(step.round, name, why) for step in steps for name, why in step.left_out]


@pytest.mark.parametrize(("changes", "why"), CASES.values(), ids=CASES)
@pytest.mark.parametrize("terms", [FREE, LOCAL], ids=["free", "local"])
def test_the_study_goes_on_without_it_for_that_round(
    terms: Study, changes: dict[str, Any], why: str, tmp_path: Path
) -> None:
    grid = FakeGrid(spoilt(**changes), *others("hungary"))
    progress, events = follow(grid, terms, tmp_path)
    [(number, name, said)] = left_out(events)
    assert (number, name) == (1, "hungary")
    assert why in said
    assert [record.contributors for record in progress.history] == [REST, NAMES, ()]
    # It was asked three times, and what the others sent is what counts.
    assert [node for node, request in grid.asked if request.sum_number == 1].count(1) == 3


@pytest.mark.parametrize("case", [case for case in CASES if case != "one value more"])
def test_noise_that_counts_on_everybody_stops_and_names_the_hospital(case: str) -> None:
    with pytest.raises(FederationError, match=r"round 1: hungary did not contribute, .* needs 4 of 4"):
        follow(FakeGrid(spoilt(**CASES[case][0]), *others("hungary")), DISTRIBUTED)


def test_without_the_spoilt_reply_the_model_is_that_of_the_others() -> None:
    spoiled, _ = follow(FakeGrid(spoilt(vector=last_is(np.nan)), *others("hungary")), FREE)
    absent, _ = follow(
        FakeGrid(lambda r, b: None if r.sum_number == 1 else good("hungary")(r, b), *others("hungary")),
        FREE,
        terms=Terms(4, reply_seconds=1.0),
    )
    assert checkpoint.to_bytes(spoiled) == checkpoint.to_bytes(absent)


@pytest.mark.parametrize("terms", [FREE, DISTRIBUTED, LOCAL], ids=["free", "distributed", "local"])
def test_on_disk_or_in_memory_the_study_is_the_same_to_the_last_bit(
    terms: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_memory, _ = follow(FakeGrid(*EVERYBODY), terms)
    on_disk = []

    class Watched(spool.Spool):
        def __init__(self, *arguments: Any, **named: Any) -> None:
            super().__init__(*arguments, **{**named, "keep": 0})

        def total(self, names: Any) -> Any:
            on_disk.extend((tmp_path / "round").glob("*.values"))
            return super().total(names)

    monkeypatch.setattr(spool, "BATCH", 3)
    monkeypatch.setattr(gathering, "Spool", Watched)
    spooled, _ = follow(FakeGrid(*EVERYBODY), terms, tmp_path)
    assert checkpoint.to_bytes(spooled) == checkpoint.to_bytes(in_memory)
    assert len(on_disk) == 2 * 2  # a sum and the last, in both rounds
    assert [file.name for file in tmp_path.iterdir()] == [checkpoint.FILE]


def test_after_a_restart_nobody_is_asked_for_what_lies_on_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gathering, "Spool", lambda *a, **n: spool.Spool(*a, **{**n, "keep": 0}))

    class OneByOne(FakeGrid):
        def push_messages(self, messages: Any) -> list[str]:
            return [name for message in messages for name in super(OneByOne, self).push_messages([message])]

        def pull_messages(self, message_ids: Any) -> Any:
            if stop and not self.replies and self.asked[-1][1].sum_number == 1:
                raise KeyboardInterrupt
            return super().pull_messages(message_ids)

    stop = True
    nodes = [
        *others("switzerland"),
        lambda r, b: None if stop and r.sum_number == 1 else good("switzerland")(r, b),
    ]
    with pytest.raises(KeyboardInterrupt):
        follow(OneByOne(*nodes), FREE, tmp_path)
    assert len(list((tmp_path / "round").glob("*.json"))) == 3
    stop = False
    from test_driver_waits import Watched

    grid = Watched(*nodes, names=(*REST[:1], "hungary", *REST[1:]))
    progress, _ = follow(grid, FREE, tmp_path)
    undisturbed, _ = follow(FakeGrid(*EVERYBODY), FREE)
    assert checkpoint.to_bytes(progress) == checkpoint.to_bytes(undisturbed)
    assert [node for node, request in grid.asked if request.sum_number == 1] == [4]
