"""How likely a measured value is, given what the model predicts: one likelihood a kind of variable.

Gaussian with a learned variance a variable, Bernoulli, categorical, and for genotypes binomial: 0, 1 or 2
copies of an allele are two draws at its frequency (Hardy–Weinberg proportions). Missing values have none.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import log_softmax, logsigmoid

from tasks.channels.joint import Floats, Variable

COPIES = 2
LOG_2PI = math.log(2.0 * math.pi)
# Of a standardised value's variance: a variable that is predicted perfectly is still measured with noise.
LEAST_LOG_VARIANCE, MOST_LOG_VARIANCE = -7.0, 4.0


def features(values: Tensor, variables: tuple[Variable, ...]) -> Tensor:
    """What an encoder reads: (patient, variable) with NaN -> (patient, feature), 0 where missing.

    Continuous values as they are, 0/1 and alleles around their middle, categories as indicators.
    """
    if gaussians(variables) == len(variables):
        return values.nan_to_num(0.0)
    parts = []
    for number, variable in enumerate(variables):
        value = values[:, number]
        if variable.kind == "categorical":
            codes = torch.arange(len(variable.levels), dtype=values.dtype)
            is_level = (value[:, None] == codes).to(values.dtype) - 1.0 / len(variable.levels)
            parts.append(torch.where(value.isnan()[:, None], torch.zeros_like(is_level), is_level))
        else:
            middle = {"bernoulli": 0.5, "genotype": 1.0}.get(variable.kind, 0.0)
            parts.append((value - middle).nan_to_num(0.0)[:, None])
    return torch.cat(parts, dim=1)


def gaussians(variables: tuple[Variable, ...]) -> int:
    """How many of them are continuous."""
    return sum(variable.kind == "gaussian" for variable in variables)


def widths(variables: tuple[Variable, ...]) -> int:
    """How many features those variables have."""
    return sum(variable.width for variable in variables)


def log_likelihood(
    values: Tensor, predicted: Tensor, log_variance: Tensor, variables: tuple[Variable, ...]
) -> Tensor:
    """Of each patient under each code, shape (patient, code), summed over what was measured of her.

    `values` has shape (patient, variable), `predicted` (patient, code, feature), `log_variance` (patient,
    number of continuous variables).
    """
    terms, start, continuous = [], 0, 0
    if gaussians(variables) == len(variables):  # in one go
        kept = ~values.isnan()
        away = values.nan_to_num(0.0)[:, None, :] - predicted
        spread = log_variance.clamp(LEAST_LOG_VARIANCE, MOST_LOG_VARIANCE)[:, None, :]
        each = -0.5 * (away.square() * torch.exp(-spread) + spread + LOG_2PI)
        return (each * kept[:, None, :]).sum(dim=2)
    for number, variable in enumerate(variables):
        value = values[:, number, None]
        here = predicted[:, :, start : start + variable.width]
        spread = log_variance[:, continuous : continuous + 1]
        continuous += variable.kind == "gaussian"
        measured = ~value.isnan()
        known = value.nan_to_num(0.0)
        terms.append(_one(known, here, spread, variable) * measured)
        start += variable.width
    return torch.stack(terms).sum(dim=0)


def _one(value: Tensor, predicted: Tensor, log_variance: Tensor, variable: Variable) -> Tensor:
    """(patient, 1), (patient, code, width), (patient, 1) -> (patient, code)."""
    if variable.kind == "categorical":
        chosen = value.long()[:, :, None].expand(-1, predicted.shape[1], 1)
        return log_softmax(predicted, dim=2).gather(2, chosen)[:, :, 0]
    logit = predicted[:, :, 0]
    if variable.kind == "gaussian":
        spread = log_variance.clamp(LEAST_LOG_VARIANCE, MOST_LOG_VARIANCE)
        return -0.5 * ((value - logit).square() * torch.exp(-spread) + spread + LOG_2PI)
    draws = COPIES if variable.kind == "genotype" else 1
    ways = torch.where(value == 1, math.log(draws), 0.0)
    return value * logsigmoid(logit) + (draws - value) * logsigmoid(-logit) + ways


def expected(predicted: Floats, variables: tuple[Variable, ...]) -> Floats:
    """The mean that the likelihood says of each feature, shape (..., feature); of a category its shares."""
    parts, start = [], 0
    for variable in variables:
        here = predicted[..., start : start + variable.width]
        if variable.kind == "categorical":
            odds = np.exp(here - here.max(axis=-1, keepdims=True))
            here = odds / odds.sum(axis=-1, keepdims=True)
        elif variable.kind != "gaussian":
            here = (COPIES if variable.kind == "genotype" else 1) / (1.0 + np.exp(-here))
        parts.append(here)
        start += variable.width
    return np.concatenate(parts, axis=-1)
