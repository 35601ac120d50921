"""What lies round the heart in a short-axis picture: lung, diaphragm, liver, stomach, chest wall, aorta, fat.

Not an anatomy: shapes that are plausible enough to train on, placed by the heart's own outline. The chest
wall stands up and to the left of the heart and comes closer towards the apex; the heart rests on the
diaphragm, with the liver below on the right ventricle's side and the stomach on the other; the descending
aorta and the spine lie behind. All sizes and ranges are assumed, chosen by eye beside real pictures. Shapes
vary smoothly from slice to slice and stand still over the cycle, except the fat on the heart, which follows
its outline.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from simulation.heart.imaging.fields import field
from simulation.heart.imaging.tissues import SURROUNDINGS

COARSE, FINE, GRAIN = 28.0, 6.5, 4.0  # mm between knots
CAPILLARIES = 0.03  # share of unresolved blood in the lung
REACH = 14.0  # mm across which fat is sought round the heart
# Parameter: lowest and highest value of a uniform draw. mm, radians or pure numbers.
RANGES = {
    "wall_angle": (1.65, 2.45),  # direction of the chest wall, counterclockwise from the right
    "wall_radius": (110.0, 220.0),  # of its curvature
    "wall_base": (12.0, 32.0),  # clearance at the base
    "wall_apex": (2.0, 12.0),  # clearance at the apex
    "wall_muscle": (8.0, 18.0),
    "wall_fat": (5.0, 30.0),
    "rib_period": (26.0, 38.0),
    "rib_phase": (0.0, 1.0),
    "dome_gap": (-6.0, 1.0),  # between the heart and the diaphragm, at the apex
    "dome_base": (0.0, 9.0),  # further down at the base
    "dome_slope": (-0.25, 0.15),
    "dome_curve": (0.0012, 0.004),  # 1/mm
    "liver_edge": (-35.0, 35.0),  # where the liver ends, right of the heart's middle
    "stomach_x": (15.0, 60.0),
    "stomach_y": (22.0, 45.0),  # below the diaphragm
    "stomach_size": (16.0, 36.0),
    "stomach_gas": (0.0, 1.0),
    "spleen_x": (60.0, 110.0),
    "aorta_angle": (-1.45, -0.75),
    "aorta_base": (14.0, 34.0),
    "aorta_apex": (45.0, 85.0),
    "aorta_size": (9.0, 13.5),
    "spine_turn": (0.25, 0.55),
    "rim": (0.5, 5.0),  # mean thickness of the fat on the heart
    "pad": (-6.0, 12.0),  # of fat between the heart and the chest wall
    "pad_turn": (0.1, 0.9),  # of its direction from the wall's
    "vessels": (2.1, 2.9),  # threshold of lung vessels, standard deviations
}
CHANNELS = 6  # coarse fields: chest wall, diaphragm, viscera, fat, texture, off-resonance


@dataclass(frozen=True)
class Thorax:
    """One patient's draw.

    Attributes:
        values: a number for every name in `RANGES`.
        coarse: (CHANNELS, 10, 10, 10) standard normal.
        fine: (1, 16, 36, 36) standard normal: texture.
        grain: (2, 28, 56, 56) standard normal: vessels, texture.

    """

    values: dict[str, float]
    coarse: np.ndarray
    fine: np.ndarray
    grain: np.ndarray


@dataclass(frozen=True)
class Surroundings:
    """What surrounds the hearts of P patients in S slices.

    Attributes:
        fractions: (P, S, len(SURROUNDINGS), Y, X), sum 1, as if there were no heart.
        rim: (P, S, Y, X) threshold of the blurred heart above which there is fat on it.
        texture: (P, S, Y, X) slow variation inside tissues, mean 0, variance 1.
        resonance: (P, S, Y, X) slow field of about unit size, for the scanner's off-resonance.
        spacing: mm per voxel.

    """

    fractions: Tensor
    rim: Tensor
    texture: Tensor
    resonance: Tensor
    spacing: float


def draw(random: np.random.Generator) -> Thorax:
    """One patient's thorax."""
    values = {name: float(random.uniform(low, high)) for name, (low, high) in RANGES.items()}
    coarse = random.standard_normal((CHANNELS, 10, 10, 10), dtype=np.float32)
    fine = random.standard_normal((1, 16, 36, 36), dtype=np.float32)
    grain = random.standard_normal((2, 28, 56, 56), dtype=np.float32)
    return Thorax(values, coarse, fine, grain)


