from __future__ import annotations

import json
import math
from dataclasses import replace
from functools import reduce

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ground.errors import StateError
from privacy.accountant import Accountant, Event, epsilon

DELTA = 1e-4
REFERENCE = Accountant((Event(0.064, 1.0, 500),))
EVENTS = st.lists(
    st.builds(
        Event,
        sampling_rate=st.sampled_from([0.1, 0.5, 1.0]),
        noise_multiplier=st.sampled_from([2.0, 8.0]),
        times=st.integers(1, 20),
    ),
    max_size=6,
)


def spend_all(accountant: Accountant, events: list[Event]) -> Accountant:
    return reduce(Accountant.spend, events, accountant)


def test_the_reference_costs_what_others_publish_by_pld() -> None:
    assert REFERENCE.epsilon(DELTA) == pytest.approx(8.62, abs=0.02)


def test_the_reference_costs_what_others_publish_by_rdp() -> None:
    assert 9.61 <= REFERENCE.epsilon_rdp(DELTA) <= 9.66


@pytest.mark.parametrize("deviation", [0.8, 2.0, 20.0])
def test_one_full_release_costs_what_the_gaussian_mechanism_does(deviation: float) -> None:
    # Balle and Wang 2018, theorem 8: δ = Φ(1/2σ − εσ) − e^ε Φ(−1/2σ − εσ), here with the ε that we report.
    cost = Accountant((Event(1.0, deviation),)).epsilon(DELTA)
    half = 1 / (2 * deviation)
    delta = normal_cdf(half - cost * deviation) - math.exp(cost) * normal_cdf(-half - cost * deviation)
    assert 0.98 * DELTA < delta <= DELTA


def normal_cdf(value: float) -> float:
    return math.erfc(-value / math.sqrt(2)) / 2


@given(st.sampled_from([0.05, 1.0]), st.sampled_from([2.0, 5.0, 30.0]), st.sampled_from([1, 10, 40]))
@settings(deadline=None, max_examples=8)
@example(0.064, 1.0, 500)
def test_rdp_is_never_below_pld(rate: float, deviation: float, times: int) -> None:
    accountant = Accountant((Event(rate, deviation, times),))
    assert accountant.epsilon_rdp(DELTA) >= accountant.epsilon(DELTA)


@pytest.mark.parametrize("event", [Event(1.0, 5.0, 10), Event(0.2, 2.0, 50)])
def test_a_coarser_discretisation_is_never_lower(event: Event) -> None:
    assert epsilon((event,), DELTA, 1e-3) >= epsilon((event,), DELTA, 1e-4)


def test_nothing_spent_costs_nothing() -> None:
    assert Accountant().epsilon(DELTA) == 0.0
    assert Accountant().epsilon_rdp(DELTA) == 0.0


@pytest.mark.parametrize("events", [(Event(1.0, 0.0),), (Event(1.0, 5.0, 3), Event(0.1, 0.0))])
def test_one_release_without_noise_costs_infinitely_much(events: tuple[Event, ...]) -> None:
    assert Accountant(events).epsilon(DELTA) == math.inf
    assert Accountant(events).epsilon_rdp(DELTA) == math.inf


def test_spending_leaves_the_accountant_as_it_was() -> None:
    before = Accountant()
    before.spend(Event(1.0, 2.0))
    assert before == Accountant()


def test_like_releases_that_follow_one_another_are_counted_together() -> None:
    spent = spend_all(Accountant(), [Event(0.5, 2.0), Event(0.5, 2.0, 4), Event(1.0, 2.0), Event(0.5, 2.0)])
    assert spent.events == (Event(0.5, 2.0, 5), Event(1.0, 2.0, 1), Event(0.5, 2.0, 1))


def test_no_release_leaves_no_event_and_a_negative_number_is_refused() -> None:
    assert Accountant().spend(Event(0.5, 2.0, 0)) == Accountant()
    with pytest.raises(ValueError, match="-1"):
        Accountant().spend(Event(0.5, 2.0, -1))


@given(EVENTS)
@settings(deadline=None)
def test_every_release_is_counted(events: list[Event]) -> None:
    spent = spend_all(Accountant(), events)
    assert sum(event.times for event in spent.events) == sum(event.times for event in events)


@pytest.mark.parametrize("more", [Event(1.0, 8.0), Event(0.1, 4.0), Event(0.01, 100.0)])
def test_one_more_release_costs_more(more: Event) -> None:
    spent = Accountant().spend(Event(1.0, 8.0, 4)).spend(Event(0.1, 4.0, 10))
    assert spent.spend(more).epsilon(DELTA) > spent.epsilon(DELTA)


@given(EVENTS)
@settings(deadline=None)
def test_a_saved_accountant_is_read_back_equal(events: list[Event]) -> None:
    spent = spend_all(Accountant(), events)
    assert Accountant.from_json(spent.to_json()) == spent


@given(EVENTS, st.data())
@settings(deadline=None)
def test_a_resumed_accountant_equals_an_uninterrupted_one(events: list[Event], data: st.DataObject) -> None:
    single = [replace(event, times=1) for event in events for _ in range(event.times)]
    split = data.draw(st.integers(0, len(single)))
    saved = spend_all(Accountant(), single[:split]).to_json()
    resumed = spend_all(Accountant.from_json(saved), single[split:])
    assert resumed == spend_all(Accountant(), events)


def test_a_resumed_accountant_reports_the_same_epsilon() -> None:
    saved = Accountant().spend(Event(0.064, 1.0, 123)).to_json()
    assert Accountant.from_json(saved).spend(Event(0.064, 1.0, 377)).epsilon(DELTA) == REFERENCE.epsilon(
        DELTA
    )


GOOD = {"sampling_rate": 0.5, "noise_multiplier": 2.0, "times": 3}
UNREADABLE = ["", "[", "null", "3", "{}", '""', "[null]", "[[]]", REFERENCE.to_json()[:-1]]
OUT_OF_RANGE: list[tuple[str, object]] = [
    *(("times", value) for value in (0, -3, 1.5, True, None)),
    *(("sampling_rate", value) for value in (0.0, 1.5, "0.5")),
    *(("noise_multiplier", value) for value in (-1.0, math.nan, math.inf)),
    ("unknown", 1),
]


@pytest.mark.parametrize("text", UNREADABLE + [json.dumps([GOOD | {k: v}]) for k, v in OUT_OF_RANGE])
def test_a_damaged_history_is_never_read_as_another(text: str) -> None:
    with pytest.raises(StateError, match="restore it from a backup"):
        Accountant.from_json(text)
