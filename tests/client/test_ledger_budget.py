"""What fits into a budget. One release with σ = 20 costs ε 0.194 at δ = 1e-5; costs do not simply add up."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from client.ledger import Ledger
from ground.errors import BudgetError
from privacy.accountant import Accountant, Event
from privacy.plan import PrivacyPlan

STUDY, OTHER = "ab" * 32, "cd" * 32
DELTA = 1e-5
COUNT, STEP = Event(1.0, 60.0), Event(1.0, 20.0)


@pytest.fixture
def ledger(tmp_path: Path):
    with Ledger(tmp_path / "ledger.sqlite") as opened:
        yield opened


def cost(rounds: int, *others: Event) -> Accountant:
    """Of a study with a count and so many rounds, after other events."""
    releases = sorted([*others, COUNT, Event(1.0, 20.0, rounds)], key=lambda event: event.noise_multiplier)
    spent = Accountant()
    for event in releases:
        spent = spent.spend(event)
    return spent


def ask(ledger: Ledger, rounds: int, study: str = STUDY) -> None:
    ledger.check("cleveland", study, cost(rounds), rounds=rounds, per_round=STEP)


def run(ledger: Ledger, study: str, rounds: int) -> None:
    for number in range(rounds + 1):
        ledger.reserve("cleveland", study, number, STEP if number else COUNT)
        ledger.settle("cleveland", study, number)


def test_without_a_budget_everything_fits(ledger: Ledger) -> None:
    ask(ledger, 10_000)
    ledger.reserve("cleveland", STUDY, 1, Event(1.0, 0.0))


def test_a_study_that_fits_may_run_to_its_end(ledger: Ledger) -> None:
    ledger.set_budget("cleveland", cost(5).epsilon(DELTA), DELTA)
    ask(ledger, 5)
    run(ledger, STUDY, 5)
    with pytest.raises(BudgetError, match="no further round would fit"):
        ledger.reserve("cleveland", STUDY, 6, STEP)
    assert ledger.spent("cleveland") == cost(5)


def test_a_plan_designed_for_the_whole_budget_fits_it(ledger: Ledger) -> None:
    plan = PrivacyPlan.design(epsilon=1.0, delta=DELTA, clip=1, sampling_rate=0.2, steps=20, noise="local")
    ledger.set_budget("cleveland", 1.0, DELTA)
    ledger.check("cleveland", STUDY, plan.cost(), rounds=20, per_round=plan.step_event(1))
    ledger.reserve("cleveland", STUDY, 0, plan.count_event())
    ledger.reserve("cleveland", STUDY, 1, plan.step_event(20))


def test_a_refusal_says_what_is_asked_what_is_left_and_how_many_rounds_fit(ledger: Ledger) -> None:
    run(ledger, OTHER, 3)
    limit = cost(5, *cost(3).events).epsilon(DELTA)
    ledger.set_budget("cleveland", limit, DELTA)
    with pytest.raises(BudgetError) as caught:
        ask(ledger, 9)
    said = re.fullmatch(
        r"cleveland: study abababababab asks for epsilon ([\d.]+) and ([\d.]+) is left of the budget of "
        r"([\d.]+) at delta 1e-05 \(together ([\d.]+)\): 5 of its 9 rounds would fit: ask for fewer rounds "
        r"or more noise, or raise it with `laennec hospital budget --home HOME --account cleveland "
        r"--set EPSILON`",
        str(caught.value),
    )
    assert said is not None
    together = cost(9, *cost(3).events).epsilon(DELTA)
    expected = [cost(9).epsilon(DELTA), limit - cost(3).epsilon(DELTA), limit, together]
    assert [float(text) for text in said.groups()] == pytest.approx(expected, abs=1e-3)


@given(budget=st.floats(0.3, 2.0), spent=st.integers(0, 4), rounds=st.integers(1, 30))
@settings(deadline=None, max_examples=15)
def test_just_so_many_rounds_fit_as_a_refusal_says(
    tmp_path_factory: pytest.TempPathFactory, budget: float, spent: int, rounds: int
) -> None:
    with Ledger(tmp_path_factory.mktemp("home") / "ledger.sqlite") as ledger:
        run(ledger, OTHER, spent)
        ledger.set_budget("cleveland", budget, DELTA)
        try:
            ask(ledger, rounds)
        except BudgetError as refusal:
            fit = re.search(r"(\d+|none) of its \d+ rounds would fit", str(refusal))[1]
            fits = 0 if fit == "none" else int(fit)
            assert fits < rounds
            if fits:
                ask(ledger, fits)
            with pytest.raises(BudgetError):
                ask(ledger, fits + 1)


def test_a_budget_below_what_was_spent_leaves_nothing(ledger: Ledger) -> None:
    run(ledger, OTHER, 3)
    ledger.set_budget("cleveland", 0.1, DELTA)
    with pytest.raises(BudgetError, match=r"and 0.000 is left .* none of its 2 rounds would fit"):
        ask(ledger, 2)


@pytest.mark.parametrize("done", [0, 1, 5])
def test_what_the_study_itself_has_reserved_is_not_counted_twice(ledger: Ledger, done: int) -> None:
    ledger.set_budget("cleveland", cost(5).epsilon(DELTA), DELTA)
    for number in range(done + 1):
        ledger.reserve("cleveland", STUDY, number, STEP if number else COUNT)
    ask(ledger, 5)
    with pytest.raises(BudgetError):
        ask(ledger, 5, study=OTHER)


def test_a_study_that_was_run_already_is_counted_again(ledger: Ledger) -> None:
    ledger.set_budget("cleveland", cost(5).epsilon(DELTA), DELTA)
    run(ledger, STUDY, 5)
    with pytest.raises(BudgetError, match=r"0\.000 is left .* none of its 5 rounds would fit"):
        ask(ledger, 5)


def test_a_round_that_was_booked_twice_leaves_one_less(ledger: Ledger) -> None:
    ledger.set_budget("cleveland", cost(5).epsilon(DELTA), DELTA)
    for _ in range(2):
        ledger.reserve("cleveland", STUDY, 1, STEP)
        ledger.settle("cleveland", STUDY, 1)
    for number in range(2, 5):
        ledger.reserve("cleveland", STUDY, number, STEP)
    with pytest.raises(BudgetError, match=r"round 5 of study abababababab asks for .* no further round"):
        ledger.reserve("cleveland", STUDY, 5, STEP)


def test_a_round_that_does_not_fit_is_not_booked(ledger: Ledger) -> None:
    ledger.set_budget("cleveland", 0.1, DELTA)
    with pytest.raises(BudgetError, match="no further round would fit"):
        ledger.reserve("cleveland", STUDY, 1, STEP)
    assert ledger.spent("cleveland") == Accountant()
    assert ledger.verify() == 1


def test_an_open_reservation_is_used_again_whatever_the_budget_has_become(ledger: Ledger) -> None:
    ledger.reserve("cleveland", STUDY, 1, STEP)
    ledger.set_budget("cleveland", 0.01, DELTA)
    ledger.reserve("cleveland", STUDY, 1, STEP)
    ledger.settle("cleveland", STUDY, 1)
    ledger.disclose("cleveland", STUDY, 1, "accuracy")


def test_no_release_without_noise_fits_any_budget(ledger: Ledger) -> None:
    ledger.set_budget("cleveland", 1e9, DELTA)
    with pytest.raises(BudgetError, match="asks for epsilon ∞"):
        ledger.reserve("cleveland", STUDY, 1, Event(1.0, 0.0))
    bare = Event(1.0, 0.0)
    with pytest.raises(BudgetError, match=r"asks for epsilon ∞ .* none of its 3 rounds"):
        ledger.check("cleveland", STUDY, Accountant((Event(1.0, 0.0, 3),)), rounds=3, per_round=bare)


def test_raising_the_budget_lets_the_study_in(ledger: Ledger) -> None:
    ledger.set_budget("cleveland", 0.2, DELTA)
    with pytest.raises(BudgetError):
        ask(ledger, 5)
    ledger.set_budget("cleveland", 1.0, DELTA)
    ask(ledger, 5)


def test_two_studies_cost_less_together_than_the_sum_of_their_epsilons(ledger: Ledger) -> None:
    both = Accountant((Event(1.0, 20.0, 10), Event(1.0, 60.0, 2)))
    assert both.epsilon(DELTA) < 1.8 * cost(5).epsilon(DELTA)
    ledger.set_budget("cleveland", both.epsilon(DELTA), DELTA)
    for study in (STUDY, OTHER):
        ask(ledger, 5, study)
        run(ledger, study, 5)
