from math import log2

import pytest
import torch

from ground.errors import UsageError
from simulation.heart.electrophysiology.diffusion import diffusion
from simulation.heart.electrophysiology.ionic import Cell, front_speed
from simulation.heart.electrophysiology.monodomain import solve
from simulation.heart.electrophysiology.tensors import along_fibres
from simulation.heart.electrophysiology.verification import FROZEN, Manufactured, speed_of, time_error


def medium(seed=0, patients=1, size=6):
    """Random tensors, positive definite, on a random mask."""
    random = torch.Generator().manual_seed(seed)
    shape = (patients, size, size, size)
    roots = torch.randn(*shape, 3, 3, generator=random, dtype=torch.float64)
    full = roots @ roots.mT + 0.1 * torch.eye(3)
    picks = ((0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2))
    tensors = torch.stack([full[..., a, b] for a, b in picks], dim=-1)
    return tensors, torch.rand(shape, generator=random) < 0.7


def field(like, seed=1):
    return torch.randn(like.shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_front_runs_as_fast_as_finite_differences_should():
    """Reference values: 0.3378 at 0.25 mm; at 0.0625 mm 0.3426, and 0.5 % less with a gate that moves."""
    assert speed_of(0.25, Cell(), 0.02) == pytest.approx(0.3378, abs=5e-4)
    fine = speed_of(0.0625, Cell(tau_open=FROZEN, tau_close=FROZEN), 0.0175, length=18)
    assert fine == pytest.approx(0.3426, abs=1e-3)


def test_front_speed_converges_to_the_exact_one_with_order_2():
    frozen = Cell(tau_open=FROZEN, tau_close=FROZEN)
    exact = front_speed(0.1, frozen)
    errors = [exact - speed_of(h, frozen, 0.02, length=24, splitting="strang") for h in (0.25, 0.125)]
    assert log2(errors[0] / errors[1]) == pytest.approx(2, abs=0.15)


@pytest.mark.parametrize(("dimensions", "counts"), [(1, (16, 32)), (2, (16, 32)), (3, (10, 20))])
def test_manufactured_solution_has_order_2_in_space(dimensions, counts):
    cell = Cell(tau_in=2, tau_out=12)
    errors = [Manufactured(count, dimensions, cell).error(0.2, 5e-3, "strang") for count in counts]
    assert log2(errors[0] / errors[1]) == pytest.approx(2, abs=0.2)


@pytest.mark.parametrize(("splitting", "order"), [("godunov", 1), ("strang", 2)])
def test_splitting_has_its_order_in_time(splitting, order):
    errors = [time_error(step, splitting, finest=5e-3) for step in (0.1, 0.05)]
    assert log2(errors[0] / errors[1]) == pytest.approx(order, abs=0.15)


def test_diffusion_conserves_on_any_mask():
    tensors, mask = medium()
    total = diffusion(tensors, mask, 0.5).apply(field(mask)).sum()
    assert abs(float(total)) < 1e-9


def test_diffusion_is_symmetric_and_never_makes_energy_on_any_mask():
    tensors, mask = medium()
    operator = diffusion(tensors, mask, 0.5)
    u, w = field(mask, 2), field(mask, 3)
    assert float((w * operator.apply(u)).sum()) == pytest.approx(float((u * operator.apply(w)).sum()))
    rows = torch.stack(
        [operator.apply(each.view(mask.shape)).flatten() for each in torch.eye(mask.numel()).double()]
    )
    assert torch.linalg.eigvalsh(rows).max() < 1e-9


def test_nothing_flows_out_of_the_mask():
    tensors, mask = medium()
    assert (diffusion(tensors, mask, 0.5).apply(field(mask))[~mask] == 0).all()


def test_a_linear_field_without_flux_through_oblique_conduction_stays_put():
    """In a slab, u = x - (Dxy / Dyy) y carries no flux through the sides y: nothing may change."""
    fibre = torch.tensor([0.6, 0.8, 0.0], dtype=torch.float64)
    tensors = along_fibres(fibre, 1.0, 0.2).expand(1, 9, 5, 1, 6)
    operator = diffusion(tensors, torch.ones(1, 9, 5, 1, dtype=torch.bool), 1.0)
    x, y = torch.meshgrid(torch.arange(9.0).double(), torch.arange(5.0).double(), indexing="ij")
    u = x - float(tensors[0, 0, 0, 0, 3] / tensors[0, 0, 0, 0, 1]) * y
    assert operator.apply(u[None, :, :, None])[0, 1:-1].abs().max() < 1e-12


def test_a_step_below_the_limit_is_stable_and_one_far_above_is_refused():
    tensors, mask = medium()
    operator = diffusion(tensors, mask, 0.5)
    u = field(mask)
    for _ in range(200):
        u = operator.advance(u, operator.largest_step())
    assert u.abs().max() < 10
    with pytest.raises(UsageError, match="unstable"):
        solve(operator, Cell(), u, 1.0, 2 * operator.largest_step())


def test_a_patient_does_not_depend_on_the_batch():
    tensors, mask = medium(patients=3)
    v = torch.rand(mask.shape, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    step = 0.9 * diffusion(tensors, mask, 2.0).largest_step()
    together = solve(diffusion(tensors, mask, 2.0), Cell(), v, 20 * step, step)
    alone = solve(diffusion(tensors[1:2], mask[1:2], 2.0), Cell(), v[1:2], 20 * step, step)
    assert torch.equal(together.v[1:2], alone.v)
    assert torch.equal(together.activation[1:2], alone.activation)


def test_the_front_stops_where_tissue_is_cut_out():
    tensors = torch.zeros(1, 40, 3, 1, 6)
    tensors[..., :3] = 0.1
    mask = torch.ones(1, 40, 3, 1, dtype=torch.bool)
    mask[:, 20] = False
    v = torch.zeros(1, 40, 3, 1)
    v[:, :4] = 1
    times = solve(diffusion(tensors, mask, 0.25), Cell(), v, 40.0, 0.05).activation
    assert torch.isfinite(times[:, :20]).all()
    assert torch.isinf(times[:, 20:]).all()


def test_what_is_given_is_not_changed():
    tensors, mask = medium()
    v = field(mask).abs()
    kept = v.clone()
    solve(diffusion(tensors, mask, 2.0), Cell(), v, 0.05, 0.01)
    assert torch.equal(v, kept)


def test_tensors_that_do_not_fit_are_refused():
    tensors, mask = medium()
    with pytest.raises(UsageError, match="do not fit"):
        diffusion(tensors[..., :3], mask, 1.0)
    with pytest.raises(UsageError, match="not positive"):
        diffusion(torch.zeros_like(tensors), mask, 1.0)
