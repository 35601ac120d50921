"""One digital heart, from a recipe to images, labels and curves. The same recipe, the same heart.

`simulate` makes one patient with everything; `pairs` makes slices at end-diastole and end-systole with labels
for many, to train on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ground.errors import UsageError
from simulation.heart.anatomy import volumes
from simulation.heart.electrophysiology.conduction import Activation
from simulation.heart.electrophysiology.ecg import pseudo_ecg, sample_times
from simulation.heart.imaging.acquisition import Acquisition
from simulation.heart.imaging.slices import placed
from simulation.heart.people import Person, draw
from simulation.heart.physiology import Hearts, live
from simulation.heart.picture import Protocol, View, cine, filled, labelled, late, views
from simulation.heart.threads import one_thread
from simulation.recipe import Recipe


@dataclass(frozen=True)
class DigitalHeart:
    """One patient. S slices, T phases, Y rows, X columns; arrays of the curves have T entries.

    Attributes:
        recipe: what it was made from.
        group: of the anatomy.
        scanner: name of the preset.
        images: (S, T, Y, X) uint16 cine.
        labels: (S, T, Y, X) uint8: 1 RV cavity, 2 LV myocardium, 3 LV cavity.
        enhancement: (S, Y, X) uint16 late enhancement at end-diastole, or None.
        scar: (S, Y, X) uint8, labels at end-diastole with 4 for scar.
        acquisition: what a DICOM header says of the cine.
        affine: (4, 4) (column, row, slice) to mm, right-anterior-superior.
        cycle_ms: length of the cycle.
        times_ms, lv_ml, rv_ml, pressure_kpa, aortic_kpa: (T,).
        strain_circumferential, strain_longitudinal, strain_radial: (T, 17), of the motion that the images
            show, Lagrangian, relative to end-diastole.
        ecg_times_ms, ecg_mv: (samples,) and (12, samples).
        mass_g: of the LV.
        infarct: what was drawn of it, or None.
        infarcted: (17,) dead share of each segment.
        activation_ms: (17,).
        activation_map: (x, y, z) float32 ms in the walls of both ventricles at end-diastole; NaN elsewhere
            and where nothing conducts.
        activation_affine: (4, 4) its voxels to mm, right-anterior-superior, as `affine`.
        parameters: of the anatomy and the function.
        end_systole: the phase of the smallest cavity.

    """

    recipe: Recipe
    group: str
    scanner: str
    images: NDArray[np.uint16]
    labels: NDArray[np.uint8]
    enhancement: NDArray[np.uint16] | None
    scar: NDArray[np.uint8]
    acquisition: Acquisition
    affine: NDArray[np.float64]
    cycle_ms: float
    times_ms: NDArray[np.float64]
    lv_ml: NDArray[np.float64]
    rv_ml: NDArray[np.float64]
    pressure_kpa: NDArray[np.float64]
    aortic_kpa: NDArray[np.float64]
    strain_circumferential: NDArray[np.float64]
    strain_longitudinal: NDArray[np.float64]
    strain_radial: NDArray[np.float64]
    ecg_times_ms: NDArray[np.float64]
    ecg_mv: NDArray[np.float64]
    mass_g: float
    infarct: dict[str, object] | None
    infarcted: NDArray[np.float64]
    activation_ms: NDArray[np.float64]
    activation_map: NDArray[np.float32]
    activation_affine: NDArray[np.float64]
    parameters: dict[str, float]
    end_systole: int


@dataclass(frozen=True)
class Pairs:
    """End-diastolic and end-systolic slices of many patients.

    Attributes:
        images: (N, Y, X) uint16.
        labels: (N, Y, X) uint8, as in `DigitalHeart`.
        patient: (N,) which recipe each is of.
        systole: (N,) bool.
        place: (N,) which slice of the stack each is, from base to apex.
        distance_mm: (P,) from slice to slice, of each recipe.

    """

    images: NDArray[np.uint16]
    labels: NDArray[np.uint8]
    patient: NDArray[np.int64]
    systole: NDArray[np.bool_]
    place: NDArray[np.int64]
    distance_mm: NDArray[np.float64]


@one_thread()
def simulate(
    recipe: Recipe,
    protocol: Protocol | None = None,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
) -> DigitalHeart:
    """The patient of a recipe, with everything; float64 is for tests."""
    protocol = protocol or Protocol()
    hearts = live([draw(recipe)], protocol.phases, device=device, dtype=dtype)
    view = views(hearts, protocol)[0]
    raster = filled(hearts, 0, view, list(range(protocol.phases)))
    images = cine(hearts.people[0], view, raster, protocol)
    enhancement, scar = late(hearts, view, raster, protocol)
    labels = labelled(hearts.people[0], view, raster, protocol)
    return _collected(hearts, view, images, labels, enhancement, scar)


@one_thread()
def pairs(
    recipes: Sequence[Recipe],
    protocol: Protocol | None = None,
    device: torch.device | str = "cpu",
    batch: int = 32,
) -> Pairs:
    """Slices that show the LV's wall at end-diastole and end-systole; every heart is activated alike.

    A patient is the same in any batch but for rounding, which moves a border's voxel here and there.
    """
    protocol = protocol or Protocol()
    if not recipes:
        raise UsageError("heart: no recipes; give one or more")
    parts = [
        _pairs_of(recipes[first : first + batch], first, protocol, device)
        for first in range(0, len(recipes), batch)
    ]
    return Pairs(*(np.concatenate(each) for each in zip(*parts, strict=True)))


def _pairs_of(
    recipes: Sequence[Recipe], first: int, protocol: Protocol, device: torch.device | str
) -> tuple[NDArray[Any], ...]:
    """The arrays of `Pairs`, in their order."""
    hearts = live(
        [draw(each) for each in recipes], protocol.phases, electrophysiology=False, steps=400, device=device
    )
    kept: list[tuple[NDArray[Any], ...]] = []
    for number, view in enumerate(views(hearts, protocol)):
        raster = filled(hearts, number, view, [0, int(hearts.beat.end_systole[number])])
        images = cine(hearts.people[number], view, raster, protocol)
        labels = labelled(hearts.people[number], view, raster, protocol)
        shown = (labels == 2).any(axis=(2, 3))
        place, phase = np.nonzero(shown)
        who = np.full(len(place), first + number)
        kept.append((images[shown], labels[shown], who, phase == 1, place, np.array([view.stack.distance])))
    return tuple(np.concatenate(each) for each in zip(*kept, strict=True))


def _collected(
    hearts: Hearts,
    view: View,
    images: NDArray[np.uint16],
    labels: NDArray[np.uint8],
    enhancement: NDArray[np.uint16] | None,
    scar: NDArray[np.uint8],
) -> DigitalHeart:
    person, kept = hearts.people[0], hearts.beat
    cycle = float(kept.cycle_ms[0])
    strains = [_numpy(each[0]) for each in hearts.motion.strains()]
    assert hearts.activation is not None  # noqa: S101  `simulate` computes it
    return DigitalHeart(
        recipe=person.recipe,
        group=person.group,
        scanner=person.scanner,
        images=images,
        labels=labels,
        enhancement=enhancement,
        scar=scar,
        acquisition=view.acquisition(cycle),
        affine=view.stack.affine(0),
        cycle_ms=cycle,
        times_ms=_numpy(kept.times) * cycle,
        lv_ml=_numpy(hearts.lv_ml[0]),
        rv_ml=_numpy(hearts.rv_ml[0]),
        pressure_kpa=_numpy(kept.pressure[0]),
        aortic_kpa=_numpy(kept.aortic_pressure[0]),
        strain_circumferential=strains[0],
        strain_longitudinal=strains[1],
        strain_radial=strains[2],
        ecg_times_ms=_numpy(sample_times()),
        ecg_mv=_numpy(pseudo_ecg(hearts.activation)[0]),
        mass_g=float(volumes.mass(hearts.anatomy)[0]),
        infarct=_lesion(person),
        infarcted=_numpy(hearts.infarct.fractions()[0]),
        activation_ms=_numpy(hearts.segments_ms[0]),
        activation_map=_activation_map(hearts.activation),
        activation_affine=placed(hearts.activation.origin, hearts.activation.spacing),
        parameters={**person.measures, **hearts.works[0]},
        end_systole=int(kept.end_systole[0]),
    )


def _activation_map(activation: Activation) -> NDArray[np.float32]:
    times = torch.where(
        activation.wall[0] & torch.isfinite(activation.times[0]), activation.times[0], torch.nan
    )
    array: NDArray[np.float32] = times.float().cpu().numpy()
    return array


def _lesion(person: Person) -> dict[str, object] | None:
    lesion = person.lesion
    if lesion is None:
        return None
    return {
        "territory": person.territory,
        "segments": list(lesion.segments),
        "extent": round(lesion.extent, 4),
        "transmurality": round(lesion.transmurality, 4),
        "severity": round(lesion.severity, 4),
        "age": lesion.age,
    }


def _numpy(tensor: Tensor) -> NDArray[np.float64]:
    array: NDArray[np.float64] = tensor.double().cpu().numpy()
    return array
