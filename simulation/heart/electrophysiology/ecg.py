"""A 12-lead pseudo-electrocardiogram from activation times and one action potential.

Every voxel runs through the same Mitchell-Schaeffer action potential, started when it is activated and
stretched on its plateau. In an unbounded homogeneous torso (R. Plonsey and R. C. Barr, Bioelectricity, 2007,
chapter 8; S. Gima and Y. Rudy, Circulation Research 90 (2002) 889-896, equation 1) an electrode at distance
r sees

    φ = σ_i / (4π σ_o) ∫ -∇V · ∇(1/r) dx

integrated over living tissue with no flux through its surface, hence φ = Σ V_i (L 1/r)_i with the operator L
of `diffusion`. Leads are the usual differences (Wilson's terminal, Goldberger's leads).

What it is not: a torso with lungs and a skin, so amplitudes are right in order of magnitude only; measured
repolarisation. Electrode positions, the heart's place in the chest, the conductivity ratio and the gradients
of action potential duration are assumed; the gradients so that T waves point up where QRS does.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import pi

import torch
from torch import Tensor

from ground.errors import UsageError
from simulation.heart.anatomy.body import AXES
from simulation.heart.anatomy.coordinates import LEFT
from simulation.heart.electrophysiology.conduction import Activation
from simulation.heart.electrophysiology.diffusion import diffusion
from simulation.heart.electrophysiology.ionic import Cell, action_potential

LEADS: tuple[str, ...] = ("I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6")
# mm to the right, to the front and upwards of the LV's centre, on an adult's chest.
ELECTRODES: dict[str, tuple[float, float, float]] = {
    "RA": (130.0, 0.0, 90.0),  # limbs: Einthoven's triangle, where they leave the trunk
    "LA": (-130.0, 0.0, 90.0),
    "LL": (0.0, 0.0, -180.0),
    "V1": (50.0, 75.0, 15.0),
    "V2": (10.0, 80.0, 15.0),
    "V3": (-22.0, 82.0, -3.0),
    "V4": (-55.0, 75.0, -20.0),
    "V5": (-95.0, 40.0, -20.0),
    "V6": (-115.0, 0.0, -20.0),
}


# Slower currents than the default cell, so that its fall lasts about as long as phase 3; assumed.
SLOW = Cell(tau_in=0.6, tau_out=20.0)


@dataclass(frozen=True)
class Repolarisation:
    """Action potential durations in ms (assumed), and the amplitude in mV."""

    cell: Cell = SLOW
    middle: float = 270.0  # in the middle of the wall, at half height
    transmural: float = 35.0  # endocardium longer than epicardium
    apicobasal: float = 20.0  # base longer than apex
    amplitude: float = 100.0
    ratio: float = 0.4  # σ_i / σ_o
    surface: float = (
        3.0  # a central dipole's potential on an insulated sphere, relative to an unbounded medium
    )


def sample_times(duration: float = 500.0, sample: float = 1.0) -> Tensor:
    """(T,) ms at which `pseudo_ecg` gives its leads; 0 is when the first site fires."""
    return torch.arange(round(duration / sample), dtype=torch.float64) * sample


def pseudo_ecg(
    activation: Activation,
    duration: float = 500.0,
    sample: float = 1.0,
    repolarisation: Repolarisation | None = None,
) -> Tensor:
    """Leads (P, 12, T) in mV, in the order of `LEADS`, at `sample_times(duration, sample)`."""
    if duration <= 0 or sample <= 0:
        raise UsageError(f"ECG: duration {duration} and sample {sample} must be > 0 ms")
    repolarisation = repolarisation or Repolarisation()
    fields = _lead_field(activation) * (_gain(repolarisation))
    times = activation.times.flatten(1)
    alive = torch.isfinite(times)
    starts = torch.where(alive, times, 0.0)
    rise, fall, own, lead_in = _template(repolarisation.cell, sample, duration, times)
    ends = starts + _durations(activation, repolarisation).flatten(1) - own
    count = round(duration / sample)
    potential = _respond(fields, starts / sample, rise, lead_in, count)
    potential = potential + _respond(fields, ends / sample, fall, lead_in, count)
    return leads_of(potential)


def _gain(repolarisation: Repolarisation) -> float:
    return repolarisation.amplitude * repolarisation.ratio * repolarisation.surface / (4 * pi)


def leads_of(potential: Tensor) -> Tensor:
    """The 12 leads (P, 12, T) of potentials (P, 9, T) at `ELECTRODES`."""
    right, left, foot = potential[:, 0], potential[:, 1], potential[:, 2]
    terminal = (right + left + foot) / 3
    limbs = [left - right, foot - right, foot - left]
    augmented = [right - (left + foot) / 2, left - (right + foot) / 2, foot - (right + left) / 2]
    chest = [potential[:, 3 + index] - terminal for index in range(6)]
    return torch.stack([*limbs, *augmented, *chest], dim=1)


def electrodes(activation: Activation) -> Tensor:
    """(P, 9, 3) mm in the heart's frame: `ELECTRODES` around the centre of the LV wall."""
    left = (activation.ventricle == LEFT).flatten(1).to(activation.times.dtype)
    points = _places(activation)
    centre = (left @ points) / left.sum(1, keepdim=True)
    axes = torch.tensor(AXES, dtype=points.dtype, device=points.device)
    chest = torch.tensor(list(ELECTRODES.values()), dtype=points.dtype, device=points.device)
    return centre[:, None] + chest @ axes.T


