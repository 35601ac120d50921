"""How well a model finds the ventricles of each patient.

- Dice over all slices of a patient at both phases together; of myocardium and right cavity where labelled.
- 95 % Hausdorff distance of the left cavity in mm: in each slice the larger of the two directed 95th
  percentiles between borders (as MONAI defines it), averaged over a patient's slices that show the cavity.
  Where the model finds none, it counts as if the answer had been the one pixel in the cavity's middle.
- Absolute error of the end-diastolic volume in mL by the method of discs, where the source says how large a
  pixel is and how far slices lie apart.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.spatial.distance import cdist
from torch import Tensor, nn

from tasks.hearts.patients import DIASTOLE, LEFT, MYOCARDIUM, RIGHT, Heart, hearts_of
from tasks.patients import Patients
from tasks.ventricle_segmentation.model import Masks, predicted

HEADLINE = "dice"
DICE = {HEADLINE: LEFT, "dice_myocardium": MYOCARDIUM, "dice_right": RIGHT}
PERCENTILE = 95.0

Mask = npt.NDArray[np.bool_]
Values = npt.NDArray[np.float64]


def per_patient(net: nn.Module, patients: Patients) -> dict[str, Values]:
    """Each metric of each patient, (patient,), NaN where it is undefined."""
    hearts = hearts_of(patients)
    rows = [of_heart(found, heart) for found, heart in zip(predicted(net, hearts), hearts, strict=True)]
    names = (*DICE, "hd95_mm", "volume_error_ml")
    return {name: np.array([row[name] for row in rows], dtype=np.float64) for name in names}


def of_heart(found: Masks, heart: Heart) -> dict[str, float]:
    """The metrics of one patient whose pixels were found to be `found`, (item, Y, X)."""
    truth: Masks = heart.labels.numpy()
    known = {name: label for name, label in DICE.items() if label == LEFT or heart.is_whole}
    row = {name: float("nan") for name in DICE}
    row |= {name: dice(found == label, truth == label) for name, label in known.items()}
    distances = [
        hausdorff(one, other) for one, other in zip(found == LEFT, truth == LEFT, strict=True) if other.any()
    ]
    row["hd95_mm"] = heart.pixel_mm * float(np.mean(distances)) if distances else float("nan")
    volume = heart.spacing**2 * heart.gap / 1000  # mL a pixel
    here = heart.phase == DIASTOLE
    surplus = int((found[here] == LEFT).sum()) - int((truth[here] == LEFT).sum())
    row["volume_error_ml"] = abs(surplus) * volume if here.any() else float("nan")
    return row


def dice(found: Mask, truth: Mask) -> float:
    """Twice the overlap over the sum of both; NaN where there is neither."""
    both = int(found.sum()) + int(truth.sum())
    return 2 * int((found & truth).sum()) / both if both else float("nan")


def hausdorff(found: Mask, truth: Mask) -> float:
    """95 % Hausdorff distance in pixels of two regions (Y, X), of which the second has a pixel at least."""
    there = np.argwhere(_border(truth)).astype(np.float64)
    inside = np.argwhere(_border(found)) if found.any() else np.argwhere(truth).mean(0, keepdims=True)
    between = cdist(inside.astype(np.float64), there)
    sides = (between.min(0), between.min(1))
    return float(max(np.percentile(side, PERCENTILE) for side in sides))


def of_items(outputs: Tensor, targets: Tensor) -> dict[str, float]:
    """Dice of the left cavity over items alone, for who has no patients: logits (item, 4, Y, X)."""
    found: npt.NDArray[Any] = outputs.argmax(1).numpy()
    return {HEADLINE: dice(found == LEFT, targets.numpy() == LEFT)}


def _border(region: Mask) -> Mask:
    """Pixels of a region (Y, X) that have a neighbour, one of four, outside it or outside the picture."""
    padded = np.pad(region, 1)
    inner = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    border: Mask = region & ~inner
    return border
