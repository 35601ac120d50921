"""The measures of a batch of hearts, one tensor a measure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from ground.errors import UsageError
from simulation.heart.anatomy.segments import SEGMENTS

WALL: tuple[str, ...] = tuple(f"wall_{segment}" for segment in range(1, SEGMENTS + 1))


@dataclass(frozen=True)
class Parameters:
    """What `shape.build` needs, at end-diastole. Every tensor is (P,) but for `wall`.

    Attributes:
        edv_ml: volume of the LV cavity, papillary muscles counted as blood, mL.
        mass_g: mass of the LV wall without papillary muscles, g.
        rv_edv_ml: volume of the RV cavity, mL.
        endo_length_mm: base to endocardial apex of the LV.
        truncation: share of that length between the ellipsoid's equator and the base, 0 to 0.45.
        ovality: how much wider than round the cavity is along x, and narrower along y, as a share of its
            radius.
        flattening: share of the radius that is missing in the middle of the septum.
        wall: (P, 17), thickness of the segments' walls in relation to each other; mass sets the scale.
        rv_wall_mm: thickness of the RV's free wall.
        rv_anterior_rad, rv_inferior_rad: angles of the RV's insertions at the base, the latter negative.
        rv_corner: where the RV is widest at the base, from 0 at the inferior to 1 at the anterior insertion.
        rv_apex: share of the LV's length, from its epicardial apex, that the RV leaves free.
        rotation_rad: of the heart in the image plane.
        tilt_x_rad, tilt_y_rad: between the heart's long axis and the normal of the short-axis slices.

    """

    edv_ml: Tensor
    mass_g: Tensor
    rv_edv_ml: Tensor
    endo_length_mm: Tensor
    truncation: Tensor
    ovality: Tensor
    flattening: Tensor
    wall: Tensor
    rv_wall_mm: Tensor
    rv_anterior_rad: Tensor
    rv_inferior_rad: Tensor
    rv_corner: Tensor
    rv_apex: Tensor
    rotation_rad: Tensor
    tilt_x_rad: Tensor
    tilt_y_rad: Tensor

    def to(self, target: torch.device | torch.dtype | str) -> Parameters:
        """The same measures on another device or in another precision."""
        return Parameters(**{field.name: getattr(self, field.name).to(target) for field in fields(self)})

    def __len__(self) -> int:
        return len(self.edv_ml)


def stack(
    patients: Sequence[Mapping[str, float]],
    dtype: torch.dtype = torch.float32,
    device: torch.device | str = "cpu",
) -> Parameters:
    """One batch from what `population.draw` gave for each patient; keys that shape nothing are left out."""
    if not patients:
        raise UsageError("heart anatomy: there is nobody to stack; give one patient or more")

    def column(name: str) -> Tensor:
        missing = [patient for patient in patients if name not in patient]
        if missing:
            raise UsageError(f"heart anatomy: {name!r} is missing; take the measures from population.draw")
        return torch.tensor([patient[name] for patient in patients], dtype=torch.float64)

    values = {field.name: column(field.name) for field in fields(Parameters) if field.name != "wall"}
    values["wall"] = torch.stack([column(name) for name in WALL], dim=1)
    return Parameters(**{name: value.to(device=device, dtype=dtype) for name, value in values.items()})
