"""The learners themselves under the one-run audit: what passes with the noise is caught without it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from privacy.audit.onerun import epsilon_lower_bound
from privacy.plan import PrivacyPlan
from privacy.randomness import Stream, seeded_key
from tasks.contract import Task
from tasks.learners import learner_for
from tasks.learners.contract import Visit
from tasks.patients import TablePatients
from tasks.study import Study, parse

CANARIES, HOSPITALS = 300, 4

# The gradient of canary i is the direction i, whatever the model: outputs are linear, and so is the loss.
TASK = Task(
    name="canaries",
    version=1,
    summary="one direction a patient",
    schema=(),
    headline="none",
    model=lambda: nn.Linear(CANARIES, 1, bias=False),
    loss=lambda outputs, targets: outputs[:, 0],  # noqa: ARG005
    metrics=lambda outputs, targets: {"none": 0.0},  # noqa: ARG005
    hospitals=lambda folder: {},  # noqa: ARG005
    read=lambda path: TablePatients(torch.zeros(0, CANARIES), torch.zeros(0)),  # noqa: ARG005
    split=lambda patients: (np.arange(len(patients)), np.arange(0)),
)


def study(noise: str) -> Study:
    terms = f'epsilon = 1.0\ndelta = 1e-4\nnoise = "{noise}"\n'
    return parse(f'name = "audit"\ntask = "canaries"\nrounds = 20\n[privacy]\n{terms}')


def bound(terms: Study, plan: PrivacyPlan, seed: int) -> float:
    """The ε that an attacker proves who sees the sum of every round."""
    inside = np.random.default_rng(seed).random(CANARIES) < 0.5
    learner, score = learner_for(TASK, terms), np.zeros(CANARIES)
    published = learner.publish(learner.begin())
    for hospital in range(HOSPITALS):
        mine = np.flatnonzero(inside & (np.arange(CANARIES) % HOSPITALS == hospital))
        patients = TablePatients(torch.eye(CANARIES)[mine], torch.zeros(len(mine)))
        for number in range(terms.rounds):
            stream = Stream(seeded_key(seed, str(hospital)), number)
            memory = {"patients": np.asarray([40.0])}
            visit = Visit(published, patients, memory, stream, HOSPITALS, plan)
            vector = learner.contribute(visit)[0].vector[:CANARIES]
            score += vector if plan.noise == "distributed" else -vector  # a step goes against the gradient
    order, third = np.argsort(score), CANARIES // 3
    correct = int(inside[order[-third:]].sum() + (~inside[order[:third]]).sum())
    return epsilon_lower_bound(CANARIES, 2 * third, correct, plan.delta)


@pytest.mark.parametrize("noise", ["distributed", "local"])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_audit_of_a_learner_passes_with_its_noise_and_catches_its_absence(noise: str, seed: int) -> None:
    terms = study(noise)
    plan = terms.plan()
    assert plan is not None
    assert bound(terms, plan, seed) <= plan.epsilon
    assert bound(terms, replace(plan, noise_multiplier=0.0), seed) > plan.epsilon
