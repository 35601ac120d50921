from __future__ import annotations

from dataclasses import replace

import pytest
from studies import DISTRIBUTED

from deploy.arms import Plan, chosen, described, plans
from ground.errors import UsageError
from tasks.study import Study, Synthetic

STARTED = Synthetic(patients=40, start_steps=5, fill=False)


def with_digital(synthetic: Synthetic) -> Study:
    return DISTRIBUTED.model_copy(update={"synthetic": synthetic})


def by_key(arms: list[Plan]) -> dict[str, Plan]:
    found = {arm.key: arm for arm in arms}
    assert len(found) == len(arms)
    return found


def test_a_digital_start_stands_beside_real_patients_alone() -> None:
    study = with_digital(STARTED)
    arms = by_key(plans(study))
    assert {key: arm.label for key, arm in arms.items()} == {
        "own": "own hospital",
        "digital": "digital patients only",
        "federated": "federated",
        "federated_digital": "digital start",
        "federated_dp": "digital start + DP ε=4",
        "federated_dp_scratch": "federated + DP ε=4",
        "pooled": "pooled",
    }
    for key in ("own", "federated", "federated_dp_scratch", "pooled"):
        assert arms[key].study.synthetic is None
    for key in ("digital", "federated_digital", "federated_dp"):
        assert arms[key].study.synthetic == STARTED
    assert arms["federated_dp"].study == study
    assert [key for key, arm in arms.items() if arm.study.privacy] == ["federated_dp", "federated_dp_scratch"]
    assert [key for key, arm in arms.items() if arm.who == "nobody"] == ["digital"]


def test_every_epsilon_is_run_with_the_start_and_without_it() -> None:
    arms = by_key(plans(with_digital(STARTED), epsilons=(8.0, 4.0, 30.0)))
    found = {key: arm.study for key, arm in arms.items() if arm.study.privacy}
    assert list(found) == [
        f"federated_dp{way}{epsilon}" for way in ("", "_scratch") for epsilon in ("", "_8", "_30")
    ]
    for key, study in found.items():
        assert (study.synthetic is None) == ("scratch" in key)
        assert study.privacy is not None
        assert f"ε={study.privacy.epsilon:g}" in arms[key].label
    assert {arm.way for arm in arms.values() if arm.study.privacy} == {"digital start", "federated"}


def test_a_filled_gap_stands_beside_one_that_is_not() -> None:
    arms = by_key(plans(with_digital(Synthetic(patients=40))))
    assert list(arms) == [
        *("own", "federated", "federated_digital", "federated_dp", "federated_dp_unfilled", "pooled")
    ]
    assert arms["federated_dp"].label == "gap filled + DP ε=4"
    assert arms["federated_dp_unfilled"].study == DISTRIBUTED.without_digital_patients()


def test_with_a_start_as_well_the_arm_that_is_not_filled_begins_alike() -> None:
    arms = by_key(plans(with_digital(STARTED.model_copy(update={"fill": True}))))
    assert arms["federated_dp_unfilled"].study.synthetic == STARTED
    assert arms["digital"].study.synthetic == STARTED
    assert {key: arms[key].label for key in arms if key.startswith("federated_d")} == {
        "federated_digital": "digital start, filled",
        "federated_dp": "digital start, filled + DP ε=4",
        "federated_dp_scratch": "federated + DP ε=4",
        "federated_dp_unfilled": "digital start + DP ε=4",
    }


def test_arms_are_chosen_by_name_and_stay_in_order() -> None:
    arms = plans(with_digital(STARTED))
    assert [arm.key for arm in chosen(arms, ["federated_dp", "digital"])] == ["digital", "federated_dp"]
    assert chosen(arms, []) == arms
    with pytest.raises(UsageError, match="no arm pool: it has own, digital, federated, "):
        chosen(arms, ["pool"])


@pytest.mark.parametrize("names", [["own"], ["pooled"], ["digital", "own"]])
def test_arms_without_a_model_that_was_federated_are_wrong_use(names: list[str]) -> None:
    with pytest.raises(UsageError, match="give one more, as --arm federated_dp"):
        chosen(plans(with_digital(STARTED)), names)


def test_what_is_described_is_the_private_arm_or_the_first_that_was_federated() -> None:
    arms = plans(with_digital(STARTED))
    found = described(arms)
    assert found is not None
    assert found.key == "federated_dp"
    first = described([arm for arm in arms if arm.key in ("own", "federated_digital", "pooled")])
    assert first is not None
    assert first.key == "federated_digital"
    assert described([replace(arm, who="alone") for arm in arms]) is None
