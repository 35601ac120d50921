"""The model of a study: weights of both tables, and the imaging that they predict from genotypes.

With z the standardised genotypes of a patient, v_k and u_k the weights of component k:

    score   t_k = z·v_k          prediction   x̂ = μ + (Σ_k b_k t_k u_k)·σ,   b_k = s_k / Σ t_k²

so each component's imaging score is regressed on its genetic one (partial least squares regression).
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from tasks.imaging_genetics.options import Options

COLUMNS = 1 << 16


class Projection(nn.Module):
    """Weights and standardisation, each a parameter, so that all of it is in the model's file.

    Attributes:
        imaging: u, shape (component, phenotype), unit rows.
        genetics: v, shape (component, variant), unit rows.
        slope: b, shape (component,).
        strength: s, the singular values, shape (component,).
        p_value: of each component, by permutation; 0 where there was none.
        reliability: (of u, of v), the mean |cosine| between halves, shape (2, component); 0 where unknown.
        phenotypes: (μ, 1/(σ√p)), shape (2, phenotype).
        variants: the same of the genotypes, shape (2, variant).

    """

    def __init__(self, options: Options) -> None:
        super().__init__()
        p, q, k = options.phenotypes, options.variants, options.components
        self.imaging = nn.Parameter(torch.randn(k, p) / p**0.5)
        self.genetics = nn.Parameter(torch.randn(k, q) / q**0.5)
        self.slope = nn.Parameter(torch.ones(k))
        self.strength = nn.Parameter(torch.zeros(k))
        self.p_value = nn.Parameter(torch.zeros(k))
        self.reliability = nn.Parameter(torch.zeros(2, k))
        self.phenotypes = nn.Parameter(torch.stack([torch.zeros(p), torch.full((p,), p**-0.5)]))
        self.variants = nn.Parameter(torch.stack([torch.ones(q), torch.full((q,), q**-0.5)]))

    def scores(self, genotypes: Tensor) -> Tensor:
        """t, shape (patient, component), of int8 genotypes of shape (patient, variant)."""
        found = torch.zeros(len(genotypes), len(self.genetics))
        mean, inverse = self.variants
        for start in range(0, genotypes.shape[1], COLUMNS):  # never all of them as floats
            some = slice(start, start + COLUMNS)
            cells = genotypes[:, some].to(torch.float32)
            centred = torch.where(genotypes[:, some] < 0, 0.0, (cells - mean[some]) * inverse[some])
            found = found + centred @ self.genetics[:, some].T
        return found

    def imaging_scores(self, phenotypes: Tensor) -> Tensor:
        """The imaging's own, shape (patient, component), of floats of shape (patient, phenotype)."""
        mean, inverse = self.phenotypes
        found: Tensor = torch.nan_to_num((phenotypes - mean) * inverse) @ self.imaging.T
        return found

    def forward(self, genotypes: Tensor) -> Tensor:
        """The phenotypes that the genotypes predict, shape (patient, phenotype)."""
        mean, inverse = self.phenotypes
        deviation = torch.where(inverse == 0, 0.0, 1.0 / torch.where(inverse == 0, 1.0, inverse))
        predicted = mean + ((self.scores(genotypes) * self.slope) @ self.imaging) * deviation
        # What is only reported has a part in no prediction, yet has a gradient: zero.
        said: Tensor = self.strength.sum() + self.p_value.sum() + self.reliability.sum()
        whole: Tensor = predicted + 0.0 * said
        return whole


def loss(outputs: Tensor, targets: Tensor) -> Tensor:
    """Mean squared error over the phenotypes that are known, shape (patient,)."""
    error = torch.where(torch.isnan(targets), 0.0, outputs - torch.nan_to_num(targets))
    return (error**2).mean(dim=1)


def metrics(outputs: Tensor, targets: Tensor) -> dict[str, float]:
    """How well genotypes predict imaging in these patients; NaN where nothing is predicted.

    `correlation` is that of the leading direction of the prediction with the same direction of the imaging:
    of the first component's scores, nearly. `explained` is the share of the imaging's variance, over all
    phenotypes; it is negative where the patients' own mean predicts better.
    """
    predicted, real = outputs.to(torch.float64), targets.to(torch.float64)
    real = torch.where(torch.isnan(real), torch.nanmean(real, dim=0, keepdim=True), real).nan_to_num()
    centred, own = predicted - predicted.mean(dim=0), real - real.mean(dim=0)
    undefined = {"correlation": float("nan"), "explained": float("nan")}
    if len(own) < 3 or float(centred.norm()) <= 1e-12 * float(predicted.norm()) or float(own.norm()) == 0.0:
        return undefined
    kernel = centred @ centred.T
    _, vectors = torch.linalg.eigh(kernel)
    direction = centred.T @ vectors[:, -1]
    correlation = np.corrcoef((centred @ direction).numpy(), (own @ direction).numpy())[0, 1]
    explained = 1.0 - float(((real - predicted) ** 2).sum() / (own**2).sum())
    return {"correlation": float(correlation), "explained": explained}
