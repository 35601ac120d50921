"""Problems with known answers, and tables of how the solvers converge to them (`docs/verification.md`).

Exact fronts (`ionic`), a manufactured solution of the monodomain equation, arrival times in a homogeneous
anisotropic medium. Double precision throughout.
"""

from __future__ import annotations

from math import cos, exp, log2, pi, sin

import torch
from torch import Tensor

from simulation.heart.electrophysiology.diffusion import diffusion
from simulation.heart.electrophysiology.eikonal import arrival_times
from simulation.heart.electrophysiology.ionic import (
    Cell,
    action_potential,
    duration,
    front_speed,
    leading_duration,
)
from simulation.heart.electrophysiology.monodomain import Splitting, solve
from simulation.heart.electrophysiology.tensors import along_fibres, inverse

Table = tuple[str, list[str], list[list[str]]]
FROZEN = 1e12  # ms: a gate that does not move in our time
EXACT = 1e-8  # relative to 1 or to 1 ms: below it, an error is rounding


def speed_of(
    spacing: float, cell: Cell, step: float, length: float = 30.0, splitting: Splitting = "godunov"
) -> float:
    """Measured speed in mm/ms of a plane front between one and two thirds of a cable; D = 0.1 mm²/ms."""
    count = round(length / spacing)
    tensors = torch.zeros(1, count, 1, 1, 6, dtype=torch.float64)
    tensors[..., :3] = 0.1
    operator = diffusion(tensors, torch.ones(1, count, 1, 1, dtype=torch.bool), spacing)
    v = torch.zeros(1, count, 1, 1, dtype=torch.float64)
    v[:, : round(3 / spacing)] = 1
    times = solve(operator, cell, v, 2.6 * length, step, splitting=splitting).activation.flatten()
    first, last = count // 3, 2 * count // 3
    return (last - first) * spacing / float(times[last] - times[first])


def fronts() -> Table:
    """Speed of a plane front against the exact one."""
    rows = []
    exact = front_speed(0.1, Cell())
    for name, cell in (("frozen", Cell(tau_open=FROZEN, tau_close=FROZEN)), ("alive", Cell())):
        before = 0.0
        for spacing in (0.25, 0.125, 0.0625):
            speed = speed_of(spacing, cell, 0.01, splitting="strang")
            error = speed - exact
            order = log2(before / error) if before and name == "frozen" else None
            rows.append([name, f"{spacing:g}", f"{speed:.4f}", f"{100 * error / exact:+.2f}", _order(order)])
            before = error
    title = f"Plane front, D = 0.1 mm²/ms, Strang, dt = 0.01 ms; exact at h = 1: {exact:.5f} mm/ms"
    return title, ["gate", "dx (mm)", "speed (mm/ms)", "error (%)", "order"], rows


def durations() -> Table:
    """Action potential duration of the cell alone."""
    cell = Cell()
    rows = [["τ_close ln(τ_out / (4 τ_in))", f"{leading_duration(cell):.1f}"]]
    for step in (0.2, 0.1, 0.05):
        value = duration(*action_potential(cell, 0.2, 450.0, step), cell.gate)
        rows.append([f"equations from v = 0.2, dt = {step:g} ms", f"{value:.2f}"])
    return "Action potential duration, time above v_gate", ["by", "ms"], rows


class Manufactured:
    """A solution on the unit square, or cube, with no flux, and the current J that makes it one.

    v = 0.55 + a cos(ωt) Π cos(π x_i); D varies, its mixed components vanish on the sides. v stays above the
    gate's threshold, so that h = exp(-t / τ_close).
    """

    def __init__(self, count: int, dimensions: int, cell: Cell) -> None:
        self.cell, self.dimensions = cell, dimensions
        self.spacing = 1 / count
        sizes = [count if axis < dimensions else 1 for axis in range(3)]
        axes = [(torch.arange(size, dtype=torch.float64) + 0.5) / count for size in sizes]
        self.x = torch.meshgrid(*axes, indexing="ij")
        self.mask = torch.ones(1, *sizes, dtype=torch.bool)
        self.tensors, self.divergence = self._medium()

    def _medium(self) -> tuple[Tensor, Tensor]:
        """D (1, X, Y, Z, 6), and div(D grad s) of the shape s = Π cos(π x_i)."""
        n = self.dimensions
        with torch.enable_grad():
            x = [each.clone().requires_grad_(True) for each in self.x]
            shape = torch.ones_like(x[0])
            for axis in range(n):
                shape = shape * torch.cos(pi * x[axis])
            s = [torch.sin(pi * each) for each in x]
            parts = [0.02 * (1 + 0.5 * x[0]), 0.015 * (1 + 0.3 * x[1] * x[0]), 0.02 * (1 + 0.2 * x[0])]
            parts += [0.008 * s[0] * s[1], 0.006 * s[0] * s[2], 0.005 * s[1] * s[2]]
            place = ((0, 3, 4), (3, 1, 5), (4, 5, 2))
            slopes = _slopes(shape, x)
            total = torch.zeros_like(shape)
            for a in range(n):
                flux = sum((parts[place[a][b]] * slopes[b] for b in range(n)), torch.zeros_like(shape))
                total = total + _slopes(flux, x)[a]
        self.shape = shape.detach()[None]
        return torch.stack([part.detach() for part in parts], dim=-1)[None], total.detach()[None]

    def exact(self, t: float) -> Tensor:
        """V at time t ms."""
        return 0.55 + 0.2 * cos(0.7 * t) * self.shape

    def source(self, t: float) -> Tensor:
        """J at time t ms: ∂v/∂t - div(D grad v) - the cell's currents."""
        v, h = self.exact(t), exp(-t / self.cell.tau_close)
        current = h * v * v * (1 - v) / self.cell.tau_in - v / self.cell.tau_out
        return -0.14 * sin(0.7 * t) * self.shape - 0.2 * cos(0.7 * t) * self.divergence - current

    def error(self, duration: float, step: float, splitting: Splitting) -> float:
        """Largest error of v after `duration` ms."""
        operator = diffusion(self.tensors, self.mask, self.spacing)
        found = solve(
            operator,
            self.cell,
            self.exact(0.0),
            duration,
            step,
            splitting=splitting,
            source=self.source,
        )
        return float((found.v - self.exact(duration)).abs().max())