def _places(activation: Activation) -> Tensor:
    """(M, 3) mm: voxel centres in the heart's frame."""
    axes = [
        torch.arange(size).to(activation.origin) * activation.spacing for size in activation.times.shape[1:]
    ]
    return torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1).view(-1, 3) + activation.origin


def _lead_field(activation: Activation) -> Tensor:
    """(P, 9, M): what one unit of potential in each voxel gives at each electrode, per 4π σ_o / σ_i."""
    alive = torch.isfinite(activation.times)
    tensors = torch.zeros(*alive.shape, 6, dtype=activation.times.dtype, device=alive.device)
    tensors[..., :3] = 1
    operator = diffusion(tensors, alive, activation.spacing)
    points, places = _places(activation), electrodes(activation)
    fields = []
    for index in range(places.shape[1]):
        inverse = 1 / (points[None] - places[:, index, None]).norm(dim=-1)
        fields.append(operator.apply(inverse.view(alive.shape)).flatten(1))
    return torch.stack(fields, dim=1) * activation.spacing**3


def _durations(activation: Activation, repolarisation: Repolarisation) -> Tensor:
    """(P, X, Y, Z) ms."""
    across = 0.5 - activation.transmural.clamp(0, 1)
    along = activation.longitudinal.clamp(0, 1) - 0.5
    return repolarisation.middle + repolarisation.transmural * across + repolarisation.apicobasal * along


def _template(cell: Cell, sample: float, duration: float, like: Tensor) -> tuple[Tensor, Tensor, float, int]:
    """The action potential as a rise that stays on the plateau, and a fall from there, both (2 K,).

    Also the time in ms from the upstroke to half of the fall, and the samples before the upstroke. Splitting
    the potential on its plateau is what allows each voxel a duration of its own.
    """
    step = 0.05
    times, v = action_potential(cell, start=0.06, duration=max(duration, 500.0), step=step)
    upstroke = float(times[int((v >= 0.5).nonzero()[0])])
    plateau = int(v.argmax()) + round(60 / step)
    rise = v.clone()
    rise[plateau:] = v[plateau]
    fall = v - rise
    half = float(times[int((v >= v.max() / 2).nonzero()[-1])]) - upstroke
    lead_in = int(upstroke / sample) + 1
    count = 2 * round(duration / sample) + lead_in
    at = (torch.arange(count, dtype=torch.float64) - lead_in) * sample + upstroke
    index = (at / step).round().long()
    known = index.clamp(0, len(v) - 1)
    first = torch.where(index >= 0, rise[known], 0.0)
    second = torch.where(index >= 0, fall[known], 0.0)
    return first.to(like), second.to(like), half, lead_in


def _respond(fields: Tensor, starts: Tensor, shape: Tensor, lead_in: int, count: int) -> Tensor:
    """Σ_i field_i shape(t - start_i), (P, 9, T), by counting fields into time bins first.

    A start between two bins goes to both in proportion. starts: (P, M) in samples.
    """
    low = int(torch.floor(starts.min()))
    bins = int(torch.ceil(starts.max())) - low + 2
    place = starts - low
    whole = place.floor().long()
    share = place - whole
    table = torch.zeros(*fields.shape[:2], bins, dtype=fields.dtype, device=fields.device)
    index = whole[:, None].expand_as(fields)
    table.scatter_add_(2, index, fields * (1 - share[:, None]))
    table.scatter_add_(2, index + 1, fields * share[:, None])
    age = (
        torch.arange(count, device=fields.device)
        - torch.arange(low, low + bins, device=fields.device)[:, None]
    )
    age = age + lead_in
    kernel = torch.where(age >= 0, shape[age.clamp(0, len(shape) - 1)], 0.0)
    return table @ kernel
