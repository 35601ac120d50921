"""A hospital's patients: imaging phenotypes and genotypes, each on disk until it is read in blocks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ground.errors import TaskError
from tasks.imaging_genetics.genotypes import Genotypes, Variants, whole
from tasks.learners.products import widths
from tasks.patients import Indices, Patients, PooledPatients


@dataclass(frozen=True, eq=False)
class Phenotypes:
    """Imaging phenotypes of some patients; a `tasks.learners.products.View`.

    Attributes:
        values: shape (individual, phenotype), floats, NaN where missing; may be mapped from disk.
        rows: which individuals these patients are, shape (patient,).

    """

    values: npt.NDArray[Any]
    rows: Indices

    @property
    def width(self) -> int:
        """Number of phenotypes."""
        return int(self.values.shape[1])

    def __len__(self) -> int:
        return len(self.rows)

    def blocks(self) -> Iterator[tuple[slice, npt.NDArray[Any]]]:
        """Which phenotypes, and their values, shape (phenotype, patient)."""
        for columns in widths(self.width, len(self)):
            yield columns, self.values[:, columns][self.rows].T

    def subset(self, chosen: Indices) -> Phenotypes:
        """Those patients alone."""
        return Phenotypes(self.values, self.rows[chosen])


@dataclass(frozen=True, eq=False)
class Pairs:
    """Patients with both.

    Attributes:
        imaging: their phenotypes.
        genetics: their genotypes, in the same order.
        variants: where these lie.
        set_aside: reasons and counts of those left out when reading.

    """

    imaging: Phenotypes
    genetics: Genotypes
    variants: Variants
    set_aside: Mapping[str, int] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.imaging)

    def batch(self, chosen: Indices, generator: torch.Generator) -> tuple[Tensor, Tensor]:  # noqa: ARG002
        """Genotypes, int8 of shape (patient, variant), and phenotypes, float32; nothing is drawn."""
        some = self.subset(chosen)
        values = some.imaging.values[some.imaging.rows].astype(np.float32)
        return torch.from_numpy(whole(some.genetics)), torch.from_numpy(values)

    def subset(self, chosen: Indices) -> Pairs:
        """Those patients alone."""
        return Pairs(self.imaging.subset(chosen), self.genetics.subset(chosen), self.variants, self.set_aside)


def groups(patients: Patients) -> list[Pairs]:
    """The patients hospital by hospital: one group, or several where they were pooled."""
    if isinstance(patients, PooledPatients):
        return [each for group in patients.groups for each in groups(group)]
    if not isinstance(patients, Pairs):
        raise TaskError("imaging-genetics: these are patients of another task")
    return [patients]
