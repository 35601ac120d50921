"""A federation on paper: hospitals of three measurements, and rounds without any engine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from ground.arrays import Array, Arrays
from privacy.plan import Noise, PrivacyPlan
from privacy.randomness import Stream, seeded_key
from tasks.heart_disease.task import COMPLETE
from tasks.learners.contract import Learner, State, Visit, add_up
from tasks.learners.local_training import LocalTraining
from tasks.learners.statistics import count_of_patients
from tasks.learners.strategies import STRATEGIES
from tasks.patients import Patients, TablePatients
from tasks.study import StrategyName, Study, Training

FEATURES = 3
Floats = npt.NDArray[np.float64]


def linear() -> nn.Module:
    layer = nn.Linear(FEATURES, 1)
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


# Logistic regression, whose gradient `gradients` below writes down by hand.
TOY = replace(COMPLETE, name="toy", model=linear)


def patients(seed: int, count: int, shift: float = 0.0, tilt: float = 0.0) -> TablePatients:
    """Random patients around `shift`, whose disease depends on the measurements, differently with `tilt`."""
    random = np.random.default_rng(seed)
    inputs = random.normal(shift, 1.0, (count, FEATURES))
    sick = random.random(count) < 1 / (1 + np.exp(-inputs @ np.array([1.5, -1.0 + tilt, 0.5 - tilt])))
    return TablePatients(
        torch.from_numpy(inputs.astype(np.float32)), torch.from_numpy(sick.astype(np.float32))
    )


def rows(group: TablePatients) -> Floats:
    """Measurements and a constant, shape (patient, parameter)."""
    return np.column_stack([group.inputs.numpy().astype(float), np.ones(len(group))])


def gradients(model: Array, group: TablePatients) -> Floats:
    """Each patient's gradient of the logistic loss, (σ(xw + b) − y)·(x, 1), by numpy in double precision."""
    x = rows(group)
    residuals = 1 / (1 + np.exp(-x @ model.astype(float))) - group.targets.numpy()
    return residuals[:, None] * x


def together(groups: Sequence[TablePatients]) -> TablePatients:
    return TablePatients(
        torch.cat([group.inputs for group in groups]), torch.cat([group.targets for group in groups])
    )


def plan(noise: Noise = "distributed", **changes: float) -> PrivacyPlan:
    """A plan with round numbers instead of designed ones: what learners do with it is what is tested."""
    values = {"clip": 1.0, "sampling_rate": 1.0, "noise_multiplier": 1.5, "count_noise_multiplier": 2.5}
    return PrivacyPlan(epsilon=1.0, delta=1e-5, steps=100, noise=noise, **{**values, **changes})


def study(strategy: StrategyName = "fedavg", rounds: int = 3, **training: float) -> Study:
    return Study(name="paper", task="toy", rounds=rounds, training=Training(strategy=strategy, **training))


def learner(strategy: StrategyName = "fedavg", **training: float) -> LocalTraining:
    return LocalTraining(TOY, study(strategy, **training), STRATEGIES[strategy])


def stream(*context: str | int) -> Stream:
    return Stream(seeded_key(7, "paper"), *context)


def visit(
    group: Patients,
    published: Arrays,
    memory: Arrays | None = None,
    *,
    hospitals: int = 1,
    plan: PrivacyPlan | None = None,
    who: str | int = 0,
) -> Visit:
    return Visit(published, group, memory or {}, stream("train", who), hospitals, plan)


@dataclass
class Federation:
    """Hospitals and a coordinator: `go` plays rounds; what each keeps is there to look at."""

    learner: Learner
    groups: Sequence[TablePatients]
    plan: PrivacyPlan | None = None
    memories: list[dict[str, Array]] = field(default_factory=list)
    state: State = field(init=False)

    def __post_init__(self) -> None:
        self.state = self.learner.begin()
        self.memories = [{} for _ in self.groups]

    def enrol(self) -> Federation:
        """Count the patients, which a private study divides by."""
        count = count_of_patients()
        self.state = count.combine(self.state, add_up(self._contribute(count, {})))
        return self

    def go(self, rounds: int) -> Federation:
        for _ in range(rounds):
            vectors = self._contribute(self.learner, self.learner.publish(self.state))
            self.state = self.learner.combine(self.state, add_up(vectors))
        return self

    def _contribute(self, learner: Learner, published: Arrays) -> list[Array]:
        vectors = []
        for who, group in enumerate(self.groups):
            memory = self.memories[who]
            came = visit(group, published, memory, hospitals=len(self.groups), plan=self.plan, who=who)
            contribution, kept = learner.contribute(came)
            vectors.append(contribution.vector)
            self.memories[who] = {**memory, **kept}
        return vectors
