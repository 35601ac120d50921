"""Taking pictures of beating hearts: where the slices lie, what a scanner shows of them."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ground.errors import UsageError
from simulation.heart.anatomy.coordinates import locate
from simulation.heart.imaging import look, randomise, scanner, surroundings
from simulation.heart.imaging.acquisition import Acquisition
from simulation.heart.imaging.raster import MYOCARDIUM as MYOCARDIUM_LABEL
from simulation.heart.imaging.raster import Raster
from simulation.heart.imaging.render import render
from simulation.heart.imaging.scanner import Scanner
from simulation.heart.imaging.slices import Stack, short_axis
from simulation.heart.imaging.tissues import HEART
from simulation.heart.people import Person
from simulation.heart.physiology import Hearts

SCAR_LABEL = 4
MYOCARDIUM, SCAR = HEART.index("myocardium"), HEART.index("scar")
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
        randomise: grey values at random instead of a scanner's, to train on.

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


def cine(person: Person, view: View, raster: Raster, protocol: Protocol) -> NDArray[np.uint16]:
    """(S, T, Y, X) grey levels."""
    return _picture(person, view, raster.fractions, protocol, "cine")


def late(
    hearts: Hearts, view: View, raster: Raster, protocol: Protocol
) -> tuple[NDArray[np.uint16] | None, NDArray[np.uint8]]:
    """Late enhancement (S, Y, X) of the first patient at end-diastole, where wanted, and labels with scar.

    The raster's first phase is end-diastole, when nothing has moved yet.
    """
    share = _dead(hearts, view)
    labels = raster.labels[0, :, 0]
    reached = share > 0.5 * hearts.infarct.severity[0]
    labels = torch.where((labels == MYOCARDIUM_LABEL) & reached, SCAR_LABEL, labels).to(torch.uint8)
    picture = None
    if protocol.enhancement:
        fractions = raster.fractions[:, :, :1].clone()
        fractions[0, :, 0, SCAR] = fractions[0, :, 0, MYOCARDIUM] * share
        fractions[0, :, 0, MYOCARDIUM] *= 1.0 - share
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
    if protocol.randomise and contrast == "cine":
        shine = randomise.draw(chance)
    else:
        shine = look.draw(chance, view.scanner, contrast)
    noise = person.again("noise" if contrast == "cine" else "late")
    seen = render(fractions, around, [shine], view.scanner, [noise], protocol.spacing)
    grey: NDArray[np.uint16] = scanner.stored(seen, view.scanner, contrast)[0]
    return grey


def _dead(hearts: Hearts, view: View) -> Tensor:
    """(S, Y, X) dead share of the first patient's myocardium at the middle of each voxel, end-diastole."""
    shares = []
    for place in range(view.stack.centres.shape[1]):
        points = view.stack.points(0, place, (1, 1, 1))[:, :, 0]
        where = locate(hearts.anatomy, points.reshape(1, -1, 3))
        inside = where.transmural.clamp(0.0, 1.0)
        shares.append(hearts.infarct.density(inside, where.longitudinal, where.angle).view(points.shape[:2]))
    return torch.stack(shares)
