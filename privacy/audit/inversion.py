"""What a patient looked like, from gradients: inversion by matching them.

"Deep leakage from gradients" (Zhu, Liu and Han, NeurIPS 2019) searches for inputs whose gradient is the one
that was observed; Geiping, Bauermeister, Dröge and Moeller ("Inverting gradients", NeurIPS 2020) add a prior
over inputs. Where noise is known both terms have their weights (Balunović, Dimitrov, Staab and Vechev,
"Bayesian framework for gradient leakage", ICLR 2022, equation 6): the most likely input is the minimum of

    ‖Σ_k clip(∇ loss(x_k)) − observed‖² / (2·noise²) + ½ Σ_k ‖(x_k − mean)/spread‖².

So a strong attacker whom noise leaves nothing falls back to the population's mean, and does no worse than
somebody who never saw an update.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

Loss = Callable[[Tensor, Tensor], Tensor]

STEPS = 200
# What counts as exact, as a share of the observed values: it keeps the weight of a noiseless fit finite.
EXACT = 1e-3


@dataclass(frozen=True)
class Observed:
    """A sum of gradients, one of each patient.

    Attributes:
        vector: shape (parameter,), in the order of the model's trainable parameters.
        noise: standard deviation of what was added to each value; 0 where nothing was.
        clip: L2 bound of each patient's gradient; infinite where nothing is clipped.

    """

    vector: Tensor
    noise: float = 0.0
    clip: float = math.inf


@dataclass(frozen=True)
class Population:
    """What anybody knows of patients beforehand.

    Attributes:
        mean: shape (...) of one input.
        spread: standard deviation around it, same shape, positive.

    """

    mean: Tensor
    spread: Tensor

    @staticmethod
    def of(inputs: Tensor) -> Population:
        """From examples, shape (patient, ...). What hardly varies gets a twentieth of the usual spread."""
        values = inputs.double()
        spread = values.std(dim=0)
        usual = float(spread.square().mean().sqrt())
        return Population(values.mean(dim=0), spread.clamp_min(max(0.05 * usual, 1e-9)))

    def distance(self, first: Tensor, second: Tensor) -> float:
        """Root mean square difference of two inputs, in units of the population's spread."""
        return float((((first.double() - second.double()) / self.spread) ** 2).mean().sqrt())


def summed_gradient(model: nn.Module, loss: Loss, inputs: Tensor, targets: Tensor, clip: float) -> Tensor:
    """The sum over patients of their clipped gradients, shape (parameter,), differentiable in the inputs."""
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    total = torch.zeros(sum(p.numel() for p in parameters), dtype=inputs.dtype)
    for place in range(len(inputs)):
        one = loss(model(inputs[place : place + 1]), targets[place : place + 1]).sum()
        parts = torch.autograd.grad(one, parameters, create_graph=True)
        gradient = torch.cat([part.reshape(-1) for part in parts])
        if math.isfinite(clip):  # else the derivative of the factor below would be 0 times infinity
            gradient = gradient * (clip / gradient.norm().clamp_min(1e-12)).clamp_max(1.0)
        total = total + gradient
    return total


def invert(
    model: nn.Module,
    loss: Loss,
    observed: Observed,
    targets: Tensor,
    population: Population,
    steps: int = STEPS,
) -> Tensor:
    """The most likely inputs, one for each of the `targets`, shape (patient, ...), double precision.

    `loss` gives one number a patient; the attacker is granted the targets, and the number of patients. The
    search starts at the population's mean and goes by L-BFGS, as in Zhu et al. The model stays as it was.
    """
    twin = copy.deepcopy(model).double().eval()
    targets = targets.double() if targets.is_floating_point() else targets
    # In units of the observed values, so that the search works with numbers of ordinary size.
    size = max(float(observed.vector.double().square().mean().sqrt()), 1e-12)
    wanted = observed.vector.double() / size
    noise = max(observed.noise / size, EXACT)
    offsets = torch.zeros((len(targets), *population.mean.shape), dtype=torch.float64, requires_grad=True)
    search = torch.optim.LBFGS([offsets], max_iter=steps, history_size=20, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        inputs = population.mean + population.spread * offsets
        missing = summed_gradient(twin, loss, inputs, targets, observed.clip) / size - wanted
        # The sum of squares above, times noise².
        cost = missing.square().sum() / 2.0 + noise**2 * offsets.square().sum() / 2.0
        (offsets.grad,) = torch.autograd.grad(cost, [offsets])
        return cost.detach()

    search.step(closure)  # type: ignore[no-untyped-call]
    return (population.mean + population.spread * offsets).detach()
