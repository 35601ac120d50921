"""A small model: one rule for every segment, which sees its neighbours and the whole, one for the patient.

What tells dead muscle from weak muscle is that it moves worse than the rest of the same heart. So a segment
is judged by its own motion, by its difference from the heart's mean and from its neighbours, and by the
opposite wall, which a heart that is carried about moves by the same amount the other way. No norm over a
batch: about 4,000 parameters, each patient by herself.
"""

from __future__ import annotations

import math

import torch
from sklearn.metrics import balanced_accuracy_score, roc_auc_score
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits as cross_entropy

from simulation.heart.anatomy.segments import SEGMENTS
from simulation.heart.mechanics.tether import neighbours
from tasks.infarct.inputs import CHANNELS

HIDDEN, PASSED, JUDGED = 32, 16, 24
# The segment across the cavity, from 0; the apex has none and stands opposite to itself.
OPPOSITE = (3, 4, 5, 0, 1, 2, 9, 10, 11, 6, 7, 8, 14, 15, 12, 13, 16)
RINGS = (0,) * 6 + (1,) * 6 + (2,) * 4 + (3,)
RARE = 4.0  # what an infarcted segment weighs: one in five or so is, and both kinds shall count alike
LEAST = 0.2  # of the scaled motion that differences are related to


class SegmentModel(nn.Module):
    """(patient, 17, 2 × CHANNELS) to logits (patient, 1 + 17): of the patient, then of each segment."""

    def __init__(self) -> None:
        super().__init__()
        self.segment = nn.Sequential(
            nn.Linear(6 * CHANNELS + 4, HIDDEN), nn.GELU(), nn.Linear(HIDDEN, PASSED), nn.GELU()
        )
        self.judge = nn.Linear(PASSED, 1)
        self.patient = nn.Sequential(
            nn.Linear(3 * CHANNELS + 2 * PASSED + 2, JUDGED), nn.GELU(), nn.Linear(JUDGED, 1)
        )

    def forward(self, inputs: Tensor) -> Tensor:
        """Logits (patient, 1 + 17)."""
        value, known = inputs[..., :CHANNELS], inputs[..., CHANNELS:]
        count = known.sum(1, keepdim=True).clamp(min=1.0)
        mean = (value * known).sum(1, keepdim=True) / count
        away = (value - mean) * known
        spread = ((away**2).sum(1, keepdim=True) / count + 1e-4).sqrt()
        relative = away / mean.abs().clamp(min=LEAST)
        near = neighbours(inputs.device)
        around = away[:, near.flatten()].reshape(len(away), SEGMENTS, near.shape[1], CHANNELS).mean(2)
        across = away[:, list(OPPOSITE)]
        ring = torch.eye(4, dtype=inputs.dtype, device=inputs.device)[list(RINGS)].expand(len(inputs), -1, -1)
        seen = torch.cat([value, known, away, relative, around, across, ring], dim=-1)
        passed = self.segment(seen)
        judged = self.judge(passed)[..., 0]
        whole = torch.cat(
            [
                mean[:, 0],
                spread[:, 0],
                known.mean(1),
                passed.mean(1),
                passed.amax(1),
                judged.mean(1, keepdim=True),
                torch.logsumexp(judged, 1, keepdim=True),
            ],
            dim=1,
        )
        return torch.cat([self.patient(whole), judged], dim=1)


def loss(outputs: Tensor, targets: Tensor) -> Tensor:
    """(patient,) cross-entropy of the patient, plus its mean over the segments whose truth is known."""
    known = (targets >= 0).to(outputs.dtype)
    truth = targets.clamp(min=0.0).to(outputs.dtype)
    weight = known * (1.0 + (RARE - 1.0) * truth)
    weight[:, 0] = known[:, 0]
    each = cross_entropy(outputs, truth, reduction="none") * weight
    return each[:, 0] + each[:, 1:].sum(1) / known[:, 1:].sum(1).clamp(min=1.0)


def metrics(outputs: Tensor, targets: Tensor) -> dict[str, float]:
    """Of patients: AUC, accuracy, log-likelihood; of segments whose truth is known: balanced accuracy, AUC.

    NaN where the truth is unknown or all alike.
    """
    outputs, targets = outputs.detach().double().cpu(), targets.double().cpu()
    who = targets[:, 0] >= 0
    logit, infarct = outputs[who, 0], targets[who, 0]
    segments = targets[:, 1:] >= 0
    judged, truth = outputs[:, 1:][segments], targets[:, 1:][segments]
    likelihood = -cross_entropy(logit, infarct).item() if len(infarct) else math.nan
    return {
        "auc": auc(logit, infarct),
        "accuracy": float(((logit > 0) == (infarct > 0)).double().mean()) if len(infarct) else math.nan,
        "log_likelihood": likelihood,
        "balanced_accuracy": balanced(judged, truth),
        "segment_auc": auc(judged, truth),
    }


def auc(score: Tensor, truth: Tensor) -> float:
    """Area under the ROC curve; NaN where the truth is all alike."""
    return float(roc_auc_score(truth.numpy(), score.numpy())) if _differ(truth) else math.nan


def balanced(score: Tensor, truth: Tensor) -> float:
    """Mean of sensitivity and specificity at a probability of one half; NaN where the truth is all alike."""
    if not _differ(truth):
        return math.nan
    return float(balanced_accuracy_score(truth.numpy() > 0, score.numpy() > 0))


def _differ(truth: Tensor) -> bool:
    return len(truth) > 0 and bool(truth.min() < truth.max())
