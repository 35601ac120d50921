"""SCAFFOLD (Karimireddy et al., "Stochastic controlled averaging for federated learning", ICML 2020)."""

from __future__ import annotations

import numpy as np

from ground.arrays import Array, Arrays
from tasks.learners.contract import State, Visit
from tasks.learners.strategies.contract import Strategy
from tasks.study import Training


class Scaffold(Strategy):
    """Control variates undo the drift of local steps (algorithm 1, option II, all hospitals taking part).

    Hospitals are weighted by their patients, as in FedAvg, in both means; the paper weighs them equally.
    Under local noise the variates are made from noisy updates alone (DP-SCAFFOLD; Noble et al., AISTATS
    2022).
    """

    def slots(self, model: Array) -> dict[str, Array]:
        """The coordinator's control variate c, at first 0."""
        return {"control": np.zeros_like(model)}

    def broadcast(self, state: State) -> dict[str, Array]:
        """C travels with the model."""
        return {"control": state.slots["control"]}

    def correction(self, training: Training, here: Array, visit: Visit) -> Array | float:  # noqa: ARG002
        """C − c_i, line 10 of the algorithm."""
        return visit.published["control"] - self._own(visit)

    def settle(
        self, training: Training, visit: Visit, end: Array
    ) -> tuple[dict[str, Array], dict[str, Array]]:
        """Δy, Δc, and c_i⁺ = c_i − c + (x − y)/(K·η) to keep (line 12, option II)."""
        change = end - visit.published["model"]
        own = self._own(visit)
        travelled = change / (training.local_steps * training.learning_rate)
        renewed = (own - visit.published["control"] - travelled).astype(end.dtype)
        return {"model": change, "control": renewed - own}, {"control": renewed}

    def payload_like(self, state: State) -> Arrays:
        """Two vectors of the model's size."""
        return {"model": state.model, "control": state.slots["control"]}

    def absorb(self, state: State, extra: Arrays) -> State:
        """C ← c + mean Δc_i, line 17 with every hospital taking part."""
        control = (state.slots["control"] + extra["control"]).astype(state.model.dtype)
        return state.with_slots(control=control)

    def _own(self, visit: Visit) -> Array:
        return visit.memory.get("control", np.zeros_like(visit.published["model"]))
