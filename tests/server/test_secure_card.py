"""What the card of a masked study says: of the sums that there were, and of no others."""

from __future__ import annotations

from dataclasses import replace

import masked
import pytest
from masked import Course, Settings

from server.report.card import privacy_card

ROUNDS = 5
STUDY = masked.study(rounds=ROUNDS)
Hospitals = tuple[Settings, ...]


@pytest.fixture(scope="module")
def hospitals(tmp_path_factory: pytest.TempPathFactory) -> Hospitals:
    return masked.hospitals(tmp_path_factory.mktemp("masked") / "hospitals")


def card(course: Course) -> dict[str, object]:
    return privacy_card(course.progress, secret_noise=True)


def test_the_statement_says_in_which_sums_the_noise_is_complete(hospitals: Hospitals) -> None:
    statement = str(card(Course(STUDY, hospitals).run())["statement"])
    assert "each hospital adds a share of the noise, complete in any sum of 3" in statement
    assert statement.endswith("and updates meet only in a masked sum.")


def test_the_statement_of_local_noise_names_no_share(hospitals: Hospitals) -> None:
    statement = str(card(Course(masked.study("local"), hospitals).run())["statement"])
    assert "each hospital adds all of the noise itself, and updates meet only in a masked" in statement
    assert "share" not in statement


@pytest.mark.parametrize("when", [("train", 2), ("unmask", 2)])
def test_an_abandoned_round_is_no_release(when: masked.Place, hospitals: Hospitals) -> None:
    course = Course(STUDY, hospitals, {when: ("hungary", "switzerland")}).run()
    assert course.progress.history[1].abandoned
    assert card(course)["releases"] == 1 + ROUNDS - 1


@pytest.mark.parametrize("feared", [0, 1, 2])
def test_the_worst_case_has_as_many_helpers_as_were_announced(feared: int, hospitals: Hospitals) -> None:
    course = Course(STUDY, hospitals)
    masked.with_settings(course, "hungary", colluders=feared, least_hospitals=3)
    said = card(course.run(until=("count", 0)))
    plan, helpers = masked.plan(STUDY), max(1, feared)
    fewest = int(str(said["fewest_hospitals_in_a_sum"]))
    left = ((fewest - helpers) / fewest) ** 0.5
    without = replace(
        plan,
        noise_multiplier=plan.noise_multiplier * left,
        count_noise_multiplier=plan.count_noise_multiplier * left,
    )
    assert said["helpers_of_a_lying_coordinator"] == helpers
    assert said["epsilon_towards_a_lying_coordinator_and_its_helpers"] == without.cost().epsilon(plan.delta)
    hidden = "from the coordinator and 2 others" if feared == 2 else "from the coordinator and one other"
    assert hidden in str(said["not_covered"])


def test_more_helpers_learn_more() -> None:
    """What the test above would notice: two helpers subtract two shares."""
    plan = masked.plan(STUDY)
    assert plan.epsilon_against_a_participant(4, 2) > plan.epsilon_against_a_participant(4)
    assert plan.epsilon_against_a_participant(2, 2) == float("inf")


def test_before_the_first_sum_nothing_is_released(hospitals: Hospitals) -> None:
    course = Course(STUDY, hospitals).run(until=("count", 0))
    assert (card(course)["releases"], card(course)["noise_multiplier_in_the_sums"]) == (0, None)


@pytest.mark.parametrize(("gone", "active"), [((), 4), (("hungary",), 3)], ids=["all four", "the fewest"])
def test_the_least_noise_is_that_of_the_sum_with_the_fewest(
    gone: tuple[str, ...], active: int, hospitals: Hospitals
) -> None:
    course = Course(STUDY, hospitals, {("train", 2): gone}).run()
    expected = masked.plan(STUDY).noise_multiplier * (active / 3) ** 0.5
    assert card(course)["noise_multiplier_in_the_sums"] == pytest.approx(expected)
