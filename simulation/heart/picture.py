"""Taking pictures of beating hearts: where the slices lie, what a scanner shows of them."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ground.errors import UsageError
from simulation.heart.anatomy.coordinates import locate
from simulation.heart.imaging import deform, look, randomise, scanner, surroundings, trabeculae
from simulation.heart.imaging.acquisition import Acquisition
from simulation.heart.imaging.raster import MYOCARDIUM as MYOCARDIUM_LABEL
from simulation.heart.imaging.raster import Raster, rasterise
from simulation.heart.imaging.render import render
from simulation.heart.imaging.scanner import Scanner
from simulation.heart.imaging.slices import Stack, short_axis
from simulation.heart.imaging.tissues import HEART
from simulation.heart.infarct import Infarct
from simulation.heart.motion import Motion
from simulation.heart.people import Person
from simulation.heart.physiology import Hearts

SCAR_LABEL = 4
MYOCARDIUM, SCAR, OEDEMA = (HEART.index(name) for name in ("myocardium", "scar", "oedema"))
POSES = ("rotation_rad", "tilt_x_rad", "tilt_y_rad")


@dataclass(frozen=True)
class Protocol:
    """How hearts are imaged.

    Attributes:
        slices: of the short axis; they lie further apart than the scanner's preset where the heart is longer.
        phases: of the cycle.
        size: rows and columns of an image.
        spacing: mm between pixels.
        enhancement: late gadolinium enhancement too.
        randomise: grey values, resolution and deformation at random instead of a scanner's, to train on.

    """

    slices: int = 10
    phases: int = 20
    size: int = 128
    spacing: float = 1.4
    enhancement: bool = False
    randomise: bool = False

    def __post_init__(self) -> None:
        """Raises UsageError where no picture could be taken so."""
        for name, least in (("slices", 1), ("phases", 2), ("size", 32)):
            if getattr(self, name) < least:
                raise UsageError(f"heart images: {name} is {getattr(self, name)}; give {least} or more")
        if not self.spacing > 0:
            raise UsageError(f"heart images: spacing is {self.spacing} mm; give more than 0")

    def said(self) -> dict[str, object]:
        """As JSON can say it."""
        return asdict(self)


@dataclass(frozen=True)
class View:
    """How one patient is looked at; P = 1 in the stack."""

    stack: Stack
    scanner: Scanner

    def acquisition(self, cycle_ms: float) -> Acquisition:
        """What a header says of the cine."""
        rows, columns, positions = self.stack.axes(0)
        return Acquisition(
            spacing_mm=(self.stack.spacing, self.stack.spacing),
            thickness_mm=self.stack.thickness,
            distance_mm=self.stack.distance,
            positions=positions,
            rows=rows,
            columns=columns,
            cycle_ms=cycle_ms,
            field_tesla=self.scanner.field,
            echo_ms=self.scanner.te,
            repetition_ms=self.scanner.tr,
            flip_degrees=self.scanner.flip,
            scanner=f"preset {self.scanner.name}",
        )


def views(hearts: Hearts, protocol: Protocol) -> list[View]:
    """One a patient: her scanner's slices, each in a breath-hold of its own."""
    return [_view(hearts.anatomy.length[i : i + 1], each, protocol) for i, each in enumerate(hearts.people)]


def _view(length: Tensor, person: Person, protocol: Protocol) -> View:
    preset = scanner.scanner(person.scanner)
    moved = scanner.breathing(person.again("breathing"), protocol.slices)
    rotation, tilt_x, tilt_y = (length.new_tensor([person.measures[name]]) for name in POSES)
    stack = short_axis(
        length,
        rotation,
        (tilt_x, tilt_y),
        torch.from_numpy(moved).to(length)[None],
        (protocol.size, protocol.size),
        protocol.spacing,
        preset.thickness,
        max(preset.thickness + preset.gap, round(float(length) / protocol.slices, 1)),
    )
    return View(stack, preset)


def filled(hearts: Hearts, number: int, view: View, phases: list[int]) -> Raster:
    """What the voxels of a patient hold in the given phases, trabeculae and dead tissue too; P = 1."""
    one = hearts.motion[number : number + 1]
    own = trabeculae.draw(hearts.people[number].again("trabeculae"))
    raster = rasterise(one, view.stack, phases, trabeculae=[own])
    infarct = _of(hearts.infarct, number)
    if float(infarct.depth.max()) > 0:
        kind = SCAR if float(infarct.scarred) else OEDEMA
        for index, phase in enumerate(phases):
            held = raster.fractions[0, :, index]
            dead = held[:, MYOCARDIUM] * _dead(one, infarct, view, held[:, MYOCARDIUM] > 0, phase)
            held[:, kind] = dead
            held[:, MYOCARDIUM] -= dead
    return raster


