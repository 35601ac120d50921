"""What a model does for a patient, in a picture: image, truth and answer, at end-diastole and end-systole."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from torch import nn

from tasks.contract import Picture
from tasks.hearts.patients import DIASTOLE, SYSTOLE, Heart, HeartPatients, hearts_of
from tasks.patients import Patients
from tasks.ventricle_segmentation.metrics import HEADLINE, per_patient
from tasks.ventricle_segmentation.model import Masks, predicted

ZOOM = 2
AROUND = 16  # pixels of the picture's edge that are left away
BRIGHT = 1.0  # the grey value that is shown white
# From our labels to those that the outlines are coloured by: 1 right cavity, 2 myocardium, 3 left cavity.
OUTLINES = np.array([0, 3, 2, 1, 0], dtype=np.uint8)


def gallery(net: nn.Module, patients: Patients) -> list[Picture]:
    """The best, the median and the worst patient by Dice of the left cavity; fewer where there are fewer."""
    hearts = hearts_of(patients)
    scores = per_patient(net, HeartPatients(hearts))[HEADLINE]
    order = [int(each) for each in np.argsort(-scores, kind="stable") if not np.isnan(scores[each])]
    places = {"best": 0, "median": len(order) // 2, "worst": len(order) - 1}
    shown: dict[int, str] = {}
    for name, place in places.items() if order else ():
        shown.setdefault(order[place], name)
    pictures = []
    for index, name in shown.items():
        [found] = predicted(net, hearts[index : index + 1])
        title = f"{name} of {len(order)}, Dice {scores[index]:.2f}".replace("0.", ".", 1)
        pictures.append(Picture(title, drawn(hearts[index], found)))
    return pictures


def drawn(heart: Heart, found: Masks) -> bytes:
    """A PNG: a row a phase, in it the slice in the middle plain, with the truth, and with what was found."""
    from simulation.heart.export.pictures import grey, outlined, png

    rows = []
    for phase in (DIASTOLE, SYSTOLE):
        items = np.flatnonzero(heart.phase == phase)
        if not len(items):
            continue
        item = int(items[len(items) // 2])
        plain = np.kron(grey(heart.images[item].numpy(), 0.0, BRIGHT), np.ones((ZOOM, ZOOM, 1), np.uint8))
        outlines = [OUTLINES[each[item]] for each in (heart.labels.numpy(), found)]
        tiles = [plain, *(outlined(plain, _zoomed(each)) for each in outlines)]
        edge = AROUND * ZOOM
        rows.append(np.concatenate([tile[edge:-edge, edge:-edge] for tile in tiles], axis=1))
    return png(np.concatenate(rows, axis=0))


def _zoomed(labels: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    return np.kron(labels, np.ones((ZOOM, ZOOM), np.uint8))