def build(thoraxes: Sequence[Thorax], heart: Tensor, heights: Tensor, spacing: float) -> Surroundings:
    """Surround hearts.

    Args:
        thoraxes: one per patient.
        heart: (P, S, Y, X) share of heart in each voxel at end-diastole.
        heights: (P, S) mm, of the slices in the heart's frame: 0 at the base, negative towards the apex.
        spacing: mm per voxel.

    """
    rows, columns = heart.shape[-2:]
    x = (torch.arange(columns).to(heart) - (columns - 1) / 2) * spacing
    y = -(torch.arange(rows).to(heart) - (rows - 1) / 2) * spacing
    value = {
        name: heart.new_tensor([thorax.values[name] for thorax in thoraxes])[:, None, None, None]
        for name in RANGES
    }
    coarse, fine, grain = (
        field(torch.from_numpy(np.stack(lattices)).to(heart), heights, y, x, step).unbind(1)
        for lattices, step in (
            ([t.coarse for t in thoraxes], COARSE),
            ([t.fine for t in thoraxes], FINE),
            ([t.grain for t in thoraxes], GRAIN),
        )
    )
    scene = _Scene(value, heart, heights, x[None, None, None, :], y[None, None, :, None], spacing, coarse)
    layers = [*scene.chest_wall(), *scene.abdomen(fine[0]), *scene.behind(), *scene.lung(grain[0])]
    towards = scene.right * torch.cos(value["wall_angle"]) + scene.up * torch.sin(value["wall_angle"])
    thickness = value["rim"] * (1 + towards / scene.away.clamp(min=1.0) * 0.6) + 2.2 * coarse[3] - 0.5
    return Surroundings(
        fractions=_stacked(layers, heart),
        rim=0.5 - thickness.clamp(-4.0, 0.42 * REACH) / REACH,
        texture=0.6 * coarse[4] + 0.55 * fine[0] + 0.58 * grain[1],
        resonance=coarse[5] * (0.4 + scene.away / 80.0),  # shimmed on the heart
        spacing=spacing,
    )


def rim(heart: Tensor, surroundings: Surroundings) -> Tensor:
    """Share (P, S, T, Y, X) of each voxel's rest that is fat on the heart; heart: its share, same shape.

    Fat lies where the blurred heart exceeds a threshold: little on convex parts, more in grooves, as
    epicardial fat does.
    """
    half = max(1, round(REACH / surroundings.spacing / 4))
    flat = heart.flatten(0, 2)[:, None]
    for _ in range(2):
        flat = avg_pool2d(flat, 2 * half + 1, 1, half)
    blurred = flat[:, 0].view_as(heart)
    return ((blurred - surroundings.rim[:, :, None]) / 0.12 + 0.5).clamp_(0, 1)


Layer = tuple[str, Tensor]


def _stacked(layers: Sequence[Layer], like: Tensor) -> Tensor:
    """Fractions (P, S, K, Y, X) of opaque layers, the first on top; the last fills what is left."""
    patients, slices, rows, columns = like.shape
    fractions = torch.zeros(patients, slices, len(SURROUNDINGS), rows, columns).to(like)
    left = torch.ones_like(like)
    for name, cover in layers:
        share = left * cover
        fractions[:, :, SURROUNDINGS.index(name)] += share
        left = left - share
    fractions[:, :, SURROUNDINGS.index("lung")] += left
    return fractions


def _lowest(heart: Tensor, up: Tensor) -> Tensor:
    """(P, S, 1, 1) mm by which the heart reaches below its middle, along the rows that it fills."""
    filled = (heart.amax(3, keepdim=True) > 0.5).to(heart)
    return (-up * filled).amax((2, 3), keepdim=True)