def _slopes(value: Tensor, x: list[Tensor]) -> list[Tensor]:
    found = torch.autograd.grad(value.sum(), x, create_graph=True, allow_unused=True)
    return [torch.zeros_like(value) if each is None else each for each in found]


def space() -> Table:
    """Order in space, in two and three dimensions."""
    rows, cell = [], Cell(tau_in=2, tau_out=12)
    for dimensions, counts in ((2, (8, 16, 32, 64)), (3, (6, 12, 24))):
        errors = [Manufactured(count, dimensions, cell).error(0.4, 2e-3, "strang") for count in counts]
        rows += _orders(str(dimensions), [f"1/{count}" for count in counts], errors)
    title = "Manufactured solution, space (Strang, dt = 0.002 ms)"
    return title, ["dimensions", "dx (mm)", "error", "order"], rows


def steps() -> Table:
    """Order in time of both splittings, against the same grid's solution with a very small step."""
    rows, sizes = [], (0.1, 0.05, 0.025, 0.0125)
    splittings: tuple[Splitting, ...] = ("godunov", "strang")
    for splitting in splittings:
        errors = [time_error(size, splitting) for size in sizes]
        rows += _orders(splitting, [f"{size:g}" for size in sizes], errors)
    return "Manufactured solution, time (grid 8 x 8)", ["splitting", "dt (ms)", "error", "order"], rows


def time_error(step: float, splitting: Splitting, finest: float = 1e-3) -> float:
    """Largest difference after 2 ms to the same grid's solution with steps of `finest` ms."""
    problem = Manufactured(8, 2, Cell(tau_in=2, tau_out=12))
    operator = diffusion(problem.tensors, problem.mask, problem.spacing)

    def at(dt: float, how: Splitting) -> Tensor:
        return solve(
            operator, problem.cell, problem.exact(0.0), 2.0, dt, splitting=how, source=problem.source
        ).v

    return float((at(step, splitting) - at(finest, "strang")).abs().max())


def _orders(label: str, names: list[str], errors: list[float]) -> list[list[str]]:
    """Rows of runs whose resolution doubles each time; no order where nothing but rounding is left."""
    rows, before = [], 0.0
    for name, error in zip(names, errors, strict=True):
        known = before > EXACT and error > EXACT
        rows.append([label, name, f"{error:.1e}", _order(log2(before / error) if known else None)])
        before = error
    return rows


def _order(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


def eikonal_error(count: int, kind: str) -> float:
    """Largest error in ms on a cube of 20 mm, 0.6 and 0.25 mm/ms along and across an oblique fibre.

    kind: one site; two sites, fronts collide; a ball of 6 ms whose times are given.
    """
    spacing = 20 / (count - 1)
    fibre = torch.tensor([0.6, 0.5, 0.3], dtype=torch.float64)
    speeds = along_fibres(fibre / fibre.norm(), 0.6**2, 0.25**2).expand(1, count, count, count, 6)
    axis = torch.arange(count, dtype=torch.float64) * spacing
    points = torch.stack(torch.meshgrid(axis, axis, axis, indexing="ij"), dim=-1)
    sites = [[7.3, 8.1, 9.2]] if kind != "two sites" else [[3.0, 4.0, 5.0], [15.0, 14.0, 12.0]]
    distances = [
        distance(speeds[0, 0, 0, 0], points - torch.tensor(site, dtype=torch.float64)) for site in sites
    ]
    exact = torch.stack(distances).amin(0)[None]
    mask = torch.ones(1, count, count, count, dtype=torch.bool)
    if kind == "ball":
        start = torch.where(exact < 6, exact, float("inf"))
        found = arrival_times(speeds, mask, spacing, start=start, tolerance=1e-9)
    else:
        position = torch.tensor([sites], dtype=torch.float64)
        found = arrival_times(
            speeds, mask, spacing, position, torch.zeros(position.shape[:2]).double(), tolerance=1e-9
        )
    return float((found - exact).abs().max())


def distance(speeds: Tensor, away: Tensor) -> Tensor:
    """√(xᵀ D⁻¹ x) for one tensor (6,) and vectors (..., 3)."""
    xx, yy, zz, xy, xz, yz = inverse(speeds).unbind()
    x, y, z = away.unbind(-1)
    return (xx * x * x + yy * y * y + zz * z * z + 2 * (xy * x * y + xz * x * z + yz * y * z)).sqrt()


def eikonal() -> Table:
    """Errors of arrival times in a homogeneous anisotropic medium."""
    rows, counts = [], (11, 21, 41)
    for kind in ("one site", "two sites", "ball"):
        errors = [eikonal_error(count, kind) for count in counts]
        rows += _orders(kind, [f"{20 / (count - 1):g}" for count in counts], errors)
    title = "Eikonal, constant tensor, cube of 20 mm, last arrival after 70 ms"
    return title, ["start", "h (mm)", "max error (ms)", "order"], rows


def tables() -> list[Table]:
    """All tables: title, header, rows."""
    return [fronts(), durations(), space(), steps(), eikonal()]
