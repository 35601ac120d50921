from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from client.audit import rehearsal
from client.audit.membership import infer, losses_of
from client.audit.rehearsal import Terms
from client.hospital import cohort
from deploy.federation import hospitals_in
from ground.errors import UsageError
from tasks.patients import Patients, TablePatients
from tasks.registry import find
from tasks.study import Study, load, parse

ROOT = Path(__file__).resolve().parents[3]
WIDE = 120


@pytest.fixture
def memoriser(monkeypatch: pytest.MonkeyPatch) -> dict[str, Patients]:
    """Patients whose labels mean nothing, and more inputs than patients: a model can only learn by heart."""
    task = replace(find("heart-disease"), model=lambda: nn.Linear(WIDE, 1))
    monkeypatch.setattr(rehearsal, "find", lambda *_: task)
    random = torch.Generator().manual_seed(1)
    return {
        name: TablePatients(
            torch.randn(30, WIDE, generator=random), torch.randint(0, 2, (30,), generator=random).float()
        )
        for name in ("north", "south", "west")
    }


def study(rounds: int = 15) -> Study:
    return parse(
        f'name = "m"\ntask = "heart-disease"\nrounds = {rounds}\n[training]\nlearning-rate = 0.5\n'
        "[privacy]\nepsilon = 1.0\ndelta = 1e-4\n"
    )


def test_a_model_that_learns_by_heart_betrays_its_patients_and_privacy_stops_it(
    memoriser: dict[str, Patients],
) -> None:
    free = infer(Terms.of(study().without_privacy(), 1), memoriser, 16)
    private = infer(Terms.of(study(), 1), memoriser, 16)
    assert free.everybody.auc > 0.85
    assert all(each.auc > 0.8 for each in free.hospitals.values())
    assert free.everybody.true_positives > 0.2
    assert private.everybody.auc < 0.56
    assert private.everybody.low < 0.5


def test_what_comes_out_are_rates_over_patients(hospitals: dict[str, Patients]) -> None:
    steps: list[int] = []
    found = infer(Terms.of(study(3).without_privacy(), 1), hospitals, 8, lambda: steps.append(1))
    assert (found.everybody.targets, found.everybody.patients, len(steps)) == (8, 120, 8)
    assert {name: each.patients for name, each in found.hospitals.items()} == dict.fromkeys(hospitals, 40)
    assert all(isinstance(value, float | int) for value in vars(found.everybody).values())


def test_the_same_seed_gives_the_same_attack(hospitals: dict[str, Patients]) -> None:
    terms = Terms.of(study(2), 5)
    assert infer(terms, hospitals, 8) == infer(terms, hospitals, 8)


def test_losses_are_those_of_the_task_one_a_patient(hospitals: dict[str, Patients]) -> None:
    task, patients = find("heart-disease"), hospitals["hungary"]
    inputs, targets = patients.batch(np.arange(40), torch.Generator())
    model = torch.linspace(-1, 1, 14)
    outputs = inputs @ model[:13, None] + model[13]
    np.testing.assert_allclose(
        losses_of(task, model.numpy(), patients), task.loss(outputs, targets), rtol=1e-5
    )


def test_too_few_shadows_or_a_lone_patient_are_refused(hospitals: dict[str, Patients]) -> None:
    with pytest.raises(UsageError, match="give 8"):
        infer(Terms.of(study(2), 1), hospitals, 7)
    lone = {**hospitals, "lonely": hospitals["hungary"].subset(np.arange(1))}
    with pytest.raises(UsageError, match="lonely: one patient"):
        infer(Terms.of(study(2), 1), lone, 8)


@pytest.mark.slow
def test_at_epsilon_1_members_of_the_real_hospitals_are_not_told(uci: Path) -> None:
    example = load(ROOT / "examples" / "heart-disease.toml")
    nodes = hospitals_in(example.task, uci, None, secret_noise=False)
    patients = {each.name: cohort(example.task, each.sources).training for each in nodes}
    assert infer(Terms.of(example, example.seed), patients, 8).everybody.auc <= 0.55
