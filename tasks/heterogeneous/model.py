"""The sparse multi-channel variational autoencoder, from the paper alone.

Antelmi, Ayache, Robert and Lorenzi, "Sparse Multi-Channel Variational Autoencoder for the Joint Analysis of
Heterogeneous Data", ICML 2019. Each channel c has a linear encoder, which gives a patient's code
q(z|x_c) = N(μ_c, α μ_c²), and a linear decoder, which predicts its values from any code. The bound on the
evidence is the mean over the channels that a patient has of

    E_q(z|x_c)[ Σ_d ln p(x_d|z) ] − KL( q(z|x_c) ‖ p(z) ),

with the sum over all channels d that she has: every channel is decoded from every other one's code. α, one a
dimension, is common to all channels; with the log-uniform prior p(|z|) ∝ 1/|z| it is variational dropout,
whose divergence Molchanov, Ashukha and Vetrov (ICML 2017, equation 14) approximate. A dimension whose dropout
rate α/(1+α) nears one carries nothing and is dropped.

Added to the paper: a joint code, the mean of the channels' codes weighted by how much each is trusted in each
dimension, with a prior of weight 1 (a product of experts; Wu and Goodman, NeurIPS 2018). While learning it is
made of a random part of what a patient has, so that it predicts what is missing. Diagnosis is read out of it.
"""

from __future__ import annotations

import math
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from tasks.channels.joint import Joint, Variable
from tasks.heterogeneous.likelihoods import features, gaussians, log_likelihood, widths

LOGIT, MINUS_EVIDENCE = 0, 1
# The constants of Molchanov et al. 2017.
K1, K2, K3 = 0.63576, 1.87320, 1.48695
FIRST_LOG_ALPHA = -3.0
LOG_ALPHAS = (-8.0, 8.0)


class Constants(nn.Module):
    """So many learned numbers, alike for every patient, in a layer whose gradients per patient are known."""

    def __init__(self, count: int, first: float) -> None:
        super().__init__()
        self.values = nn.Linear(1, count, bias=False)
        nn.init.constant_(self.values.weight, first)

    def forward(self, ones: Tensor) -> Tensor:
        """(patient, 1) -> (patient, count)."""
        rows: Tensor = self.values(ones)
        return rows


class Channel(nn.Module):
    """All that belongs to one channel, and that only those learn who have it."""

    def __init__(self, variables: tuple[Variable, ...], dimensions: int) -> None:
        super().__init__()
        width, continuous = widths(variables), gaussians(variables)
        self.encoder = nn.Linear(width, dimensions)
        self.trust = Constants(dimensions, math.log(math.e - 1.0))  # 1, through softplus
        self.decoder = nn.Linear(dimensions, width)
        self.log_variance = Constants(continuous, 0.0) if continuous else None
        for layer in (self.encoder, self.decoder):
            nn.init.zeros_(layer.bias)


