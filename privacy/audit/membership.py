"""Was this patient in the training data? The likelihood-ratio attack (LiRA; Carlini, Chien, Nasr, Song,
Terzis and Tramèr, "Membership inference attacks from first principles", IEEE S&P 2022).

Many models are trained, each on a random half of the patients. For each patient the models that saw her give
one distribution of scores, those that did not another; both are taken as Gaussian (algorithm 1, online).
Each model in turn is the one that is attacked, with all others as its shadows. Patients and models are both
resampled for the interval (the pigeonhole bootstrap; Owen, Annals of Applied Statistics 2007).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import norm, rankdata

from privacy.randomness import Stream, seeded_key

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

# With fewer scores than this on each side, one spread is estimated over all patients (Carlini et al., VI-C).
ENOUGH_FOR_A_SPREAD = 64
LEAST_SPREAD = 1e-6
LEAST_LOSS = 1e-12
LOW_FALSE_POSITIVES = 0.01
RESAMPLES = 400


@dataclass(frozen=True)
class Membership:
    """How well membership was told, over all attacked models.

    Attributes:
        auc: area under the ROC curve, mean over the attacked models; .5 is guessing.
        low: lower end of its interval.
        high: upper end.
        confidence: of the interval.
        true_positives: share of members found at a false positive rate of `false_positives`.
        false_positives: that rate.
        targets: how many models were attacked.
        patients: about how many patients was guessed, in each.

    """

    auc: float
    low: float
    high: float
    confidence: float
    true_positives: float
    false_positives: float
    targets: int
    patients: int


def confidence_scores(losses: Floats) -> Floats:
    """log(p/(1−p)) with p = e^−loss, the shape that is nearly Gaussian (Carlini et al., equation 5).

    Any shape. Where a loss is negative it is no negative log-likelihood, and minus the loss is the score.
    """
    if (losses < 0).any():
        return -losses
    safe = np.maximum(losses, LEAST_LOSS)
    # log(p/(1−p)) = −log(e^loss − 1) = −loss − log(1 − e^−loss), which does not overflow.
    return np.asarray(-safe - np.log(-np.expm1(-safe)), dtype=np.float64)


def likelihood_ratios(scores: Floats, inside: Bools, target: int) -> Floats:
    """How much likelier each patient's score is for a member, as a log ratio, shape (patient,).

    `scores` and `inside` have shape (model, patient); `target` is the model that is attacked. A patient whom
    fewer than two shadows saw, or fewer than two did not, is given 0.
    """
    others = np.arange(len(scores)) != target
    seen, unseen = inside[others], ~inside[others]
    enough = min(seen.sum(axis=0).min(), unseen.sum(axis=0).min()) >= ENOUGH_FOR_A_SPREAD
    log_densities = []
    for chosen in (seen, unseen):
        count = np.maximum(chosen.sum(axis=0), 1)
        mean = np.where(chosen, scores[others], 0.0).sum(axis=0) / count
        squares = np.where(chosen, (scores[others] - mean) ** 2, 0.0).sum(axis=0)
        variance = squares / np.maximum(count - 1, 1)
        if not enough:
            variance = np.full_like(mean, squares.sum() / max(1, int((count - 1).sum())))
        spread = np.maximum(np.sqrt(variance), LEAST_SPREAD)
        log_densities.append(norm.logpdf(scores[target], mean, spread))
    known = (seen.sum(axis=0) >= 2) & (unseen.sum(axis=0) >= 2)
    return np.asarray(np.where(known, log_densities[0] - log_densities[1], 0.0), dtype=np.float64)


def attack(ratios: Floats, inside: Bools, confidence: float = 0.95) -> Membership:
    """The attack's success from its ratios for each attacked model, both of shape (model, patient).

    Raises ValueError where a model saw all of the patients or none: there is nothing to tell apart.
    """
    if inside.all(axis=1).any() or (~inside).all(axis=1).any():
        raise ValueError("every attacked model needs patients whom it saw and patients whom it did not")
    low, high = _interval(ratios, inside, confidence)
    threshold = np.quantile(ratios[~inside], 1.0 - LOW_FALSE_POSITIVES, method="higher")
    return Membership(
        auc=float(areas(ratios, inside).mean()),
        low=low,
        high=high,
        confidence=confidence,
        true_positives=float((ratios[inside] > threshold).mean()),
        false_positives=LOW_FALSE_POSITIVES,
        targets=len(ratios),
        patients=ratios.shape[1],
    )


def areas(ratios: Floats, inside: Bools) -> Floats:
    """The area under the ROC curve of each row, shape (model,), from ranks (Mann and Whitney 1947).

    NaN where a row holds members alone, or none.
    """
    ranks = rankdata(ratios, axis=1)
    members = inside.sum(axis=1)
    others = inside.shape[1] - members
    above = np.where(inside, ranks, 0.0).sum(axis=1) - members * (members + 1) / 2.0
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(above / (members * others), dtype=np.float64)


def largest_auc(epsilon: float, delta: float) -> float:
    """The most that (ε, δ)-DP allows any attacker about one patient.

    The area above the trade-off curve max(0, 1−δ−e^ε·α, e^−ε(1−δ−α)) (Kairouz, Oh and Viswanath, ICML 2015,
    theorem 2.1): 1 − (1−δ)²/(1+e^ε).
    """
    return 1.0 - (1.0 - delta) ** 2 / (1.0 + math.exp(epsilon))


def _interval(ratios: Floats, inside: Bools, confidence: float) -> tuple[float, float]:
    """The percentile interval of the mean area, models and patients both drawn again with replacement."""
    models, patients = ratios.shape
    stream = Stream(seeded_key(0, "bootstrap"), models, patients)
    means = []
    for _ in range(RESAMPLES):
        rows = (stream.uniform(models) * models).astype(np.int64)
        columns = (stream.uniform(patients) * patients).astype(np.int64)
        drawn = np.ix_(rows, columns)
        found = areas(ratios[drawn], inside[drawn])
        if not np.isnan(found).all():
            means.append(float(np.nanmean(found)))
    tail = (1.0 - confidence) / 2.0
    low, high = np.quantile(means, [tail, 1.0 - tail])
    return float(low), float(high)
