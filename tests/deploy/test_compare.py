from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from studies import DISTRIBUTED, FREE, LOCAL, NAMES

from client.hospital import Settings
from deploy.compare import Arm, Plan, plans, run_arm
from deploy.federation import Machine
from ground.errors import StudyError, UsageError

PROMISED = ["own", "federated", "federated_dp", "pooled"]


def keys(arms: Sequence[Plan]) -> list[str]:
    return [arm.key for arm in arms]


def run(key: str, hospitals: Sequence[Settings], seeds: int = 1) -> Arm:
    plan = next(plan for plan in plans(DISTRIBUTED) if plan.key == key)
    return run_arm(plan, hospitals, Machine(), seeds)


def test_the_arms_are_those_that_the_design_promises() -> None:
    arms = plans(DISTRIBUTED)
    assert keys(arms) == PROMISED
    assert [arm.study.privacy is None for arm in arms] == [True, True, False, True]
    assert [arm.who for arm in arms] == ["alone", "together", "together", "pooled"]
    assert arms[2].study == DISTRIBUTED


def test_each_other_epsilon_is_one_more_arm_and_its_own_study() -> None:
    arms = plans(DISTRIBUTED, epsilons=(8.0, 4.0, 0.5, 8.0))
    assert keys(arms) == [*PROMISED[:3], "federated_dp_8", "federated_dp_0.5", "pooled"]
    assert [arm.study.privacy.epsilon for arm in arms if arm.study.privacy] == [4.0, 8.0, 0.5]


def test_each_other_strategy_is_two_more_arms() -> None:
    arms = plans(LOCAL, strategies=("fedadam", "fedavg", "scaffold", "fedadam"))
    assert keys(arms)[3:-1] == [
        f"federated_{name}" for name in ("fedadam", "dp_fedadam", "scaffold", "dp_scaffold")
    ]
    assert [arm.study.training.strategy for arm in arms[3:-1]] == [
        "fedadam",
        "fedadam",
        "scaffold",
        "scaffold",
    ]
    assert [arm.study.privacy is None for arm in arms[3:-1]] == [True, False, True, False]


def test_scaffold_has_no_private_arm_where_the_noise_is_distributed() -> None:
    assert keys(plans(DISTRIBUTED, strategies=("scaffold",))) == [
        *PROMISED[:3],
        "federated_scaffold",
        "pooled",
    ]


def test_a_comparison_without_privacy_is_wrong_use() -> None:
    with pytest.raises(UsageError, match=r"study free has no \[privacy\] table"):
        plans(FREE)


def test_an_epsilon_that_is_no_epsilon_is_wrong_use() -> None:
    with pytest.raises(StudyError, match="epsilon"):
        plans(DISTRIBUTED, epsilons=(-1.0,))


@pytest.mark.parametrize("key", PROMISED)
def test_every_arm_is_tested_at_every_hospital(key: str, hospitals: Sequence[Settings]) -> None:
    values = run(key, hospitals).to_dict("accuracy")
    assert list(values["hospitals"]) == list(NAMES)
    accuracies = [each["accuracy"] for each in values["hospitals"].values()]
    assert values["mean"]["accuracy"] == pytest.approx(np.mean(accuracies))
    assert values["worst_hospital"]["accuracy"] == min(accuracies)


@pytest.mark.parametrize("key", PROMISED)
def test_only_the_private_arm_costs_epsilon(key: str, hospitals: Sequence[Settings]) -> None:
    epsilon = run(key, hospitals).to_dict("accuracy")["epsilon"]
    assert epsilon is None if key != "federated_dp" else 3.9 < epsilon <= 4.0


def test_a_hospital_on_its_own_learns_from_its_own_patients_alone(hospitals: Sequence[Settings]) -> None:
    own = run("own", hospitals).by_hospital()
    for hospital in hospitals:
        assert run("own", [hospital]).by_hospital() == {hospital.name: own[hospital.name]}


def test_one_full_step_a_round_makes_federated_and_pooled_the_same_model(
    hospitals: Sequence[Settings],
) -> None:
    federated, everybody = (run(key, hospitals).outcome for key in ("federated", "pooled"))
    assert federated is not None
    assert everybody is not None
    model = federated.progress.state.model
    np.testing.assert_allclose(model, everybody.progress.state.model, rtol=1e-4, atol=1e-6)
    assert np.abs(model).max() > 0.1


def test_a_curve_has_one_point_for_each_evaluation_and_ends_at_the_result(
    hospitals: Sequence[Settings],
) -> None:
    values = run("federated", hospitals).to_dict("accuracy")
    assert [point["after"] for point in values["curve"]] == [0, 1, 2, 3]
    assert values["curve"][-1]["metrics"] == values["mean"]
    assert run("pooled", hospitals).to_dict("accuracy")["curve"] == []


def test_seeds_give_the_mean_and_the_deviation_of_single_runs(hospitals: Sequence[Settings]) -> None:
    plan = plans(DISTRIBUTED)[2]
    both = run_arm(plan, hospitals, Machine(), 2).to_dict("auc")
    single = [
        run_arm(plans(DISTRIBUTED.with_seed(seed))[2], hospitals, Machine(), 1).to_dict("auc")
        for seed in (1, 2)
    ]
    aucs = [each["mean"]["auc"] for each in single]
    assert both["seeds"] == 2
    assert both["mean"]["auc"] == pytest.approx(np.mean(aucs))
    assert both["sd_over_seeds"]["auc"] == pytest.approx(np.std(aucs, ddof=1))
    assert aucs[0] != aucs[1]


def test_a_single_seed_has_no_deviation(hospitals: Sequence[Settings]) -> None:
    assert set(run("federated", hospitals).to_dict("auc")["sd_over_seeds"].values()) == {None}


def test_without_noise_every_seed_gives_the_same(hospitals: Sequence[Settings]) -> None:
    values = run("federated", hospitals, seeds=2).to_dict("accuracy")
    assert set(values["sd_over_seeds"].values()) == {0.0}
