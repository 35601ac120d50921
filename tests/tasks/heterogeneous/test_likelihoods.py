from __future__ import annotations

import numpy as np
import torch
from scipy import stats
from torch.distributions import Bernoulli, Binomial, Categorical

from tasks.channels.joint import Variable
from tasks.heterogeneous.likelihoods import expected, features, log_likelihood

MIXED = (
    Variable("tau"),
    Variable("male", "bernoulli"),
    Variable("e4", "genotype"),
    Variable("site", "categorical", levels=("a", "b", "c")),
)


def test_each_kind_has_the_likelihood_of_its_name() -> None:
    torch.manual_seed(1)
    values = torch.tensor([[0.3, 1.0, 2.0, 1.0], [-1.2, 0.0, 1.0, 2.0]])
    predicted, spread = torch.randn(2, 3, 6), torch.tensor([[0.4], [0.4]])
    found = log_likelihood(values, predicted, spread, MIXED)
    for patient in range(2):
        for code in range(3):
            p, v = predicted[patient, code], values[patient]
            parts = [
                stats.norm.logpdf(float(v[0]), float(p[0]), np.exp(0.2)),
                float(Bernoulli(logits=p[1]).log_prob(v[1])),
                float(Binomial(2, logits=p[2]).log_prob(v[2])),
                float(Categorical(logits=p[3:]).log_prob(v[3])),
            ]
            np.testing.assert_allclose(float(found[patient, code]), sum(parts), rtol=1e-5)


def test_what_is_missing_says_nothing() -> None:
    predicted, spread = torch.randn(1, 2, 6), torch.zeros(1, 1)
    nothing = torch.full((1, 4), float("nan"))
    assert log_likelihood(nothing, predicted, spread, MIXED).tolist() == [[0.0, 0.0]]
    assert features(nothing, MIXED).tolist() == [[0.0] * 6]
    plain = (Variable("x"), Variable("y"))
    half = torch.tensor([[1.0, float("nan")]])
    one = log_likelihood(half, torch.zeros(1, 1, 2), torch.zeros(1, 2), plain)
    np.testing.assert_allclose(float(one), stats.norm.logpdf(1.0), rtol=1e-6)


def test_the_expected_value_of_each_kind() -> None:
    predicted = np.asarray([[0.7, 0.0, 0.0, 1.0, 1.0, 1.0]])
    np.testing.assert_allclose(expected(predicted, MIXED), [[0.7, 0.5, 1.0, 1 / 3, 1 / 3, 1 / 3]])
