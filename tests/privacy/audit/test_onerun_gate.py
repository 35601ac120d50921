"""The whole private mechanism, attacked: it must withstand with its noise, and must not without."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from privacy.audit.onerun import epsilon_lower_bound
from privacy.gradients import PatientGradients, add_noise
from privacy.plan import PrivacyPlan
from privacy.randomness import Stream, seeded_key

CANARIES = 300
HOSPITALS = 4
EPSILON = 1.0
DELTA = 1e-4


@pytest.fixture(scope="module")
def plan() -> PrivacyPlan:
    return PrivacyPlan.design(
        epsilon=EPSILON, delta=DELTA, clip=1.0, sampling_rate=1.0, steps=20, noise="distributed"
    )


def loss(outputs: Tensor, targets: Tensor) -> Tensor:
    """Steep enough that every canary's gradient is longer than the clip."""
    return 10.0 * (outputs[:, 0] - targets)


def audit(plan: PrivacyPlan, seed: int) -> float:
    """The ε that one run of the plan betrays to an attacker who sees every released sum.

    Each canary is a patient put in by a fair coin. Canary i alone has input i, so that its clipped gradient
    is the unit vector i; the attacker adds up coordinate i of all sums, takes the third with the highest
    scores for present, the third with the lowest for absent, and abstains from the rest.
    """
    present = np.random.default_rng(seed).random(CANARIES) < 0.5
    score = np.zeros(CANARIES)
    for hospital in range(HOSPITALS):
        of_this_one = np.arange(CANARIES) % HOSPITALS == hospital
        inputs = torch.eye(CANARIES)[torch.from_numpy(present & of_this_one)]
        stream = Stream(seeded_key(seed, "audit", str(hospital)), "noise")
        with PatientGradients(nn.Linear(CANARIES, 1, bias=False), loss) as gradients:
            for _ in range(plan.steps):
                total = gradients.clipped_sum(inputs, torch.zeros(len(inputs)), plan.clip)
                score += add_noise(total, plan.noise_multiplier, HOSPITALS, stream).vector
    order = np.argsort(score, kind="stable")
    third = CANARIES // 3
    correct = int(present[order[-third:]].sum() + (~present[order[:third]]).sum())
    return epsilon_lower_bound(CANARIES, 2 * third, correct, DELTA)


@pytest.mark.parametrize("seed", range(6))
def test_the_audit_passes_with_noise_and_catches_its_absence(plan: PrivacyPlan, seed: int) -> None:
    assert audit(plan, seed) <= EPSILON
    assert audit(replace(plan, noise_multiplier=0.0), seed) > 4.0


@pytest.mark.parametrize("seed", range(3))
def test_the_audit_catches_noise_that_is_ten_times_too_small(plan: PrivacyPlan, seed: int) -> None:
    assert audit(replace(plan, noise_multiplier=plan.noise_multiplier / 10), seed) > EPSILON
