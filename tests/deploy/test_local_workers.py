"""The pool of the local engine. A worker takes seconds to start: whence few tests, and all of them slow."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator, Sequence
from multiprocessing import active_children

import pytest
from flwr.app import Message
from studies import DISTRIBUTED, LOCAL
from test_local_grid import push
from troubled_app import app, marker

from client.hospital import Settings
from deploy.engines.local import LocalGrid
from deploy.federation import Machine, federate
from server import checkpoint
from tasks.learners import digital_start
from tasks.messages import unpack_reply
from tasks.study import Study, Synthetic

pytestmark = pytest.mark.slow
STARTED = DISTRIBUTED.model_copy(update={"synthetic": Synthetic(patients=40, start_steps=6, fill=False)})


@pytest.mark.parametrize(
    ("workers", "study"),
    [(2, LOCAL.with_strategy("scaffold")), (3, STARTED.with_strategy("ditto"))],
    ids=["two", "three"],
)
def test_the_model_is_the_same_bit_for_bit_whatever_the_number_of_workers(
    hospitals: Sequence[Settings], workers: int, study: Study
) -> None:
    alone = federate(study, hospitals, Machine(workers=1)).progress
    digital_start._made.clear()
    together = federate(study, hospitals, Machine(workers=workers)).progress
    assert checkpoint.to_bytes(together) == checkpoint.to_bytes(alone)


@pytest.fixture(scope="module")
def pool(hospitals: Sequence[Settings]) -> Iterator[LocalGrid]:
    """Asked one node at a time, it starts one of its two workers; closed, it leaves none."""
    with LocalGrid(app, hospitals, workers=2) as grid:
        yield grid
    assert active_children() == []


def ask(grid: LocalGrid, node: int) -> Message:
    identifiers = push(grid, node)
    while not (replies := list(grid.pull_messages(identifiers))):
        pass
    return replies[0]


def worker(grid: LocalGrid) -> int:
    return int(unpack_reply(ask(grid, 1).content).worker)


def test_a_worker_is_another_process_and_stays(pool: LocalGrid) -> None:
    first = worker(pool)
    assert first != os.getpid()
    assert worker(pool) == first


def test_a_worker_that_dies_is_an_error_of_its_hospital_and_the_next_message_is_answered(
    pool: LocalGrid, hospitals: Sequence[Settings]
) -> None:
    marker(hospitals[1], "killed").write_text("0")
    lost = ask(pool, 2)
    assert lost.has_error()
    assert lost.error.reason == "its worker process died"
    assert unpack_reply(ask(pool, 2).content).hospital == hospitals[1].name


def test_a_worker_that_dies_between_two_rounds_is_replaced(pool: LocalGrid) -> None:
    first = worker(pool)
    os.kill(first, signal.SIGKILL)
    while any(child.pid == first for child in active_children()):
        time.sleep(0.01)
    attempts = [ask(pool, 1).has_error() for _ in range(2)]
    assert attempts[-1] is False
