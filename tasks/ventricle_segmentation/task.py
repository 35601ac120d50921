"""Both ventricles and the left one's muscle in short-axis slices, by a small U-Net."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from simulation.heart.anatomy.population import GROUPS
from simulation.heart.strata import recipes as of_stratum
from simulation.recipe import Recipe
from tasks.contract import Column, Task
from tasks.hearts import digital
from tasks.hearts.patients import hearts_of, split
from tasks.hearts.reader import hospitals, read_hospital
from tasks.patients import Patients
from tasks.ventricle_segmentation.augment import augment
from tasks.ventricle_segmentation.loss import loss
from tasks.ventricle_segmentation.metrics import HEADLINE, of_items, per_patient
from tasks.ventricle_segmentation.model import model
from tasks.ventricle_segmentation.pictures import gallery

SCHEMA = (
    Column("image", "short-axis slices from base to apex, at end-diastole and end-systole", "grey value"),
    Column(
        "label",
        "of each pixel: 0 background, 1 left cavity, 2 myocardium, 3 right cavity, 4 not the left cavity",
        categories=(0, 1, 2, 3, 4),
    ),
)
# What Sunnybrook's groups are called among digital hearts: heart failure with infarct, without one (dilated),
# hypertrophy, normal.
SAME_AS = {"HF-I": "infarct", "HF-NI": "dilated", "HYP": "hypertrophic", "N": "normal"}


def recipes(stratum: str, count: int, seed: int) -> list[Recipe]:
    """So many independent digital hearts of a group."""
    return of_stratum(f"group={stratum}", count, seed)


def stratify(patients: Patients) -> npt.NDArray[np.int64]:
    """The place of each patient's group among `GROUPS`, (patient,); -1 where it is unknown."""
    groups = [SAME_AS.get(heart.group, heart.group) for heart in hearts_of(patients)]
    places = [GROUPS.index(group) if group in GROUPS else -1 for group in groups]
    return np.array(places, dtype=np.int64)


TASK = Task(
    name="ventricle-segmentation",
    version=1,
    summary="left and right ventricle in short-axis slices; a U-Net",
    schema=SCHEMA,
    headline=HEADLINE,
    model=model,
    loss=loss,
    metrics=of_items,
    per_patient=per_patient,
    augment=augment,
    gallery=gallery,
    hospitals=hospitals,
    read=read_hospital,
    read_labelled=read_hospital,
    split=split,
    strata=GROUPS,
    recipes=recipes,
    simulate=digital.simulate,
    export=digital.export,
    stratify=stratify,
    guide=(Path(__file__).parent / "README.md").read_text(encoding="utf-8"),
)
