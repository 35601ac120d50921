from functools import cache

import torch
from torch import Tensor

from simulation.heart.anatomy import volumes
from simulation.heart.anatomy.coordinates import LEFT, locate
from simulation.heart.anatomy.shape import Anatomy
from simulation.heart.imaging.raster import LV, MYOCARDIUM, RV, Raster, rasterise
from simulation.heart.imaging.slices import Stack, short_axis
from simulation.heart.imaging.tissues import HEART
from simulation.heart.motion import Motion, build_motion
from tests.simulation.heart.anatomies import hearts

PATIENTS = 2
ED, ES = 0, 1


def still() -> Anatomy:
    return hearts()[0:PATIENTS]


@cache
def motion() -> Motion:
    """End-diastole and an end-systole."""
    anatomy = still()
    now = torch.tensor([0.0, 1.0], dtype=torch.float64)
    strain = (-0.17 * now)[None, :, None].expand(PATIENTS, -1, 17)
    left = volumes.cavity(anatomy)[:, None] * (1 - 0.5 * now)
    right = volumes.rv_cavity(anatomy)[:, None] * (1 - 0.5 * now)
    return build_motion(anatomy, strain, strain, 0.2 * now.expand(PATIENTS, -1), left, right)


def stack(slices: int, thickness: float, distance: float, breathing: Tensor | None = None) -> Stack:
    none = torch.zeros(PATIENTS, dtype=torch.float64)
    shift = torch.zeros(PATIENTS, slices, 3, dtype=torch.float64) if breathing is None else breathing
    return short_axis(
        still().length,
        none,
        (none, none),
        shift,
        size=(112, 112),
        spacing=1.4,
        thickness=thickness,
        distance=distance,
    )


@cache
def dense() -> Raster:
    """Slices without gaps, from below the apex to above the base: they count volume."""
    return rasterise(motion(), stack(15, 8.0, 8.0))


def first(places: Stack) -> Stack:
    """Of the first patient."""
    return Stack(
        places.centres[:1], places.across[:1], places.down[:1], places.breathing[:1],
        places.size, places.spacing, places.thickness, places.distance,
    )  # fmt: skip


def millilitres(name: str) -> Tensor:
    """(P, 2)"""
    share = dense().fractions[:, :, :, HEART.index(name)]
    return share.sum((1, 3, 4)) * (1.4 * 1.4 * 8.0 / 1000)


def test_shares_are_between_nothing_and_everything() -> None:
    shares = dense().fractions
    assert shares.min() >= 0
    assert shares.sum(3).max() < 1 + 1e-9


def test_the_wall_in_the_pictures_has_the_anatomys_volume_in_every_phase() -> None:
    wall = volumes.wall(still())[:, None]
    assert ((millilitres("myocardium") - wall) / wall).abs().max() < 0.02


def test_the_cavities_in_the_pictures_have_the_volumes_of_the_beat() -> None:
    left, right = motion().volumes()
    seen = millilitres("lv_blood") + millilitres("papillary")
    assert ((seen - left) / left).abs().max() < 0.02
    assert ((millilitres("rv_blood") - right) / right).abs().max() < 0.03


def test_below_the_apex_there_is_no_heart() -> None:
    places = stack(15, 8.0, 8.0).centres[:, :, 2]
    below = places < -still().length[:, None] - 5.5
    assert bool(below.any())
    assert dense().fractions[below].abs().max() == 0


def test_the_lv_has_no_wall_of_the_rv_where_there_is_no_rv() -> None:
    middle = dense().fractions[:, 7, ED]
    side = middle[:, HEART.index("rv_wall"), :, 80:]  # the lateral wall is on the right
    assert bool((middle[:, HEART.index("myocardium"), :, 80:] > 0.9).any())
    assert side.max() == 0


def test_the_septum_is_on_the_left_and_the_anterior_wall_at_the_top() -> None:
    labels = dense().labels[0, 7, ED]
    column = torch.arange(112)
    middle = {kind: (column * (labels == kind).sum(0)).sum() / (labels == kind).sum() for kind in (RV, LV)}
    assert middle[RV] < middle[LV] - 10
    up = stack(15, 8.0, 8.0)
    assert torch.allclose(up.down[0], torch.tensor([0.0, -1.0, 0.0], dtype=torch.float64))


def test_labels_are_what_fills_most_of_a_voxel_and_papillary_muscles_are_cavity() -> None:
    shares = dense().fractions
    cavity = shares[:, :, :, HEART.index("lv_blood")] + shares[:, :, :, HEART.index("papillary")]
    wall = shares[:, :, :, HEART.index("myocardium")]
    assert bool((shares[:, :, :, HEART.index("papillary")] > 0.9).any())
    assert bool((dense().labels[cavity > 0.51] == LV).all())
    assert bool((dense().labels[wall > 0.51] == MYOCARDIUM).all())
    assert bool((dense().labels[shares.sum(3) < 0.3] == 0).all())


