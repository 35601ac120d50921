"""One hospital behind a bad link: cut at each step, slow, lossy, stalled; the model is that of a calm run."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import federations
import nodes
import pytest
from conftest import Seen
from federations import SECURE, Federation
from proxies import Weather

from server.events import Advanced, Answered, Event

pytestmark = [pytest.mark.slow, pytest.mark.exhaustive]  # a bad link takes its time: a quarter of an hour
FAR = "hungary"
SAME = "the model of a calm run, ε booked once"
STEPS = ("enrol", "roster", "count", "unmask", "train", "report")
AWAY_FOR = 8.0  # seconds


@pytest.fixture(scope="module")
def federation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Federation]:
    with federations.federation(tmp_path_factory.mktemp("federation"), far=(FAR,)) as made:
        yield made
        for each in made.proxies.values():
            each.weather = Weather()


def per_step(function: object) -> object:
    for step in STEPS:
        function = pytest.mark.fault("connection reset", f"when {step} has begun", SAME)(function)
    return function


@per_step
def test_a_connection_that_is_cut_at_each_step_changes_nothing(federation: Federation, seen: Seen) -> None:
    study, link = SECURE.model_copy(update={"name": "cut"}), federation.proxies[FAR]
    cut: dict[str, int] = {}

    def heard(event: Event) -> None:
        if isinstance(event, Advanced):
            link.cut()  # the next question is being sent
        elif isinstance(event, Answered) and event.hospital != FAR:  # its own reply is on its way
            cut[event.phase] = cut.get(event.phase, 0) + 1
            link.cut()

    steps = federation.run(study, heard)
    assert set(cut) == set(STEPS), cut
    assert link.cuts > len(STEPS)
    seen(f"{federation.is_undisturbed(study, steps)}; {link.cuts} cuts")


@pytest.mark.fault("slow link", "200 ms and 40 kB/s each way, whole study", SAME)
@pytest.mark.fault("lossy link", "5 % lost and sent again, 3 % of chunks break the connection", SAME)
def test_a_slow_link_and_a_lossy_one_take_longer_and_change_nothing(
    federation: Federation, seen: Seen
) -> None:
    link = federation.proxies[FAR]
    for name, weather in {
        "slow": Weather(delay=0.1, rate=40_000.0),
        "lossy": Weather(delay=0.01, loss=0.05, breaks=0.03),
    }.items():
        study = SECURE.model_copy(update={"name": name})
        link.weather, began = weather, time.monotonic()
        steps = federation.run(study)
        link.weather = Weather()
        assert time.monotonic() > began
        seen(federation.is_undisturbed(study, steps))
    assert link.cuts


@pytest.mark.fault("link stalls for 8 s, nobody is told", "train 1", SAME)
@pytest.mark.fault("link is down for 8 s, connections are refused", "train 2", SAME)
def test_a_link_that_stalls_and_one_that_is_down_come_back(federation: Federation, seen: Seen) -> None:
    study, link = SECURE.model_copy(update={"name": "stalled"}), federation.proxies[FAR]
    over: list[threading.Timer] = []

    def heard(event: Event) -> None:
        if not isinstance(event, Advanced) or event.progress.phase != "train" or len(over) == 2:
            return
        link.weather = Weather(down=True) if over else Weather(stalled=True)
        if over:
            link.cut()
        over.append(threading.Timer(AWAY_FOR, lambda: setattr(link, "weather", Weather())))
        over[-1].start()

    steps = federation.run(study, heard)
    assert len(over) == 2
    nodes.wait_for(lambda: not any(each.is_alive() for each in over), "the weather clears")
    seen(federation.is_undisturbed(study, steps))
