"""Ditto (Li et al., "Ditto: fair and robust federated learning through personalization", ICML 2021)."""

from __future__ import annotations

import numpy as np

from ground.arrays import Array
from tasks.contract import Task
from tasks.learners.contract import Visit
from tasks.learners.model import (
    generator_from,
    load_vector,
    mean_gradient,
    model_from,
    seed_from,
    torch_seed,
    vector_of,
)
from tasks.learners.strategies.contract import Strategy
from tasks.study import Training


class Ditto(Strategy):
    """FedAvg for everybody, and beside it a model for each hospital that stays near the shared one.

    The personal model v minimises F(v) + λ/2·‖v − w‖² (equation 1; algorithm 1, line 7), λ being
    `proximal-strength`. It is trained on exact gradients because it never leaves the hospital; its
    metrics, where they leave, are as little covered by ε as those of any other model.
    """

    def personalise(self, task: Task, training: Training, visit: Visit) -> dict[str, Array]:
        """As many full steps on the personal objective as the round has local ones."""
        shared = visit.published["model"]
        model = model_from(task, visit.memory.get("personal", shared)).train()
        everyone = np.arange(len(visit.patients), dtype=np.int64)
        with torch_seed(seed_from(visit.stream)):
            generator = generator_from(visit.stream)
            for _ in range(training.local_steps):
                here = vector_of(model)
                gradient = mean_gradient(task, model, *visit.patients.batch(everyone, generator)).numpy()
                gradient = gradient + training.proximal_strength * (here - shared)
                load_vector(model, (here - training.learning_rate * gradient).astype(np.float32))
        return {"personal": vector_of(model)}
