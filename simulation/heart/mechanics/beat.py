"""A heartbeat: what goes in, the periodic state, and what an image or a motion needs of it.

The heart is run until it repeats itself. Atrial pressure is not given but found, so that the ventricle fills
to the end-diastolic volume of the anatomy: `filling_pressure` of `Function` sets the slack volumes, the
pressure found adds what viscosity, rate and incomplete relaxation cost, less what the kick gives.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ground.errors import UsageError
from simulation.heart.mechanics import passive, sarcomere, strain, tether
from simulation.heart.mechanics.circulation import Circulation
from simulation.heart.mechanics.function import Function
from simulation.heart.mechanics.passive import Wall
from simulation.heart.mechanics.sarcomere import Law
from simulation.heart.mechanics.ventricle import SEGMENTS, State, Trajectory, Ventricle, fibre_strain, run

LAW = Law()
WALL = Wall()
ALIKE = 0.002
VALVE = 1.0  # kPa ms/mL of an open valve: 0.5 kPa at 500 mL/s, assumed


@dataclass(frozen=True)
class Beat:
    """One periodic beat, from end-diastole; T phases spread evenly over the cycle, the first at t = 0.

    Strains are Lagrangian (stretch − 1), of the middle of the wall, relative to end-diastole.
    """

    times: Tensor  # (T,) fraction of the cycle
    cycle_ms: Tensor  # (P,)
    volume: Tensor  # (P, T) mL
    pressure: Tensor  # (P, T) kPa
    aortic_pressure: Tensor  # (P, T) kPa
    strain_circumferential: Tensor  # (P, T, 17)
    strain_longitudinal: Tensor  # (P, T, 17)
    strain_radial: Tensor  # (P, T, 17)
    twist: Tensor  # (P, T) rad, apex relative to base about the apex-to-base axis; < 0 is systole's sense
    filling_pressure: Tensor  # (P,) kPa, atrial between kicks, as it had to be
    periodicity: Tensor  # (P,) mL, end-diastolic volume of this beat less the one that follows
    trajectory: Trajectory
    ventricle: Ventricle

    @property
    def end_diastolic_volume(self) -> Tensor:
        """(P,) mL."""
        return self.trajectory.volumes[:, 0].sum(-1)

    @property
    def end_systolic_volume(self) -> Tensor:
        """(P,) mL, the smallest of the beat."""
        return self.trajectory.volumes.sum(-1).amin(1)

    @property
    def stroke_volume(self) -> Tensor:
        """(P,) mL."""
        return self.end_diastolic_volume - self.end_systolic_volume

    @property
    def ejection_fraction(self) -> Tensor:
        """(P,) between 0 and 1."""
        return self.stroke_volume / self.end_diastolic_volume

    @property
    def cardiac_output(self) -> Tensor:
        """(P,) L/min."""
        return self.stroke_volume / self.cycle_ms * 60.0

    @property
    def systolic_pressure(self) -> Tensor:
        """(P,) kPa, highest in the aorta."""
        return self.trajectory.aorta.amax(1)

    @property
    def diastolic_pressure(self) -> Tensor:
        """(P,) kPa, lowest in the aorta."""
        return self.trajectory.aorta.amin(1)

    @property
    def end_systole(self) -> Tensor:
        """(P,) the first phase, 0 to T−1, whose volume is the smallest but for ALIKE of the stroke.

        The volume stands still in isovolumic relaxation, where rounding would choose.
        """
        least, most = self.volume.amin(1, keepdim=True), self.volume.amax(1, keepdim=True)
        return (self.volume <= least + ALIKE * (most - least)).int().argmax(1)


def beat(
    function: Function,
    edv: Tensor,
    wall_volume: Tensor,
    cavity_share: Tensor,
    activation_ms: Tensor,
    contractility_factor: Tensor | None = None,
    stiffness_factor: Tensor | None = None,
    *,
    phases: int = 25,
    steps: int = 800,
    law: Law = LAW,
    wall: Wall = WALL,
) -> Beat:
    """Beats until the heart is periodic and fills to `edv`, then one that is kept.

    edv (P,) mL; wall_volume (P, 17) mL; cavity_share (P, 17), any positive numbers, what counts is each one's
    part of their sum; activation_ms (P, 17) after end-diastole; factors (P, 17), 1 is healthy,
    contractility 0 is dead. The kept beat has `steps` steps (a multiple of 4). Before it come five beats in a
    quarter as many steps, two in half as many, one like it; the atrial pressure is extrapolated from those.

    Raises UsageError where a wall volume, share or stiffness is not positive or a shape is not (P, 17).
    """
    ventricle = assemble(
        function, edv, wall_volume, cavity_share, activation_ms, contractility_factor, stiffness_factor,
        law, wall,
    )  # fmt: skip
    share = _shares(edv, cavity_share)
    state = State(
        share,
        sarcomere.rest(fibre_strain(share, ventricle)),
        0.5 * edv * function.resistance / ventricle.cycle[:, 0],
        torch.zeros_like(share),
    )
    compliance = _compliance(share, ventricle)
    tuner = _Filling(function.filling_pressure, compliance, edv, compliance)
    found = []
    for count, beats in ((steps // 4, 5), (steps // 2, 2), (steps, 1)):
        for _ in range(beats):
            state, _ = run(state, tuner.pressure, count, ventricle)
            tuner = tuner.learn(state.volume.sum(1))
        found.append(tuner.pressure)
        # The error of the steps is of first order; it moves the volume, which no secant may take for slope.
        finer = 1.5 * found[-1] - 0.5 * found[-2] if len(found) == 2 else found[-1]
        tuner = replace(tuner, pressure=finer, before=None)
    _, trajectory = run(state, tuner.pressure, steps, ventricle, keep=True)
    assert trajectory is not None  # noqa: S101
    return sample(trajectory, ventricle, function, tuner.pressure, phases)


@dataclass(frozen=True)
class _Filling:
    """Searches the atrial pressure that fills the ventricle to its end-diastolic volume, a beat at a time.

    A secant that starts from the slope of the passive ventricle and stays between a tenth and thrice that
    (less where there is little time to fill); steps of at most 0.5 kPa.
    """

    pressure: Tensor  # (P,) kPa
    passive: Tensor  # (P,) mL/kPa
    target: Tensor  # (P,) mL
    slope: Tensor  # (P,) mL/kPa
    before: tuple[Tensor, Tensor] | None = None  # pressure and volume of the last beat

    def learn(self, reached: Tensor) -> _Filling:
        """The next pressure to try, after a beat that ended at `reached` (P,) mL."""
        slope = self.slope
        if self.before is not None:
            change = self.pressure - self.before[0]
            moved = change.abs() > 0.01
            secant = (reached - self.before[1]) / torch.where(moved, change, 1.0)
            low, high = 0.1 * self.passive, 3 * self.passive
            slope = torch.where(moved, torch.minimum(torch.maximum(secant, low), high), slope)
        move = torch.clamp((self.target - reached) / slope, -0.5, 0.5)
        pressure = torch.clamp(self.pressure + move, min=0.05)
        return replace(self, pressure=pressure, slope=slope, before=(self.pressure, reached))


def _shares(edv: Tensor, cavity_share: Tensor) -> Tensor:
    return cavity_share / cavity_share.sum(1, keepdim=True) * edv[:, None]


def _compliance(share: Tensor, ventricle: Ventricle) -> Tensor:
    """dV/dp (P,) mL/kPa of the passive ventricle at cavity shares (P, 17)."""
    outer = ventricle.wall_volume + 3 * share
    stress = passive.stress(fibre_strain(share, ventricle), ventricle.exponent, ventricle.wall)
    tangent = ventricle.exponent * (stress + ventricle.wall.stress)
    return (outer**2 / (ventricle.wall_volume * (tangent - 3 * stress))).sum(1)


def assemble(
    function: Function,
    edv: Tensor,
    wall_volume: Tensor,
    cavity_share: Tensor,
    activation_ms: Tensor,
    contractility_factor: Tensor | None = None,
    stiffness_factor: Tensor | None = None,
    law: Law = LAW,
    wall: Wall = WALL,
) -> Ventricle:
    """The ventricle that `beat` runs; arguments as there."""
    one = torch.ones_like(wall_volume)
    contractility_factor = one if contractility_factor is None else contractility_factor
    stiffness_factor = one if stiffness_factor is None else stiffness_factor
    _check(
        edv,
        {"wall volume": wall_volume, "cavity share": cavity_share, "stiffness factor": stiffness_factor},
        {"activation": activation_ms, "contractility factor": contractility_factor},
    )
    contractility = function.contractility[:, None] * contractility_factor
    exponent = wall.exponent * function.stiffness[:, None] * stiffness_factor
    share = _shares(edv, cavity_share)
    pressure = function.filling_pressure[:, None]
    relaxed = passive.relaxed_strain(share, wall_volume, pressure, exponent, wall)
    spread = wall_volume.mean(1, keepdim=True) / wall_volume
    near = tether.neighbours(edv.device)
    valve = torch.full_like(edv, VALVE)
    around = Circulation(
        function.resistance, function.compliance, function.impedance, valve, valve, function.atrial_kick
    )
    return Ventricle(
        wall_volume=wall_volume,
        unloaded=(wall_volume + 3 * share) * torch.exp(-3 * relaxed),
        relaxed=relaxed,
        tether=wall.tether * spread,
        tether_slope=wall.tether * spread * tether.degree(near),
        near=near,
        contractility=contractility,
        exponent=exponent,
        delay=activation_ms + function.onset[:, None],
        duration=function.contraction[:, None],
        relaxation=function.relaxation[:, None],
        cycle=60_000 / function.heart_rate[:, None],
        around=around,
        law=law,
        wall=wall,
    )


def _check(edv: Tensor, positive: Mapping[str, Tensor], any_sign: Mapping[str, Tensor]) -> None:
    patients = (len(edv), SEGMENTS)
    for name, value in {**positive, **any_sign}.items():
        if tuple(value.shape) != patients:
            raise UsageError(f"heart beat: {name} has shape {tuple(value.shape)}; give {patients}")
        if not bool(torch.isfinite(value).all()):
            raise UsageError(f"heart beat: {name} of some segment is not a finite number; give one")
    for name, value in positive.items():
        if not bool((value > 0).all()):
            raise UsageError(f"heart beat: {name} of some segment is not positive; give numbers above 0")


def sample(
    trajectory: Trajectory, ventricle: Ventricle, function: Function, filling: Tensor, phases: int
) -> Beat:
    """T phases of a trajectory, linear between its instants."""
    steps = trajectory.times.shape[1] - 1
    times = torch.arange(phases, dtype=trajectory.times.dtype, device=trajectory.times.device) / phases
    place = times * steps
    left = place.long()
    weight = place - left

    def at(values: Tensor) -> Tensor:
        shape = (1, -1) + (1,) * (values.ndim - 2)
        return torch.lerp(values[:, left], values[:, left + 1], weight.reshape(shape))

    volumes = at(trajectory.volumes)
    outer = ventricle.wall_volume[:, None] + 3 * volumes
    fibre = torch.log(outer / outer[:, :1]) / 3
    middle = strain.middle(volumes, volumes[:, :1], ventricle.wall_volume[:, None])
    weights = ventricle.wall_volume / ventricle.wall_volume.sum(1, keepdim=True)
    shortening = -(torch.expm1(fibre) * weights[:, None]).sum(-1)
    total = trajectory.volumes.sum(-1)
    return Beat(
        times=times,
        cycle_ms=ventricle.cycle[:, 0],
        volume=volumes.sum(-1),
        pressure=at(trajectory.pressure),
        aortic_pressure=at(trajectory.aorta),
        strain_circumferential=strain.circumferential(middle),
        strain_longitudinal=strain.longitudinal(middle),
        strain_radial=strain.radial(middle),
        # Seen from the apex it turns counter-clockwise, from the anterior wall towards the septum.
        twist=-function.twist[:, None] * shortening,
        filling_pressure=filling,
        periodicity=total[:, -1] - total[:, 0],
        trajectory=trajectory,
        ventricle=ventricle,
    )
