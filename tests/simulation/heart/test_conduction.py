import numpy as np
import pytest
import torch

from ground.errors import UsageError
from simulation.heart.anatomy.coordinates import LEFT, RIGHT
from simulation.heart.anatomy.population import draw, stack
from simulation.heart.anatomy.shape import build
from simulation.heart.electrophysiology import conduction
from simulation.heart.electrophysiology.conduction import SITES, Speeds


def activate(*terms, spacing=3.5, **more):
    """Coarser than in use, to save time."""
    return conduction.activate(*terms, spacing=spacing, **more)


@pytest.fixture(scope="module")
def hearts():
    return build(stack([draw("normal", np.random.default_rng(seed)) for seed in (1, 2)]))


@pytest.fixture(scope="module")
def healthy(hearts):
    return activate(hearts)


def patch(transmural, longitudinal, angle):
    """A transmural scar in the lateral wall."""
    return ((longitudinal > 0.3) & (longitudinal < 0.7) & (angle.abs() > 2.5)).to(transmural.dtype)


def test_every_voxel_of_a_healthy_wall_is_activated(healthy):
    assert torch.equal(torch.isfinite(healthy.times), healthy.wall)


def test_a_healthy_heart_is_activated_within_the_width_of_a_narrow_complex(healthy):
    """Durrer 1970: the ventricles are activated within about 80 ms; a narrow QRS lasts at most 110 ms."""
    assert (healthy.total() > 45).all()
    assert (healthy.total() < 110).all()


def test_the_septum_is_early_and_the_basal_inferolateral_wall_late(healthy):
    assert (healthy.segments[:, 7:9].amax(1) < healthy.segments.median(1).values).all()
    assert (healthy.segments[:, 4] > healthy.segments[:, :6].median(1).values).all()


def test_the_endocardium_of_the_free_wall_is_activated_before_the_epicardium(healthy):
    lateral = (healthy.ventricle == LEFT) & (healthy.angle.abs() > 2)
    inner = healthy.times[lateral & (healthy.transmural < 0.3)].mean()
    outer = healthy.times[lateral & (healthy.transmural > 0.7)].mean()
    assert inner + 5 < outer


def test_left_bundle_branch_block_delays_the_lateral_wall_but_not_the_rv(hearts, healthy):
    blocked = activate(hearts, block="left")
    assert (blocked.total() > 110).all()
    assert (blocked.segments[:, 10] > healthy.segments[:, 10] + 30).all()
    # But for single voxels of the coarse grid, where the RV's wall meets the late side of the septum.
    late = [each.times[each.ventricle == RIGHT].quantile(0.99) for each in (blocked, healthy)]
    assert late[0] - late[1] < 20


def test_right_bundle_branch_block_delays_the_rv_but_not_the_lv(hearts, healthy):
    blocked = activate(hearts, block="right")
    assert (
        blocked.times[blocked.ventricle == RIGHT].max() > healthy.times[healthy.ventricle == RIGHT].max() + 30
    )
    assert (blocked.segments - healthy.segments).abs().max() < 10


def test_each_patient_may_have_a_block_of_its_own(hearts, healthy):
    mixed = activate(hearts, block=["none", "left"])
    assert torch.equal(mixed.segments[0], healthy.segments[0])
    assert mixed.total()[1] > 110


def test_nothing_conducts_in_dense_scar_and_segments_stay_finite(hearts):
    scarred = activate(hearts, patch)
    dense = scarred.wall & (scarred.density >= Speeds().blocking)
    assert dense.any()
    assert torch.isinf(scarred.times[dense]).all()
    assert torch.isfinite(scarred.segments).all()


def test_loose_scar_delays_what_lies_in_it(hearts, healthy):
    loose = activate(hearts, lambda *place: 0.5 * patch(*place))
    inside = loose.wall & (loose.density > 0)
    assert loose.times[inside].mean() > healthy.times[inside].mean() + 5
    assert torch.isfinite(loose.times[loose.wall]).all()


def test_a_site_inside_dense_scar_is_silent(hearts):
    only = [SITES[0]]
    septal = activate(hearts, lambda t, z, a: (a.abs() < 0.5).to(t.dtype) * (z > 0.2), sites=only)
    assert torch.isinf(septal.times).all()


def test_a_patient_does_not_depend_on_the_batch(hearts, healthy):
    alone = activate(hearts[1:2])
    assert torch.equal(alone.segments, healthy.segments[1:2])
    assert float(alone.total()) == float(healthy.total()[1])


def test_segments_hardly_depend_on_the_spacing(hearts, healthy):
    fine = activate(hearts[:1], spacing=2.5)
    assert (fine.segments - healthy.segments[:1]).abs().max() < 6


def test_an_unknown_block_is_refused(hearts):
    with pytest.raises(UsageError, match="one of none, left, right"):
        activate(hearts, block="both")
