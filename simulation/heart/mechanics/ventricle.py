"""Seventeen segments of muscle around one cavity: how they move through time together.

One-fibre relation of Arts, Bovendeerd, Prinzen, Reneman (1991, Biophys J 59:93), for each segment s with its
own share V_s of the cavity and its own wall V_w,s:

    ε_s = ⅓ ln((V_w + 3 V_s)/(V_w + 3 V_0)),   p = σ_s V_w/(V_w + 3 V_s),   so p dV_s = σ_s V_w dε_s exactly

The fibre stress σ_s is the exponential spring of `passive`, a parallel viscosity, the pull of neighbours in
`tether`, and the active law of `sarcomere`. Semi-implicit steps: within one, the strain rate of a segment is
affine in the pressure, so that the pressure follows in closed form (`circulation.settle`) and nothing is
iterated.

mL, kPa, ms; leading dimension P (patients), then 17 segments. Nothing here couples patients, so that one does
not depend on the others in its batch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from simulation.heart.mechanics import circulation, sarcomere, tether
from simulation.heart.mechanics.circulation import Circulation
from simulation.heart.mechanics.passive import Wall
from simulation.heart.mechanics.sarcomere import Fibre, Law

SEGMENTS = 17
AHEAD = 0.05  # furthest extrapolation of a fibre's strain over one step


@dataclass(frozen=True)
class Ventricle:
    """What does not change during a beat; tensors (P, 17) unless said otherwise."""

    wall_volume: Tensor  # mL
    unloaded: Tensor  # V_w + 3 V_0, mL
    relaxed: Tensor  # ε_0, fibre strain at passive end-diastole
    tether: Tensor  # K V̄_w/V_w,i, kPa
    tether_slope: Tensor  # what a segment's own strain adds to the pull of its tethers, kPa
    near: Tensor  # (17, 5) neighbours of each segment
    contractility: Tensor
    exponent: Tensor  # of resting muscle, k × stiffness
    delay: Tensor  # ms from end-diastole to the start of active force
    duration: Tensor  # (P, 1) ms of depolarisation
    relaxation: Tensor  # (P, 1)
    cycle: Tensor  # (P, 1) ms
    around: Circulation
    law: Law
    wall: Wall

    @property
    def slack(self) -> Tensor:
        """V_0 (P, 17) mL, the cavity's shares without load."""
        return (self.unloaded - self.wall_volume) / 3


class State(NamedTuple):
    """What one step hands to the next."""

    volume: Tensor  # (P, 17) mL
    fibre: Fibre  # (P, 17)
    store: Tensor  # (P,) kPa in the Windkessel
    velocity: Tensor  # dε/dt of the last step, (P, 17) 1/ms


@dataclass(frozen=True)
class Trajectory:
    """Every step of one beat, first dimension P, second N+1 instants from end-diastole to end-diastole."""

    times: Tensor  # (P, N+1) ms
    volumes: Tensor  # (P, N+1, 17) mL
    pressure: Tensor  # (P, N+1) kPa
    aorta: Tensor  # (P, N+1) kPa
    store: Tensor  # (P, N+1) kPa
    inflow: Tensor  # (P, N+1) mL/ms
    outflow: Tensor  # (P, N+1) mL/ms
    stiffness: Tensor  # k_c, (P, N+1, 17) kPa
    stress: Tensor  # σ_c, (P, N+1, 17) kPa
    strain: Tensor  # e_c, (P, N+1, 17)
    rate: Tensor  # ė_c, (P, N+1, 17) 1/ms


def fibre_strain(volume: Tensor, ventricle: Ventricle) -> Tensor:
    """ε_s of cavity shares (P, 17) in mL, relative to the slack volume."""
    return torch.log(torch.add(ventricle.wall_volume, volume, alpha=3) / ventricle.unloaded) / 3


class Drive(NamedTuple):
    """What a step is driven by, at its middle."""

    attaching: Tensor  # |u|₊ × contractility, (P, 17) 1/ms
    turnover: Tensor  # |u|, (P, 17) 1/ms
    atrium: Tensor  # (P,) kPa


