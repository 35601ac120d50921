from __future__ import annotations

from dataclasses import FrozenInstanceError, replace

import pytest

from ground.errors import PrivacyError
from privacy.plan import COUNT_SHARE, Noise, PrivacyPlan


def design(
    epsilon: float, delta: float, sampling_rate: float, steps: int, noise: Noise = "distributed"
) -> PrivacyPlan:
    return PrivacyPlan.design(
        epsilon=epsilon, delta=delta, clip=1.0, sampling_rate=sampling_rate, steps=steps, noise=noise
    )


# epsilon, delta, sampling rate, steps
SETTINGS = [
    (0.1, 1e-4, 1.0, 5),
    (1.0, 1e-4, 1.0, 20),
    (0.5, 1e-6, 0.05, 50),
    (3.0, 1e-5, 0.1, 100),
    (4.0, 1e-5, 0.25, 10),
]
ALL = pytest.mark.parametrize(
    "plan", [pytest.param(s, id=f"epsilon={s[0]:g}") for s in SETTINGS], indirect=True
)


@pytest.fixture
def plan(request: pytest.FixtureRequest) -> PrivacyPlan:
    return design(*request.param)


@ALL
def test_a_plan_costs_at_most_its_epsilon_and_wastes_less_than_one_percent(plan: PrivacyPlan) -> None:
    assert 0.99 * plan.epsilon <= plan.cost().epsilon(plan.delta) <= plan.epsilon


@ALL
def test_rdp_agrees_with_the_plan_from_above(plan: PrivacyPlan) -> None:
    assert 1.0 <= plan.cost().epsilon_rdp(plan.delta) / plan.cost().epsilon(plan.delta) <= 1.35


@pytest.mark.parametrize("plan", SETTINGS[1:3], ids=str, indirect=True)
def test_another_hospital_learns_more_where_the_noise_is_distributed(plan: PrivacyPlan) -> None:
    outside = plan.cost().epsilon(plan.delta)
    assert plan.epsilon_against_a_participant(4) > plan.epsilon_against_a_participant(12) > outside


def test_the_cost_is_that_of_the_noise_prescribed() -> None:
    plan = design(*SETTINGS[1])
    assert plan.cost().events == (plan.count_event(), plan.step_event(plan.steps))
    assert plan.count_event().noise_multiplier == plan.count_noise_multiplier
    assert plan.count_event().sampling_rate == 1.0
    assert plan.step_event(3).noise_multiplier == plan.noise_multiplier
    assert plan.step_event(3).sampling_rate == plan.sampling_rate
    assert plan.step_event(3).times == 3


def test_a_plan_with_one_percent_less_noise_would_cost_too_much() -> None:
    plan = design(*SETTINGS[1])
    less = replace(plan, noise_multiplier=0.99 * plan.noise_multiplier)
    assert less.cost().epsilon(plan.delta) > plan.epsilon


def test_the_other_of_two_hospitals_faces_half_the_variance() -> None:
    plan = design(*SETTINGS[1])
    half = replace(
        plan,
        noise_multiplier=plan.noise_multiplier * 0.5**0.5,
        count_noise_multiplier=plan.count_noise_multiplier * 0.5**0.5,
    )
    assert plan.epsilon_against_a_participant(2) == half.cost().epsilon(plan.delta)


def test_a_hospital_that_is_alone_can_subtract_all_distributed_noise() -> None:
    assert design(*SETTINGS[1]).epsilon_against_a_participant(1) == float("inf")


@pytest.mark.parametrize("hospitals", [1, 2, 12])
def test_another_hospital_learns_no_more_where_the_noise_is_local(hospitals: int) -> None:
    plan = design(*SETTINGS[1], noise="local")
    assert plan.epsilon_against_a_participant(hospitals) == plan.cost().epsilon(plan.delta)


def test_the_count_takes_its_share_of_the_budget() -> None:
    plan = design(*SETTINGS[1])
    count = plan.count_noise_multiplier**-2
    assert count / (count + plan.steps * plan.noise_multiplier**-2) == pytest.approx(COUNT_SHARE, rel=0.02)


def test_more_steps_need_more_noise() -> None:
    noises = [design(1.0, 1e-4, 0.2, steps).noise_multiplier for steps in (1, 4, 8)]
    assert noises == sorted(set(noises))


def test_a_larger_epsilon_needs_less_noise() -> None:
    noises = [design(epsilon, 1e-4, 0.2, 5).noise_multiplier for epsilon in (2.0, 1.0, 0.3)]
    assert noises == sorted(set(noises))


def test_rarer_patients_need_less_noise() -> None:
    noises = [design(1.0, 1e-4, rate, 5).noise_multiplier for rate in (0.05, 0.2, 1.0)]
    assert noises == sorted(set(noises))


@pytest.mark.parametrize("field", ["epsilon", "noise_multiplier", "count_noise_multiplier", "clip", "steps"])
def test_a_plan_cannot_be_changed(field: str) -> None:
    with pytest.raises(FrozenInstanceError):
        setattr(design(*SETTINGS[1]), field, 0)


@pytest.mark.parametrize(("epsilon", "delta"), [(1e-7, 1e-9), (1e-3, 1e-12), (-1.0, 1e-5)])
def test_an_epsilon_that_no_noise_reaches_is_refused_in_one_line(epsilon: float, delta: float) -> None:
    with pytest.raises(
        PrivacyError, match=f"no noise reaches epsilon {epsilon:g} .*: raise epsilon"
    ) as caught:
        design(epsilon, delta, 1.0, 10)
    assert "raise epsilon, or ask for fewer rounds" in str(caught.value)
    assert "\n" not in str(caught.value)
