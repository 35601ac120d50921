from __future__ import annotations

import json
from importlib.metadata import version

import pytest
from test_round import NAMES, TASK, advance, replies, study

from privacy.plan import Noise
from server.progress import Progress, begin
from server.report.card import SEEDED, TOOLS, TRUSTED_SUM, privacy_card
from tasks.study import Study

PROMISED = {
    *("protected", "statement", "epsilon", "epsilon_asked", "epsilon_towards_another_hospital", "delta"),
    *("unit", "neighbours", "model", "noise", "secure_aggregation", "clip", "sampling_rate"),
    *("noise_multiplier", "count_noise_multiplier", "releases", "accountant", "epsilon_by_rdp"),
    "noise_multiplier_in_the_sums",
    *("randomness", "covered", "not_covered", "warnings", "versions"),
}
EACH_NOISE = pytest.mark.parametrize("noise", ["distributed", "local"])


def private(noise: Noise = "distributed", epsilon: float = 2.0, minimum: int = 3) -> Study:
    terms = f'epsilon = {epsilon}\nnoise = "{noise}"\nminimum-hospitals = {minimum}\nsampling-rate = 0.5\n'
    return study(f"[privacy]\n{terms}")


def finished(terms: Study, names: tuple[str, ...] = NAMES) -> Progress:
    progress = begin(terms, TASK)
    while progress.phase != "done":
        progress = advance(progress, replies(progress, names))
    return progress


@EACH_NOISE
def test_a_card_says_all_that_a_claim_must_state(noise: Noise) -> None:
    card = privacy_card(finished(private(noise)), secret_noise=True)
    assert card.keys() == PROMISED
    assert (card["protected"], card["unit"], card["noise"]) == (True, "patient", noise)
    assert card["neighbours"] == "add or remove one patient"
    assert card["versions"] == {tool: version(tool) for tool in TOOLS}
    assert card["not_covered"]


@EACH_NOISE
@pytest.mark.parametrize("epsilon", [0.5, 2.0])
def test_a_finished_study_spent_no_more_than_was_asked_and_nearly_all_of_it(
    noise: Noise, epsilon: float
) -> None:
    card = privacy_card(finished(private(noise, epsilon)), secret_noise=True)
    assert 0.97 * epsilon <= card["epsilon"] <= card["epsilon_asked"] == epsilon
    assert card["epsilon_by_rdp"] >= card["epsilon"]


def test_an_unfinished_study_has_spent_less() -> None:
    enrolled = advance(begin(private(), TASK))
    spent = [
        privacy_card(progress, secret_noise=True)["epsilon"]
        for progress in (begin(private(), TASK), enrolled, advance(enrolled), finished(private()))
    ]
    assert spent[0] == 0.0
    assert spent == sorted(set(spent))


def test_the_statement_is_a_sentence_with_epsilon_and_delta_in_it() -> None:
    statement = privacy_card(finished(private()), secret_noise=True)["statement"]
    assert "epsilon 2 at delta 1e-05" in statement
    assert "shared by 4 hospitals" in statement
    assert statement.endswith(".")


def test_a_card_counts_the_releases_of_the_plan_and_that_of_the_count() -> None:
    assert privacy_card(finished(private()), secret_noise=True)["releases"] == 1 + 2


def test_another_hospital_learns_more_from_a_sum_to_which_it_gave_noise() -> None:
    card = privacy_card(finished(private()), secret_noise=True)
    assert card["epsilon_towards_another_hospital"] > card["epsilon"]
    local = privacy_card(finished(private("local")), secret_noise=True)
    assert local["epsilon_towards_another_hospital"] == local["epsilon"]


def test_a_hospital_alone_has_nobody_to_share_noise_with_and_its_card_is_still_json() -> None:
    card = privacy_card(finished(private(minimum=1), ("hungary",)), secret_noise=True)
    assert card["epsilon_towards_another_hospital"] is None
    assert json.loads(json.dumps(card, allow_nan=False)) == card


def test_noise_from_the_seed_is_warned_of() -> None:
    progress = finished(private("local"))
    assert privacy_card(progress, secret_noise=False)["warnings"] == [SEEDED]
    assert privacy_card(progress, secret_noise=True)["warnings"] == []
    assert "seed" in privacy_card(progress, secret_noise=False)["randomness"]
    assert "operating system" in privacy_card(progress, secret_noise=True)["randomness"]


def test_a_sum_that_is_trusted_is_warned_of_first() -> None:
    assert privacy_card(finished(private()), secret_noise=False)["warnings"] == [TRUSTED_SUM, SEEDED]


@pytest.mark.parametrize("secret", [True, False])
def test_an_unprotected_study_says_so(secret: bool) -> None:
    card = privacy_card(finished(study()), secret_noise=secret)
    assert card["protected"] is False
    assert card["statement"].startswith("No differential privacy")
    assert (card["epsilon"], card["delta"], card["noise"]) == (None, None, "none")
    assert (card["covered"], card["not_covered"]) == ([], ["everything"])
    assert card.keys() <= PROMISED
