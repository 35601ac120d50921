"""What a trained model says: latent space, a missing channel with its uncertainty, importance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from tasks.channels.joint import Floats, Variable
from tasks.heterogeneous.likelihoods import COPIES, expected
from tasks.heterogeneous.model import LOG_ALPHAS, MultiChannel

# A dimension that is dropped less often than this is kept: the threshold of Antelmi et al. 2019.
KEPT = 0.2


@dataclass(frozen=True)
class Reconstruction:
    """A channel as it is predicted from others.

    Attributes:
        names: of its features; a category has one for each level.
        mean: shape (patient, feature), in the study's unit; of 0 or 1 and of a level the probability, of a
            genotype the expected copies. Where a logarithm was taken it is the median.
        low, high: the central 90 % of what is predicted, shape (patient, feature); NaN for a category.

    """

    names: tuple[str, ...]
    mean: Floats
    low: Floats
    high: Floats


@dataclass(frozen=True)
class Weight:
    """How much one variable weighs in the prediction: the change of the logit for one step of it.

    A step is one scale of a continuous variable, one allele, or 0 becoming 1; of a category, the widest
    difference between two levels. Exact, since encoders and read-out are linear, for a patient who has every
    channel.
    """

    channel: str
    variable: str
    logit: float


def latent(model: MultiChannel, inputs: Tensor, channels: Sequence[str] | None = None) -> Floats:
    """The joint code of each patient, shape (patient, dimension), from these channels or all."""
    with torch.no_grad():
        codes, has = model.encode(inputs)
        if channels is not None:
            has = has * torch.tensor([float(name in channels) for name in model.joint.names])
        space: Floats = model.together(codes, has).double().numpy()
    return space


def kept(model: MultiChannel, threshold: float = KEPT) -> int:
    """How many dimensions carry something."""
    return int((model.dropout() < threshold).sum())


def reconstruct(model: MultiChannel, inputs: Tensor, channel: str) -> Reconstruction:
    """That channel of each patient, from all others that she has and never from itself.

    Its variance is that of the measurement and, through the linear decoder, that of the code, α z². Raises
    KeyError for a channel that the study does not have.
    """
    variables = dict(model.joint.channels)[channel]
    code = latent(model, inputs, [name for name in model.joint.names if name != channel])
    own = model.channel(channel)
    weight, bias = (each.detach().double().numpy() for each in (own.decoder.weight, own.decoder.bias))
    alpha = np.exp(np.clip(model.log_alpha.values.weight.detach().double().numpy()[:, 0], *LOG_ALPHAS))
    predicted = code @ weight.T + bias
    from_code = (code**2 * alpha) @ (weight.T**2)
    mean = expected(predicted, variables)
    measured = _noise(model, channel, variables, mean)
    deviation = np.sqrt(from_code + measured)
    names, low, high = [], np.full(mean.shape, np.nan), np.full(mean.shape, np.nan)
    start = 0
    for variable in variables:
        here = slice(start, start + variable.width)
        if variable.kind == "gaussian":
            low[:, here] = variable.measured(mean[:, here] - 1.645 * deviation[:, here])
            high[:, here] = variable.measured(mean[:, here] + 1.645 * deviation[:, here])
            mean[:, here] = variable.measured(mean[:, here])
        names += [f"{variable.name} = {level}" for level in variable.levels] or [variable.name]
        start += variable.width
    return Reconstruction(tuple(names), mean, low, high)


def _noise(model: MultiChannel, channel: str, variables: tuple[Variable, ...], mean: Floats) -> Floats:
    """The variance of the measurement itself, shape (patient, feature)."""
    learned, noise, start = model.channel(channel).log_variance, mean * 0.0, 0
    own = iter([] if learned is None else np.exp(learned.values.weight.detach().double().numpy()[:, 0]))
    for variable in variables:
        if variable.kind == "gaussian":
            noise[:, start] = next(own)
        elif variable.kind == "genotype":
            noise[:, start] = mean[:, start] * (1.0 - mean[:, start] / COPIES)
        start += variable.width
    return noise


def importance(model: MultiChannel) -> list[Weight]:
    """Every variable by how much it weighs in the prediction, the heaviest first."""
    joint = model.joint
    with torch.no_grad():
        ones = torch.ones(1, 1)
        trust = [torch.nn.functional.softplus(model.channel(name).trust(ones))[0] for name in joint.names]
        everything = 1.0 + torch.stack(trust).sum(dim=0)
        weights = []
        for (name, variables), own in zip(joint.channels, trust, strict=True):
            reads = (model.read_out.weight[0] * own / everything) @ model.channel(name).encoder.weight
            start = 0
            for variable in variables:
                effects = reads[start : start + variable.width]
                wide = effects.max() - effects.min() if variable.kind == "categorical" else effects[0]
                weights.append(Weight(name, variable.name, float(wide)))
                start += variable.width
    return sorted(weights, key=lambda each: -abs(each.logit))
