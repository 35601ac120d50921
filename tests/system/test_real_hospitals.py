"""The four real hospitals, which lie beside the repository: skipped where they do not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from deploy.arms import plans
from deploy.compare import run_arm
from deploy.federation import Machine, hospitals_in
from deploy.run import write_comparison
from tasks.study import load

EXAMPLE = Path(__file__).parents[2] / "examples" / "heart-disease.toml"


@pytest.fixture(scope="module")
def result(uci: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    hospitals = hospitals_in("heart-disease", uci, None, secret_noise=False)
    arms = [run_arm(plan, hospitals, Machine(), 1) for plan in plans(load(EXAMPLE))]
    return write_comparison(arms, tmp_path_factory.mktemp("out")).result


def test_the_arms_stand_in_the_order_of_the_design(result: dict[str, Any]) -> None:
    assert list(result["arms"]) == ["own", "federated", "federated_dp", "pooled"]


def test_the_cohort_is_that_of_flamby(result: dict[str, Any]) -> None:
    patients = {hospital["name"]: hospital["patients"] for hospital in result["hospitals"]}
    assert patients == {"cleveland": 303, "hungary": 261, "switzerland": 46, "long-beach": 130}
    assert sum(patients.values()) == 740
    assert sum(hospital["quarantined"] for hospital in result["hospitals"]) == 920 - 740


def test_learning_together_is_right_about_four_of_five_patients(result: dict[str, Any]) -> None:
    assert result["arms"]["federated"]["mean"]["accuracy"] >= 0.80


def test_privacy_costs_what_was_asked_and_leaves_a_model_worth_having(result: dict[str, Any]) -> None:
    private = result["arms"]["federated_dp"]
    assert 0.97 < private["epsilon"] <= 1.0
    assert private["mean"]["accuracy"] >= 0.70


def test_learning_together_comes_near_to_pooling_all_patients(result: dict[str, Any]) -> None:
    arms = result["arms"]
    assert abs(arms["federated"]["mean"]["accuracy"] - arms["pooled"]["mean"]["accuracy"]) < 0.03
