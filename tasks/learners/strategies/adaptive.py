"""FedAdam and FedYogi (Reddi et al., "Adaptive federated optimization", ICLR 2021, algorithm 2).

The arithmetic is Flower's own. A Flower strategy averages replies and then steps; under a secure sum only
the mean is known, so it is handed one reply, which carries the mean. Its moments are put in from the slots
and read back afterwards, which makes a pure function of it.
"""

from __future__ import annotations

import numpy as np
from flwr.app import DEFAULT_TTL, ArrayRecord, Message, Metadata, MetricRecord, RecordDict
from flwr.app import Array as FlowerArray
from flwr.serverapp.strategy import FedAdam, FedYogi
from flwr.serverapp.strategy.fedopt import FedOpt

from ground.arrays import Array
from tasks.learners.contract import State
from tasks.learners.strategies.contract import Strategy
from tasks.study import Training

DEFAULT_SERVER_LEARNING_RATE = 0.1


class Adaptive(Strategy):
    """A server optimiser with first and second moments of the mean change of the model."""

    def __init__(self, optimiser: type[FedAdam] | type[FedYogi]) -> None:
        self._optimiser = optimiser

    def slots(self, model: Array) -> dict[str, Array]:
        """Both moments, and how many rounds they have seen."""
        return {"first": np.zeros_like(model), "second": np.zeros_like(model), "seen": np.zeros(1)}

    def update(self, state: State, change: Array, training: Training, *, spare: bool = False) -> State:  # noqa: ARG002
        """X ← x + η·m/(√v + τ), with Flower's own β₁ = 0.9, β₂ = 0.99, τ = 10⁻³."""
        rate = training.server_learning_rate or DEFAULT_SERVER_LEARNING_RATE
        optimiser: FedOpt = self._optimiser(eta=rate)
        optimiser.current_arrays = {"model": state.model}
        optimiser.m_t = {"model": state.slots["first"]}
        optimiser.v_t = {"model": state.slots["second"]}
        seen = int(state.slots["seen"][0])
        mean = (state.model + change).astype(state.model.dtype)
        arrays, _ = optimiser.aggregate_train(seen + 1, [_reply(mean)])
        if arrays is None:
            raise RuntimeError("Flower's strategy returned no arrays for a valid reply")
        model = arrays["model"].numpy().astype(state.model.dtype)
        return State(model, state.slots).with_slots(
            first=optimiser.m_t["model"], second=optimiser.v_t["model"], seen=np.asarray([seen + 1.0])
        )


def _reply(mean: Array) -> Message:
    """One message as a hospital would send it, carrying the mean."""
    content = RecordDict(
        {
            "arrays": ArrayRecord({"model": FlowerArray(mean)}),
            "metrics": MetricRecord({"num-examples": 1.0}),
        }
    )
    metadata = Metadata(1, "", 1, 0, "", "", created_at=0.0, ttl=DEFAULT_TTL, message_type="train")
    return Message(content=content, metadata=metadata)  # type: ignore[call-overload, no-any-return]
