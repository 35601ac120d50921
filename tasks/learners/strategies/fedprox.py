"""FedProx (Li et al., "Federated optimization in heterogeneous networks", MLSys 2020)."""

from __future__ import annotations

from ground.arrays import Array
from tasks.learners.contract import Visit
from tasks.learners.strategies.contract import Strategy
from tasks.study import Training


class FedProx(Strategy):
    """FedAvg whose local objective is h(w) = F(w) + μ/2·‖w − w_t‖² (equation 2); μ is `proximal-strength`."""

    def correction(self, training: Training, here: Array, visit: Visit) -> Array | float:
        """The gradient of the proximal term: μ·(w − w_t)."""
        return training.proximal_strength * (here - visit.published["model"])