def test_the_cavity_above_the_base_is_not_labelled() -> None:
    # The base descends in systole: what was ventricle is then atrium.
    top = [(dense().labels[:, :, phase] == LV).any(-1).any(-1).int().argmax(1) for phase in (ED, ES)]
    assert bool((top[ES] > top[ED]).all())
    assert bool((millilitres("atrial_blood")[:, ES] > 0).all())


def test_breathing_shifts_a_slice_and_no_other() -> None:
    shift = torch.zeros(PATIENTS, 3, 3, dtype=torch.float64)
    shift[:, 1, 0] = 5 * 1.4  # five columns
    before = rasterise(motion(), stack(3, 8.0, 25.0), [ED]).fractions
    after = rasterise(motion(), stack(3, 8.0, 25.0, shift), [ED]).fractions
    assert torch.allclose(before[:, [0, 2]], after[:, [0, 2]])
    assert torch.allclose(before[:, 1, ..., :-5], after[:, 1, ..., 5:], atol=1e-9)


def test_a_patient_does_not_depend_on_the_batch() -> None:
    both = stack(3, 8.0, 25.0)
    one = Stack(
        both.centres[1:], both.across[1:], both.down[1:], both.breathing[1:],
        both.size, both.spacing, both.thickness, both.distance,
    )  # fmt: skip
    alone = rasterise(motion()[1:2], one, [ES]).fractions
    assert torch.allclose(alone[0], rasterise(motion(), both, [ES]).fractions[1], atol=1e-9)


def test_the_share_of_a_voxel_is_what_lies_in_it() -> None:
    """Against a thousand points a voxel, pulled back to end-diastole and located there."""
    place, parts = 7, (8, 8, 16)
    points = stack(15, 8.0, 8.0).points(0, place, parts)
    share = dense().fractions[0, place, ES, HEART.index("myocardium")]
    edge = ((share > 0.02) & (share < 0.98)).nonzero()[::5]
    assert len(edge) > 30
    inside = points[edge[:, 0], edge[:, 1]].flatten(0, 1)[None]
    found = locate(motion().anatomy[0:1], motion()[0:1].pull_back(inside, ES)).ventricle == LEFT
    counted = found.view(len(edge), -1).double().mean(1)
    away = (share[edge[:, 0], edge[:, 1]] - counted).abs()
    assert away.mean() < 0.02
    assert away.max() < 0.1


def test_more_sub_voxels_change_volumes_by_less_than_two_in_a_hundred() -> None:
    wall = volumes.wall(still()[0:1])
    one = first(stack(15, 8.0, 8.0))
    for parts in ((1, 1, 2), (1, 1, 8), (2, 2, 4)):
        fine = rasterise(motion()[0:1], one, [ES], parts)
        volume = 1.4 * 1.4 * 8.0 / 1000
        shares = fine.fractions[:, :, :, HEART.index("myocardium")].sum() * volume
        labels = (fine.labels == MYOCARDIUM).sum() * volume
        assert abs(float((shares - wall) / wall)) < 0.02, parts
        assert abs(float((labels - wall) / wall)) < 0.05, parts  # a label is all or nothing


def test_above_the_base_there_are_only_atria_and_their_walls() -> None:
    high = stack(15, 8.0, 8.0).centres[:, :, 2] > 4.5  # the whole slice is above
    assert bool(high.any())
    shares = dense().fractions[high].sum((0, 1, 3, 4))
    for name in ("lv_blood", "myocardium", "rv_blood", "papillary"):
        assert shares[HEART.index(name)] == 0, name
    assert shares[HEART.index("atrial_blood")] > 0
    assert bool((dense().labels[high] == 0).all())


def test_papillary_muscles_take_their_blood_from_the_cavity() -> None:
    without = rasterise(motion()[0:1], first(stack(15, 8.0, 8.0)), [ED], papillary=False).fractions
    assert without[:, :, :, HEART.index("papillary")].max() == 0
    blood = without[:, :, :, HEART.index("lv_blood")].sum()
    kept = dense().fractions[:1, :, [ED]].sum((0, 1, 2, 4, 5))
    assert torch.isclose(kept[HEART.index("lv_blood")] + kept[HEART.index("papillary")], blood)
    assert kept[HEART.index("papillary")] > 0


def test_the_same_hearts_give_the_same_raster() -> None:
    again = rasterise(motion(), stack(3, 8.0, 25.0), [ES])
    before = rasterise(motion(), stack(3, 8.0, 25.0), [ES])
    assert torch.equal(again.fractions, before.fractions)
    assert torch.equal(again.labels, before.labels)


def test_single_precision_gives_the_same_raster() -> None:
    whole = motion()
    single = Motion(
        whole.anatomy.to(torch.float32),
        *(each.float() for each in (whole.stretch, whole.height, whole.closing, whole.twist, whole.widening)),
    )
    places = stack(3, 8.0, 25.0)
    rounded = Stack(
        places.centres.float(), places.across.float(), places.down.float(), places.breathing.float(),
        places.size, places.spacing, places.thickness, places.distance,
    )  # fmt: skip
    away = rasterise(single, rounded).fractions - rasterise(whole, places).fractions
    assert away.abs().mean() < 1e-5
    assert away.abs().max() < 0.3  # a sub-voxel at the valve plane is above it or below
