from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from client.audit.canaries import Coins, Steady, epsilon_of_one, one_run
from client.audit.rehearsal import Terms, contribute, enrol
from client.hospital import cohort
from deploy.federation import hospitals_in
from ground.errors import TaskError
from tasks.patients import Patients, TablePatients
from tasks.study import Study, load

ROOT = Path(__file__).resolve().parents[3]
CANARIES = 150
CLAIMED = {"distributed": "sum", "sampled": "sum", "secure": "sum"}
EVERY = pytest.mark.parametrize(
    "kind", ["distributed", "local", "sampled", "secure", "two local steps", "scaffold"]
)


@EVERY
def test_the_study_s_noise_stays_within_the_claim_and_without_it_the_claim_is_exceeded(
    kind: str, studies: dict[str, Study], hospitals: dict[str, Patients]
) -> None:
    terms, sees = Terms.of(studies[kind], 1), CLAIMED.get(kind, "each")
    withstood = one_run(terms, hospitals, CANARIES)[sees]
    assert withstood.bound <= withstood.claim <= 1.0
    assert one_run(terms.without_noise(), hospitals, CANARIES)[sees].bound > 1.0


@pytest.mark.parametrize("kind", ["distributed", "local"])
def test_noise_twenty_times_too_small_is_caught(
    kind: str, studies: dict[str, Study], hospitals: dict[str, Patients]
) -> None:
    terms = Terms.of(studies[kind], 1)
    assert terms.plan is not None
    small = replace(terms.plan, noise_multiplier=terms.plan.noise_multiplier / 20)
    assert one_run(replace(terms, plan=small), hospitals, CANARIES)[CLAIMED.get(kind, "each")].bound > 1.0


@pytest.mark.slow
def test_on_the_real_hospitals_the_example_withstands_and_its_noiseless_twin_does_not(uci: Path) -> None:
    study = load(ROOT / "examples" / "heart-disease.toml")
    nodes = hospitals_in(study.task, uci, None, secret_noise=False)
    patients = {each.name: cohort(study.task, each.sources).training for each in nodes}
    terms = Terms.of(study, study.seed)
    sights = one_run(terms, patients)
    assert sights["sum"].bound <= sights["sum"].claim <= 1.0
    assert sights["each"].bound <= sights["each"].claim
    assert one_run(terms.without_noise(), patients)["sum"].bound > 1.0


def test_a_share_of_the_noise_stands_for_more_epsilon_than_all_of_it(
    studies: dict[str, Study], hospitals: dict[str, Patients]
) -> None:
    terms = Terms.of(studies["distributed"], 1)
    given, _ = contribute(terms, enrol(terms, hospitals), hospitals, 1)
    assert terms.plan is not None
    alone = epsilon_of_one(terms.plan, given["hungary"])
    assert alone > 1.5 * terms.plan.epsilon
    assert (
        epsilon_of_one(terms.plan, replace(given["hungary"], noise=terms.plan.noise_multiplier * 0.5)) <= 1.0
    )


def test_the_same_seed_gives_the_same_run_and_another_seed_other_coins(
    studies: dict[str, Study], hospitals: dict[str, Patients]
) -> None:
    terms = Terms.of(studies["distributed"], 3)
    short = replace(terms, study=terms.study.model_copy(update={"rounds": 3}))
    assert one_run(short, hospitals, 60) == one_run(short, hospitals, 60)
    coins = [Coins.toss(list(hospitals), 60, seed).present for seed in (3, 4)]
    assert not np.array_equal(*coins)


def test_a_canary_s_gradient_is_longer_than_the_clip(
    studies: dict[str, Study], hospitals: dict[str, Patients]
) -> None:
    assert one_run(Terms.of(studies["distributed"], 1), hospitals, CANARIES)["sum"].at_clip > 0.95


def test_a_canary_belongs_to_one_hospital_and_only_those_present_are_among_its_patients(
    hospitals: dict[str, Patients],
) -> None:
    coins = Coins.toss(list(hospitals), 50, 1)
    assert sorted(np.concatenate(list(coins.members.values()))) == list(range(50))
    admitted = coins.admitted(hospitals, torch.arange(50.0)[:, None].expand(50, 13), torch.zeros(50))
    for name, mine in coins.members.items():
        inputs, _ = admitted[name].batch(np.arange(len(admitted[name])), torch.Generator())
        assert inputs[len(hospitals[name]) :, 0].tolist() == mine[coins.present[mine]].tolist()


def test_patients_are_drawn_alike_whoever_else_is_in_the_batch() -> None:
    class Drawing(TablePatients):
        def batch(self, chosen, generator):  # type: ignore[no-untyped-def]
            inputs, targets = super().batch(chosen, generator)
            return inputs + torch.rand(inputs.shape, generator=generator), targets

    patients = Steady(Drawing(torch.zeros(5, 2), torch.zeros(5)), 1)
    draws = [patients.batch(np.arange(5), torch.Generator().manual_seed(seed))[0] for seed in (1, 2)]
    assert torch.equal(*draws)
    assert (len(patients), len(patients.subset(np.arange(2))), dict(patients.set_aside)) == (5, 2, {})


def test_steps_are_counted_one_a_round(studies: dict[str, Study], hospitals: dict[str, Patients]) -> None:
    steps: list[int] = []
    one_run(Terms.of(studies["distributed"], 1), hospitals, 12, lambda: steps.append(1))
    assert len(steps) == 12


def test_a_study_without_privacy_has_nothing_to_hold_a_bound_against(
    studies: dict[str, Study], hospitals: dict[str, Patients]
) -> None:
    with pytest.raises(ValueError, match="claims no epsilon"):
        one_run(Terms.of(studies["local"].without_privacy(), 1), hospitals)


def test_inputs_that_are_not_real_numbers_are_refused(studies: dict[str, Study]) -> None:
    whole = {name: TablePatients(torch.ones(9, 13, dtype=torch.int64), torch.ones(9)) for name in "abc"}
    with pytest.raises(TaskError, match="not real numbers"):
        one_run(Terms.of(studies["distributed"], 1), whole)
