"""How a gradient becomes a step at the hospital: plainly, or by Adam with moments that stay there."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn

from ground.arrays import Array, Arrays
from tasks.learners.model import load_vector, vector_of
from tasks.study import Optimiser


class Steps(Protocol):
    """One optimiser over a model's flat gradient."""

    def step(self, gradient: Array, learning_rate: float) -> None:
        """Move the model against a gradient of shape (parameter,)."""

    def memory(self) -> dict[str, Array]:
        """What to go on from in the next round; it never leaves the hospital."""


def optimiser_for(kind: Optimiser, model: nn.Module, memory: Arrays) -> Steps:
    """The optimiser of that kind, going on from what it remembered."""
    return Plain(model) if kind == "sgd" else Adam(model, memory)


class Plain:
    """w ← w − η·g."""

    def __init__(self, model: nn.Module) -> None:
        self._model = model

    def step(self, gradient: Array, learning_rate: float) -> None:
        """One step."""
        moved = vector_of(self._model) - learning_rate * gradient
        load_vector(self._model, moved.astype(np.float32))

    def memory(self) -> dict[str, Array]:
        """Nothing."""
        return {}


class Adam:
    """Adam (Kingma and Ba, ICLR 2015), torch's own, whose moments outlive the round.

    The shared model jumps between rounds, and the moments go on from those of this hospital's last step: what
    they estimate, the size of each gradient, changes slowly (Reddi et al. 2021, section 2, local Adam).
    """

    def __init__(self, model: nn.Module, memory: Arrays) -> None:
        self._flat = nn.Parameter(torch.from_numpy(vector_of(model)))
        self._model = model
        self._adam = torch.optim.Adam([self._flat], lr=1.0)
        if "adam.seen" in memory:
            self._adam.state[self._flat] = {
                "step": torch.tensor(float(memory["adam.seen"][0])),
                "exp_avg": _tensor(memory["adam.mean"]),
                "exp_avg_sq": _tensor(memory["adam.square"]),
            }

    def step(self, gradient: Array, learning_rate: float) -> None:
        """One step; the model's parameters follow the flat ones."""
        self._adam.param_groups[0]["lr"] = learning_rate
        self._flat.grad = _tensor(gradient)
        self._adam.step()
        load_vector(self._model, self._flat.detach().numpy())

    def memory(self) -> dict[str, Array]:
        """Both moments and how many steps they have seen."""
        state = self._adam.state[self._flat]
        return {
            "adam.mean": state["exp_avg"].numpy(),
            "adam.square": state["exp_avg_sq"].numpy(),
            "adam.seen": np.asarray([float(state["step"])], dtype=np.float32),
        }


def _tensor(values: Array) -> Tensor:
    return torch.from_numpy(np.array(values, dtype=np.float32))
