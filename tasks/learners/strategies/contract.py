"""A strategy: what differs between FedAvg and its family, as pure functions.

The base class is FedAvg; another strategy overrides the few functions in which its paper departs from it.
Hospital side: `correction`, `settle`, `personalise`. Coordinator side: `slots`, `broadcast`, `payload_like`,
`absorb`, `update`. A strategy has no state of its own: slots live in `State`, memory in the visit.
"""

from __future__ import annotations

import numpy as np

from ground.arrays import Array, Arrays
from tasks.contract import Task
from tasks.learners.contract import State, Visit
from tasks.study import Training


class Strategy:
    """FedAvg (McMahan et al., AISTATS 2017, algorithm 1): the weighted mean of the hospitals' updates."""

    def slots(self, model: Array) -> dict[str, Array]:  # noqa: ARG002
        """What the coordinator remembers between rounds, before the first."""
        return {}

    def broadcast(self, state: State) -> dict[str, Array]:  # noqa: ARG002
        """What is sent with the model."""
        return {}

    def correction(self, training: Training, here: Array, visit: Visit) -> Array | float:  # noqa: ARG002
        """What is added to each local gradient at the parameters `here`, shape (parameter,)."""
        return 0.0

    def settle(
        self,
        training: Training,  # noqa: ARG002
        visit: Visit,
        end: Array,
    ) -> tuple[dict[str, Array], dict[str, Array]]:
        """What is sent, and what is kept, once local training has ended at the parameters `end`.

        The first entry sent is "model", the change of the parameters; each entry has shape (parameter,).
        """
        return {"model": end - visit.published["model"]}, {}

    def personalise(self, task: Task, training: Training, visit: Visit) -> dict[str, Array]:  # noqa: ARG002
        """A model of the hospital's own to keep, under "personal"; empty where there is none."""
        return {}

    def payload_like(self, state: State) -> Arrays:
        """Names and shapes of what `settle` sends."""
        return {"model": state.model}

    def absorb(self, state: State, extra: Arrays) -> State:  # noqa: ARG002
        """The state after the mean of what was sent beside the model."""
        return state

    def update(self, state: State, change: Array, training: Training, *, spare: bool = False) -> State:
        """The state after the mean change of the model: x ← x + η·Δ, η = 1 unless the study sets it.

        With `spare` nobody needs the change afterwards, and the next model may take its memory.
        """
        rate = training.server_learning_rate or 1.0
        if spare and change.dtype == state.model.dtype:
            step = change if rate == 1.0 else np.multiply(change, rate, out=change)
            return State(np.add(state.model, step, out=step), state.slots)
        step = change if rate == 1.0 else rate * change
        return State((state.model + step).astype(state.model.dtype, copy=False), state.slots)
