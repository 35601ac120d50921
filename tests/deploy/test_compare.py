from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import gapped
import numpy as np
import pytest
from studies import DISTRIBUTED, FREE, LOCAL, NAMES

from client.evaluation import metrics_by_hospital
from client.hospital import Settings
from deploy.arms import Plan, plans
from deploy.compare import Arm, epsilon_curve, run_arm, run_arms
from deploy.federation import Machine, hospitals_in
from deploy.run import write_comparison
from ground.errors import StudyError, UsageError
from server.events import Event, Preparing
from server.report.result import mean
from tasks.learners.digital_start import digital_start
from tasks.registry import find
from tasks.study import Synthetic

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


STARTED = DISTRIBUTED.model_copy(update={"synthetic": Synthetic(patients=40, start_steps=6, fill=False)})


def test_digital_patients_only_are_the_start_at_every_hospital(hospitals: Sequence[Settings]) -> None:
    plan = next(each for each in plans(STARTED) if each.key == "digital")
    heard: list[tuple[int, int]] = []

    def watch(event: Event) -> None:
        assert isinstance(event, Preparing)
        heard.append((event.done, event.total))

    arm = run_arm(plan, hospitals, Machine(), 2, watch)
    task = find(STARTED.task)
    for seed, found in zip((1, 2), arm.by_seed, strict=True):
        assert found == metrics_by_hospital(task, digital_start(task, STARTED.with_seed(seed)), hospitals)
    assert arm.by_seed[0] != arm.by_seed[1]
    assert heard == sorted(heard)
    assert heard[-1] == (92, 92)
    values = arm.to_dict("accuracy")
    assert (values["epsilon"], values["curve"]) == (0.0, [])


def test_an_arm_with_the_start_begins_where_digital_patients_only_stay(
    hospitals: Sequence[Settings],
) -> None:
    arms = {plan.key: run_arm(plan, hospitals, Machine(), 1) for plan in plans(STARTED)[1:4]}
    begun = {key: arm.curve[0][1] for key, arm in arms.items() if arm.curve}
    assert begun["federated_digital"] == mean(arms["digital"].by_seed[0])
    assert begun["federated"] != begun["federated_digital"]


def test_the_same_study_over_the_same_hospitals_is_run_once(hospitals: Sequence[Settings]) -> None:
    plan = plans(FREE.model_copy(update={"privacy": DISTRIBUTED.privacy}))[1]
    twins = [plan, replace(plan, key="twin", label="twin"), replace(plan, key="alone", who="alone")]
    asked: list[str] = []
    found = run_arms(twins, hospitals, Machine(), 1, lambda each: asked.append(each.key))
    assert asked == ["federated", "alone"]
    assert [arm.plan.label for arm in found] == ["federated", "twin", "federated"]
    assert found[0].by_seed is found[1].by_seed
    assert found[2].by_seed != found[0].by_seed


def arm(plan: Plan, *values: float) -> Arm:
    return Arm(plan, tuple({"amiens": {"auc": value}} for value in values))


def test_the_curve_has_a_line_for_each_way_and_its_end_without_privacy() -> None:
    values = {"digital": (0.8, 0.9), "federated": (0.7, 0.7), "federated_dp_8": (0.5, 0.7)}
    every = [arm(plan, *values.get(plan.key, (0.4, 0.4))) for plan in plans(STARTED, epsilons=(8.0, 1.0))]
    curve = epsilon_curve(every, "auc")
    assert curve is not None
    lines = {way["label"]: way for way in curve["ways"]}
    assert list(lines) == ["federated", "digital start"]
    for way in lines.values():
        assert [point["epsilon"] for point in way["points"]] == [1.0, 4.0, 8.0]
    last = lines["digital start"]["points"][-1]
    assert (last["arm"], last["mean"]) == ("federated_dp_8", pytest.approx(0.6))
    assert last["sd"] == pytest.approx(0.2**0.5 * 0.1**0.5, rel=1e-6)
    assert lines["federated"]["without_privacy"]["mean"] == pytest.approx(0.7)
    assert curve["digital"]["mean"] == pytest.approx(0.85)


def test_one_epsilon_is_no_curve() -> None:
    assert epsilon_curve([arm(plan, 0.5) for plan in plans(STARTED)], "auc") is None
    several = epsilon_curve([arm(plan, 0.5) for plan in plans(DISTRIBUTED, (1.0,))], "auc")
    assert several is not None
    assert several["digital"] is None
    assert [point["sd"] for point in several["ways"][0]["points"]] == [None, None]


def test_what_a_task_cannot_do_is_refused_before_the_first_arm_is_run(hospitals: Sequence[Settings]) -> None:
    filled = DISTRIBUTED.model_copy(update={"synthetic": Synthetic(patients=40)})
    asked: list[str] = []
    with pytest.raises(StudyError, match="set fill = false under"):
        run_arms(plans(filled), hospitals, Machine(), 1, lambda each: asked.append(each.key))
    assert asked == []


def test_a_filled_gap_is_an_arm_and_stands_in_the_result(tmp_path: Path) -> None:
    with gapped.installed():
        nodes = hospitals_in(gapped.TASK.name, gapped.write(tmp_path / "data"), None, secret_noise=False)
        study = gapped.study().model_copy(update={"privacy": DISTRIBUTED.privacy})
        free = [plan for plan in plans(study) if plan.key in ("federated", "federated_digital")]
        plain, filled = run_arms(free, nodes, Machine(), 1)
        written = write_comparison([filled, plain], tmp_path / "out", nodes)
    assert filled.by_seed != plain.by_seed
    assert written.result["gap"] == [
        {"stratum": "west", "counted": 32.0, "digital_at_each_hospital": 1},
        {"stratum": "east", "counted": 32.0, "digital_at_each_hospital": 1},
        {"stratum": "north", "counted": 4.0, "digital_at_each_hospital": 8},
    ]
