"""Dice and cross-entropy of each patient, also where only the left cavity is labelled.

Where a pixel is known not to be the left cavity and no more, its probability is the sum of those of the other
three classes (marginal loss, Shi et al. 2021); Dice is then that of the left cavity alone.
"""

from __future__ import annotations

import torch
from torch import Tensor

from tasks.hearts.patients import BACKGROUND, LEFT, MYOCARDIUM, NOT_LEFT, RIGHT

CLASSES = 4
STRUCTURES = (LEFT, MYOCARDIUM, RIGHT)
SMOOTH = 1.0  # pixels; where a structure is absent, predicting none of it is right


def loss(outputs: Tensor, targets: Tensor) -> Tensor:
    """One number a patient, shape (patient,), of logits (patient, 4, Y, X) and targets (patient, Y, X)."""
    unknown = targets == NOT_LEFT
    logs = outputs.log_softmax(1)
    others = logs[:, [BACKGROUND, MYOCARDIUM, RIGHT]].logsumexp(1)
    known = targets.long().masked_fill(unknown, BACKGROUND)
    right = logs.gather(1, known[:, None])[:, 0]
    entropy = -torch.where(unknown, others, right).mean((1, 2))
    truth = torch.stack([targets == each for each in STRUCTURES], 1).to(outputs.dtype)
    found = logs[:, STRUCTURES].exp()
    overlap = 2 * (found * truth).sum((2, 3)) + SMOOTH
    missed = 1 - overlap / (found.sum((2, 3)) + truth.sum((2, 3)) + SMOOTH)  # (patient, structure)
    whole = ~unknown.flatten(1).any(1)
    return entropy + torch.where(whole, missed.mean(1), missed[:, 0])
