"""Two processes over one hospital's home: two noises for one booking would be half of the protection."""

from __future__ import annotations

import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import clinic
import pytest
from clinic import Clinic

from client import hospital as module
from client import training
from client.hospital import at_home
from client.ledger import Ledger
from ground.files import locked

STUDY = clinic.study()
TRAIN = clinic.instruction(STUDY, "train", 1)


@pytest.fixture
def brest(table: Path, tmp_path: Path) -> Clinic:
    """Its noise is secret, so that it never draws the same again."""
    return Clinic(table, tmp_path / "home", secret_noise=True)


def booked(clinic: Clinic) -> Counter[str]:
    assert clinic.home is not None
    with Ledger(clinic.home / "ledger.sqlite") as ledger:
        return Counter(entry.kind for entry in ledger.history())


def test_of_two_answers_at_once_the_second_waits_and_is_the_first_again(
    brest: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    visited, visits = training._visited, []

    def slow(*arguments: Any) -> Any:
        visits.append(arguments)
        time.sleep(0.3)
        return visited(*arguments)

    monkeypatch.setattr(training, "_visited", slow)
    with ThreadPoolExecutor(2) as both:
        first, second = both.map(lambda each: each.send(TRAIN), [brest.but(), brest.but()])
    assert clinic.same(first, second)
    assert len(visits) == 1
    assert booked(brest) == {"reserve": 1, "settle": 1}


def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "locked", lambda file, _, busy: locked(file, 0.0, busy))


def test_whoever_waits_too_long_is_refused_and_nothing_is_booked(
    brest: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    impatient(monkeypatch)
    with at_home(brest.settings):
        reply = brest.but(discloses=True).send(TRAIN)
    assert reply.error == (
        "StateError",
        "brest is answering another process: run one study at a time in one folder",
    )
    assert reply.vector is None
    assert booked(brest) == {}


def test_whoever_was_refused_is_answered_when_it_asks_again(
    brest: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    impatient(monkeypatch)
    with at_home(brest.settings):
        brest.send(TRAIN)
    assert brest.send(TRAIN).vector is not None


def test_without_a_home_nobody_waits(table: Path) -> None:
    homeless = Clinic(table)
    with at_home(homeless.settings):
        assert homeless.send(TRAIN).vector is not None
