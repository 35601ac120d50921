"""One heart as short-axis slices at end-diastole and end-systole, and a hospital's worth of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from tasks.patients import Indices, Patients, PooledPatients

SIZE = 128  # rows and columns of every image
SPACING = 1.4  # mm between pixels that readers resample to, and that is assumed where a source does not say
GAP = 10.0  # mm between slices, assumed where a source does not say
# What a pixel can be labelled as. NOT_LEFT: not the left cavity; it may be any of the others.
BACKGROUND, LEFT, MYOCARDIUM, RIGHT, NOT_LEFT = range(5)
DIASTOLE, SYSTOLE = 0, 1


@dataclass(frozen=True, eq=False)
class Heart:
    """One patient: I items, each a slice at one of two phases. Sensitive.

    Attributes:
        images: (I, 128, 128) float32, grey values as `tasks.hearts.grey` scales them.
        labels: (I, 128, 128) uint8: 0 background, 1 left cavity, 2 myocardium, 3 right cavity, 4 anything but
            the left cavity.
        phase: (I,) int64, 0 at end-diastole, 1 at end-systole.
        level: (I,) int64, the slice's place from the base (0) towards the apex, the same at both phases.
        spacing: mm between pixels in the plane; NaN where the source does not say (`SPACING` is assumed).
        gap: mm between the middles of neighbouring slices; NaN where the source does not say (then `GAP`).
        group: of a pathology, or a digital patient's; "" where unknown.

    """

    images: Tensor
    labels: Tensor
    phase: npt.NDArray[np.int64]
    level: npt.NDArray[np.int64]
    spacing: float
    gap: float
    group: str = ""

    def __len__(self) -> int:
        """Number of items."""
        return len(self.images)

    @property
    def pixel_mm(self) -> float:
        """The spacing, or what is assumed of it."""
        return SPACING if np.isnan(self.spacing) else self.spacing

    @property
    def gap_mm(self) -> float:
        """The distance between slices, or what is assumed of it."""
        return GAP if np.isnan(self.gap) else self.gap

    @property
    def is_whole(self) -> bool:
        """Whether myocardium and right cavity are labelled too."""
        return not bool((self.labels == NOT_LEFT).any())


@dataclass(frozen=True, eq=False)
class HeartPatients:
    """The hearts of one hospital.

    Attributes:
        hearts: one a patient.
        set_aside: reasons and counts of those left out when reading.

    """

    hearts: tuple[Heart, ...]
    set_aside: Mapping[str, int] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.hearts)

    def batch(self, chosen: Indices, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """One item of each patient, all as likely: images (patient, 1, Y, X) and labels (patient, Y, X)."""
        images = torch.empty(len(chosen), 1, SIZE, SIZE)
        labels = torch.empty(len(chosen), SIZE, SIZE, dtype=torch.uint8)
        luck = torch.rand(len(chosen), generator=generator, dtype=torch.float64).tolist()
        for row, index in enumerate(chosen.tolist()):
            heart = self.hearts[index]
            item = int(luck[row] * len(heart))
            images[row, 0], labels[row] = heart.images[item], heart.labels[item]
        return images, labels

    def subset(self, chosen: Indices) -> HeartPatients:
        """Those patients alone, in the order given."""
        return HeartPatients(tuple(self.hearts[index] for index in chosen.tolist()), self.set_aside)


def hearts_of(patients: Patients) -> tuple[Heart, ...]:
    """The hearts of one hospital or of several pooled ones, in the order of the patients."""
    if isinstance(patients, HeartPatients):
        return patients.hearts
    if isinstance(patients, PooledPatients):
        return tuple(heart for group in patients.groups for heart in hearts_of(group))
    raise TypeError(f"{type(patients).__name__} are not patients with hearts")


def split(patients: Patients) -> tuple[Indices, Indices]:
    """A quarter of the patients to test on, one at least, by seed 0; (training, test) in ascending order."""
    order = np.random.default_rng(0).permutation(len(patients))
    held_out = max(1, round(0.25 * len(patients)))
    return np.sort(order[held_out:]).astype(np.int64), np.sort(order[:held_out]).astype(np.int64)
