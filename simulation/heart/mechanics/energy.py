"""Where the work of a beat goes: what the bridges deliver is pumped, lost to viscosity, or stored.

With the one-fibre relation p dV_s = σ_s V_w dε_s (Arts et al. 1991, Biophys J 59:93) and the law of
`sarcomere`,

    −Σ V_w ∫ (k_c ξ_0 + σ_c) ė_c dt
        = −∮ p dV + Σ V_w ∫ (μ ε̇² + C_c ė_c²) dt + Δ(energy of passive, series and tether springs)

holds exactly for the equations; what is left over measures the steps in time. kPa mL = mJ.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from simulation.heart.mechanics import passive, tether
from simulation.heart.mechanics.ventricle import Trajectory, Ventricle, fibre_strain


@dataclass(frozen=True)
class Balance:
    """Energies of one beat, (P,) mJ."""

    delivered: Tensor  # by bridges that shorten
    pumped: Tensor  # −∮ p dV, the area of the pressure-volume loop
    viscous: Tensor  # in the parallel viscosity
    damped: Tensor  # by C_c
    stored: Tensor  # end less beginning, all springs

    @property
    def residual(self) -> Tensor:
        """(P,) mJ that are unaccounted for."""
        return self.delivered - self.pumped - self.viscous - self.damped - self.stored


def balance(trajectory: Trajectory, ventricle: Ventricle) -> Balance:
    """The account of one beat, by the trapezoidal rule over its instants."""
    walls = ventricle.wall_volume[:, None]
    strain = _along(trajectory, ventricle)
    interval = trajectory.times.diff(dim=1)[..., None]
    change, slide = strain.diff(dim=1), trajectory.strain.diff(dim=1)
    bridges = ventricle.law.preload * trajectory.stiffness + trajectory.stress
    volume = trajectory.volumes.sum(-1)
    return Balance(
        delivered=-(walls * _middle(bridges) * slide).sum((1, 2)),
        pumped=-(_middle(trajectory.pressure) * volume.diff(dim=1)).sum(1),
        viscous=(walls * ventricle.wall.viscosity * change**2 / interval).sum((1, 2)),
        damped=(walls * ventricle.law.damping * slide**2 / interval).sum((1, 2)),
        stored=_springs(trajectory, strain, ventricle, -1) - _springs(trajectory, strain, ventricle, 0),
    )


def _along(trajectory: Trajectory, ventricle: Ventricle) -> Tensor:
    """ε (P, N+1, 17)."""
    return torch.stack([fibre_strain(volume, ventricle) for volume in trajectory.volumes.unbind(1)], 1)


def _middle(values: Tensor) -> Tensor:
    return (values[:, 1:] + values[:, :-1]) / 2


def _springs(trajectory: Trajectory, strain: Tensor, ventricle: Ventricle, instant: int) -> Tensor:
    """Energy (P,) mJ in passive, series and tether springs at one instant."""
    now = strain[:, instant]
    series = ventricle.law.series * (now - trajectory.strain[:, instant]) ** 2 / 2
    away = now - ventricle.relaxed
    held = ventricle.tether * away * tether.differences(away, ventricle.near) / 2
    elastic = passive.energy(now, ventricle.exponent, ventricle.wall)
    return (ventricle.wall_volume * (series + held + elastic)).sum(1)