def labelled(person: Person, view: View, raster: Raster, protocol: Protocol) -> NDArray[np.uint8]:
    """(S, T, Y, X) labels of the cine, deformed as it is."""
    labels = raster.labels[0]
    places = _deformed(person, view, protocol)
    if places is not None:
        labels = deform.warp(labels.to(places), places, protocol.spacing, nearest=True).to(torch.uint8)
    seen: NDArray[np.uint8] = labels.cpu().numpy()
    return seen


def cine(person: Person, view: View, raster: Raster, protocol: Protocol) -> NDArray[np.uint16]:
    """(S, T, Y, X) grey levels."""
    return _picture(person, view, raster.fractions, protocol, "cine")


def late(
    hearts: Hearts, view: View, raster: Raster, protocol: Protocol
) -> tuple[NDArray[np.uint16] | None, NDArray[np.uint8]]:
    """Late enhancement (S, Y, X) of the first patient at end-diastole, where wanted, and labels with scar.

    The raster's first phase is end-diastole, when nothing has moved yet.
    """
    infarct = _of(hearts.infarct, 0)
    wall = raster.fractions[0, :, 0, [MYOCARDIUM, SCAR, OEDEMA]].sum(1)
    share = _dead(hearts.motion[0:1], infarct, view, wall > 0, 0)
    labels = raster.labels[0, :, 0]
    reached = share > 0.5 * infarct.severity[0]
    labels = torch.where((labels == MYOCARDIUM_LABEL) & reached, SCAR_LABEL, labels).to(torch.uint8)
    picture = None
    if protocol.enhancement:
        fractions = raster.fractions[:, :, :1].clone()
        fractions[0, :, 0, OEDEMA] = 0.0
        fractions[0, :, 0, SCAR] = wall * share
        fractions[0, :, 0, MYOCARDIUM] = wall * (1.0 - share)
        picture = _picture(hearts.people[0], view, fractions, protocol, "late")[:, 0]
    return picture, labels.cpu().numpy()


def _picture(
    person: Person, view: View, fractions: Tensor, protocol: Protocol, contrast: str
) -> NDArray[np.uint16]:
    """(S, T, Y, X) grey levels of fractions (1, S, T, K, Y, X); both contrasts have the same surroundings."""
    heart = fractions[:, :, 0].sum(2)
    thorax = surroundings.draw(person.again("thorax"))
    around = surroundings.build([thorax], heart, view.stack.centres[:, :, 2], protocol.spacing)
    chance = person.again("look")
    places = None
    if protocol.randomise and contrast == "cine":
        shine = randomise.draw(chance)
        places = _deformed(person, view, protocol)
    else:
        shine = look.draw(chance, view.scanner, contrast)
    noise = person.again("noise" if contrast == "cine" else "late")
    deformed = None if places is None else [places]
    seen = render(fractions, around, [shine], view.scanner, [noise], protocol.spacing, deformed)
    grey: NDArray[np.uint16] = scanner.stored(seen, view.scanner, contrast)[0]
    return grey


def _deformed(person: Person, view: View, protocol: Protocol) -> Tensor | None:
    """(S, Y, X, 2) of `deform.places` where pictures are made at random; else None."""
    if not protocol.randomise:
        return None
    drawn = deform.draw(person.again("deformation"))
    return deform.places(drawn, view.stack.centres[0, :, 2], view.stack.size, protocol.spacing)


def _of(infarct: Infarct, number: int) -> Infarct:
    """One patient's."""
    one = slice(number, number + 1)
    return replace(
        infarct, depth=infarct.depth[one], severity=infarct.severity[one], scarred=infarct.scarred[one]
    )


def _dead(motion: Motion, infarct: Infarct, view: View, wall: Tensor, phase: int) -> Tensor:
    """(S, Y, X) dead share at the middle of each voxel of one patient's wall (S, Y, X) in a phase, else 0."""
    points = torch.stack([view.stack.points(0, i, (1, 1, 1))[:, :, 0] for i in range(len(wall))])
    share = torch.zeros(wall.shape).to(points)
    where = locate(motion.anatomy, motion.pull_back(points[wall][None], phase))
    inside = where.transmural.clamp(0.0, 1.0)
    share[wall] = infarct.density(inside, where.longitudinal, where.angle)[0]
    return share