class _Scene:
    """Geometry of one batch: voxel places round each heart; layers as (tissue, cover (P, S, Y, X))."""

    def __init__(
        self,
        value: dict[str, Tensor],
        heart: Tensor,
        heights: Tensor,
        x: Tensor,
        y: Tensor,
        spacing: float,
        coarse: Sequence[Tensor],
    ) -> None:
        self.value, self.coarse, self.spacing = value, coarse, spacing
        area = heart.sum((2, 3))
        mass = area.sum(1).clamp(min=1e-6)[:, None, None, None]
        self.right = x - (heart * x).sum((1, 2, 3), keepdim=True) / mass
        self.up = y - (heart * y).sum((1, 2, 3), keepdim=True) / mass
        self.away = torch.sqrt(self.right**2 + self.up**2)
        own = (area / math.pi).sqrt()[:, :, None, None] * spacing  # mm, like a disc's radius
        widest = own.amax(1, keepdim=True).clamp(min=spacing)
        self.size = 0.5 * (own + widest)  # what lies round the heart follows its taper half-way
        self.near = 0.8 * own + 0.2 * widest
        self.under = 0.5 * (_lowest(heart, self.up) + _lowest(heart, self.up).amax(1, keepdim=True))
        # 0 at the base, 1 where a heart as long as 2.2 radii would end
        self.depth = (-heights[:, :, None, None] / (2.2 * widest)).clamp(-0.3, 1.2)

    def cover(self, distance: Tensor, soft: float = 1.0) -> Tensor:
        """Share of a voxel inside a surface at signed distance (mm, negative inside), `soft` voxels wide."""
        return (0.5 - distance / (soft * self.spacing)).clamp(0, 1)

    def between(self, base: str, apex: str) -> Tensor:
        """A value that changes from the base to the apex."""
        return self.value[base] + self.depth * (self.value[apex] - self.value[base])

    def disc(self, x: Tensor, y: Tensor, size: Tensor, stretch: float = 1.0) -> Tensor:
        """Signed distance, mm, to about an ellipse round (x, y), `stretch` times wider than high."""
        return torch.sqrt(((self.right - x) / stretch) ** 2 + (self.up - y) ** 2) - size

    def chest_wall(self) -> list[Layer]:
        """Air, subcutaneous fat, then muscle with ribs in it; the outermost on top."""
        v = self.value
        reach = self.size + self.between("wall_base", "wall_apex") - v["wall_radius"]
        x, y = reach * torch.cos(v["wall_angle"]), reach * torch.sin(v["wall_angle"])
        inner = self.disc(x, y, v["wall_radius"]) + 3.0 * self.coarse[0]
        muscle = inner - v["wall_muscle"] * (1 + 0.25 * self.coarse[2])
        skin = muscle - v["wall_fat"] * (1 + 0.15 * self.coarse[3])
        arc = torch.atan2(self.up - y, self.right - x) * v["wall_radius"] + 60.0 * self.depth
        turn = arc / v["rib_period"] + v["rib_phase"] + 0.1 * self.coarse[1]
        beside = (turn - turn.floor() - 0.5) * v["rib_period"]
        middle = 0.45 * v["wall_muscle"]
        rib = torch.sqrt((inner - middle) ** 2 + (0.45 * beside) ** 2) - 0.35 * v["wall_muscle"]
        return [
            ("air", self.cover(-skin)),
            ("fat", self.cover(-muscle)),
            ("cartilage", self.cover(rib, 2.0)),
            ("muscle", self.cover(-inner)),
        ]

    def behind(self) -> list[Layer]:
        """The descending aorta and the spine, both further away towards the apex."""
        v = self.value
        far = self.size + self.between("aorta_base", "aorta_apex")
        angle = v["aorta_angle"]
        aorta = self.disc(far * torch.cos(angle), far * torch.sin(angle), v["aorta_size"], 1.15)
        back, turned = far + 26.0, angle - v["spine_turn"]
        spine = self.disc(back * torch.cos(turned), back * torch.sin(turned), v["aorta_size"] * 1.7, 1.1)
        spine = spine + 1.5 * self.coarse[2]
        return [
            ("aorta", self.cover(aorta, 1.5)),
            ("muscle", self.cover(aorta - 1.3)),
            ("spine", self.cover(spine + 2.0, 2.0)),
            ("muscle", self.cover(spine)),
        ]

    def abdomen(self, vessels: Tensor) -> list[Layer]:
        """Liver, stomach and spleen in fat, below the diaphragm."""
        v = self.value
        drop = self.under + v["dome_gap"] + (1 - self.depth).clamp(min=0) * v["dome_base"]
        dome = self.up + drop - v["dome_slope"] * self.right + v["dome_curve"] * self.right**2
        dome = dome + 2.5 * self.coarse[1]
        edge = self.right - v["liver_edge"] + 10.0 * self.coarse[2] + 0.5 * (dome + 20.0)
        liver = torch.maximum(dome + 2.0, edge)
        x, y = v["stomach_x"], -drop - v["stomach_y"]
        stomach = self.disc(x, y, v["stomach_size"], 1.35) + 4.0 * self.coarse[2]
        stomach = torch.maximum(stomach, dome + 3.0)
        level = self.cover(y + (1.6 * v["stomach_gas"] - 0.6) * v["stomach_size"] - self.up, 2.0)
        spleen = torch.maximum(self.disc(v["spleen_x"], y, 30 + 0 * y, 1.2) + 3 * self.coarse[0], dome + 3.0)
        return [
            ("vessel", self.cover(1.9 - vessels, 0.5) * self.cover(liver + 6.0) * 0.6),
            ("liver", self.cover(liver, 2.0)),
            ("air", self.cover(stomach + 3.5, 2.0) * level),
            ("stomach", self.cover(stomach + 3.5, 2.0)),
            ("muscle", self.cover(stomach, 2.0)),
            ("spleen", self.cover(spleen, 2.0)),
            ("muscle", self.cover(dome.abs() - 1.0, 2.0)),
            ("fat", self.cover(dome, 2.0)),
        ]

    def lung(self, vessels: Tensor) -> list[Layer]:
        """A pad of fat before the heart; vessels in the lung, denser towards the heart."""
        v = self.value
        before = torch.atan2(self.up, self.right) - v["wall_angle"] - v["pad_turn"]
        lobe = 0.5 + 0.5 * torch.cos(before)
        pad = self.away - 0.75 * self.near - (v["pad"] + 0.15 * self.near) * lobe**3 - 4.0 * self.coarse[3]
        threshold = v["vessels"] + 0.008 * (self.away - self.size) - 0.5 * self.coarse[2]
        return [
            ("fat", self.cover(pad, 2.0)),
            ("vessel", CAPILLARIES + 0.6 * self.cover(threshold - vessels, 0.9)),
        ]