class MultiChannel(nn.Module):
    """(patient, variable), NaN where not measured -> (patient, 2): logit of the target, minus the bound."""

    def __init__(self, joint: Joint, dimensions: int, share: float) -> None:
        """`share` of the bound is the joint code's."""
        super().__init__()
        self.joint, self.dimensions, self.share = joint, dimensions, share
        self.channels = nn.ModuleDict(
            {name: Channel(variables, dimensions) for name, variables in joint.channels}
        )
        self.log_alpha = Constants(dimensions, FIRST_LOG_ALPHA)
        self.read_out = nn.Linear(dimensions, 1)
        nn.init.zeros_(self.read_out.weight)
        nn.init.zeros_(self.read_out.bias)

    def forward(self, inputs: Tensor) -> Tensor:
        """Codes are drawn while learning, and are their means otherwise."""
        ones = inputs.new_ones(len(inputs), 1)
        codes, has = self.encode(inputs)
        used = has * torch.randint_like(has, 2) if self.training else has
        codes = torch.cat([codes, self.together(codes, used)[:, None, :]], dim=1)
        log_alpha = self.log_alpha(ones).clamp(*LOG_ALPHAS)
        if self.training:
            deviation = torch.exp(0.5 * log_alpha)[:, None, :] * codes.abs()
            codes = codes + deviation * torch.randn_like(codes)
        likelihood = self.likelihood(inputs, codes)
        each = (likelihood[:, :-1] * has).sum(dim=1) / has.sum(dim=1).clamp_min(1.0)
        mean = (1.0 - self.share) * each + self.share * likelihood[:, -1]
        evidence = mean - divergence(log_alpha).sum(dim=1)
        return torch.stack([self.read_out(codes[:, -1])[:, 0], -evidence], dim=1)

    def channel(self, name: str) -> Channel:
        """All that belongs to that channel."""
        return cast("Channel", self.channels[name])

    def encode(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """(patient, channel, dimension): each channel's mean code; (patient, channel): 1 where she has it."""
        codes, has = [], []
        for name, variables in self.joint.channels:
            values = inputs[:, self.joint.columns(name)]
            present = (~values.isnan()).any(dim=1).to(inputs.dtype)
            codes.append(self.channel(name).encoder(features(values, variables)) * present[:, None])
            has.append(present)
        return torch.stack(codes, dim=1), torch.stack(has, dim=1)

    def together(self, codes: Tensor, used: Tensor) -> Tensor:
        """The joint code of the channels `used`, shape (patient, dimension); 0 of none."""
        ones = codes.new_ones(len(codes), 1)
        trust = torch.stack([softplus(self.channel(name).trust(ones)) for name in self.joint.names], dim=1)
        weight = trust * used[:, :, None]
        return (weight * codes).sum(dim=1) / (1.0 + weight.sum(dim=1))

    def likelihood(self, inputs: Tensor, codes: Tensor) -> Tensor:
        """Of all that was measured of each patient under each of her codes, shape (patient, code)."""
        ones = inputs.new_ones(len(inputs), 1)
        total = inputs.new_zeros(codes.shape[:2])
        for name, variables in self.joint.channels:
            channel, values = self.channel(name), inputs[:, self.joint.columns(name)]
            spread = ones if channel.log_variance is None else channel.log_variance(ones)
            total = total + log_likelihood(values, channel.decoder(codes), spread, variables)
        return total

    def dropout(self) -> Tensor:
        """The rate α/(1+α) of each dimension, shape (dimension,): near 1 where it carries nothing."""
        return torch.sigmoid(self.log_alpha.values.weight.detach()[:, 0].clamp(*LOG_ALPHAS))

    def blocks(self) -> tuple[list[str], list[int]]:
        """Names of the blocks that are learned by different patients, and each parameter's, in its order.

        The common latent space by all, the read-out by those whose diagnosis is known, and each channel's by
        those who have it.
        """
        names = ["latent", "read-out", *self.joint.names]
        places = []
        for name, parameter in self.named_parameters():
            if not parameter.requires_grad:
                continue
            top, _, rest = name.partition(".")
            block = names.index(rest.partition(".")[0], 2) if top == "channels" else int(top == "read_out")
            places += [block] * parameter.numel()
        return names, places


def shrinkable(model: MultiChannel) -> list[bool]:
    """Which values of the parameters are weights on what was measured, or on the code that is read out."""
    layers = [model.channel(name).encoder for name in model.joint.names] + [model.read_out]
    weights = {id(layer.weight) for layer in layers}
    return [id(p) in weights for p in model.parameters() if p.requires_grad for _ in range(p.numel())]


def divergence(log_alpha: Tensor) -> Tensor:
    """KL of N(μ, αμ²) from the log-uniform prior, up to a constant: 0 where α is infinite."""
    return K1 - K1 * torch.sigmoid(K2 + K3 * log_alpha) + 0.5 * softplus(-log_alpha)