def step(state: State, drive: Drive, length: Tensor, ventricle: Ventricle) -> tuple[State, circulation.Flow]:
    """One step of `length` (P, 1) ms."""
    wall = ventricle.wall
    outer = torch.add(ventricle.wall_volume, state.volume, alpha=3)
    strain = torch.log(outer / ventricle.unloaded) / 3
    # The exponential is linearised where the last step points to, not where it ended: a wall that is being
    # loaded is stiffer by the end of the step, and would overshoot.
    ahead = torch.clamp(length * state.velocity, -AHEAD, AHEAD)
    elastic = wall.stress * torch.exp(ventricle.exponent * (strain + ahead))
    stiff = ventricle.exponent * elastic
    active = sarcomere.respond(state.fibre, strain, drive.attaching, drive.turnover, length, ventricle.law)
    held = tether.differences(strain - ventricle.relaxed, ventricle.near) * ventricle.tether
    tangent = stiff + ventricle.tether_slope
    mobility = outer / (active.tension_slope + length * tangent + wall.viscosity)
    inward = (elastic - stiff * ahead + held + active.tension - wall.stress) * mobility
    outward = mobility * outer / ventricle.wall_volume
    flow = circulation.settle(
        -inward.sum(1), outward.sum(1), drive.atrium, state.store, length[:, 0], ventricle.around
    )
    growth = outward * flow.pressure[:, None] - inward
    volume = state.volume + length * growth
    velocity = growth / outer
    fibre = sarcomere.finish(state.fibre, active, velocity, length)
    return State(volume, fibre, flow.store, velocity), flow


def run(
    state: State, filling: Tensor, steps: int, ventricle: Ventricle, keep: bool = False
) -> tuple[State, Trajectory | None]:
    """One cycle from end-diastole in `steps` steps, filled by an atrium at `filling` (P,) kPa plus its kick.

    With `keep`, every instant of it as well; what is known only inside a step (pressures, flows) stands at
    the step's end, and at instant 0 repeats instant N.
    """
    length = ventricle.cycle / steps
    ends = torch.arange(1, steps + 1, dtype=length.dtype, device=length.device)[:, None] * length[:, 0]
    middles = ends - length[:, 0] / 2
    elapsed = torch.remainder(middles[:, :, None] - ventricle.delay, ventricle.cycle)
    command = sarcomere.command(elapsed, ventricle.duration, ventricle.relaxation, ventricle.law)
    attaching = torch.clamp(command, min=0) * ventricle.contractility
    kick = circulation.atrial_kick(ventricle.cycle[:, 0] - middles)
    atria = filling + ventricle.around.kick * kick
    states, flows = [state], []
    for drive in zip(attaching.unbind(), command.abs().unbind(), atria.unbind(), strict=True):
        state, flow = step(state, Drive(*drive), length, ventricle)
        if keep:
            states.append(state)
            flows.append(flow)
    return state, _trajectory(states, flows, ends) if keep else None


def _trajectory(states: list[State], flows: list[circulation.Flow], ends: Tensor) -> Trajectory:
    """Lists of N+1 states and N flows as tensors with the patients first."""
    flows = [flows[-1], *flows]
    return Trajectory(
        times=torch.cat([torch.zeros_like(ends[:1]), ends]).T,
        volumes=torch.stack([state.volume for state in states], 1),
        pressure=torch.stack([flow.pressure for flow in flows], 1),
        aorta=torch.stack([flow.aorta for flow in flows], 1),
        store=torch.stack([state.store for state in states], 1),
        inflow=torch.stack([flow.inflow for flow in flows], 1),
        outflow=torch.stack([flow.outflow for flow in flows], 1),
        stiffness=torch.stack([state.fibre.stiffness for state in states], 1),
        stress=torch.stack([state.fibre.stress for state in states], 1),
        strain=torch.stack([state.fibre.strain for state in states], 1),
        rate=torch.stack([state.fibre.rate for state in states], 1),
    )
