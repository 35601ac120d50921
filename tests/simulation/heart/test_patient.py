"""One digital heart as a whole: the same recipe, the same heart; what is on the pictures is what is true."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.ndimage import binary_fill_holes

from ground.errors import UsageError
from simulation.heart import picture
from simulation.heart.imaging import look, randomise, trabeculae
from simulation.heart.imaging.raster import rasterise
from simulation.heart.imaging.tissues import HEART, SURROUNDINGS
from simulation.heart.infarct import place
from simulation.heart.patient import DigitalHeart, pairs, simulate
from simulation.heart.people import draw
from simulation.heart.physiology import live
from simulation.heart.picture import Protocol
from simulation.heart.strata import recipes
from simulation.recipe import Recipe

SMALL = Protocol(slices=10, phases=6, size=72, spacing=2.5, enhancement=True)


def recipe(stratum: str = "age=scar,territory=LAD", seed: int = 7, **parameters: float) -> Recipe:
    return replace(recipes(stratum, 1, seed)[0], parameters=parameters)


@pytest.fixture(scope="module")
def infarcted() -> DigitalHeart:
    return simulate(recipe(extent=0.9, transmurality=1.0, severity=1.0), SMALL)


@pytest.fixture(scope="module")
def normal() -> DigitalHeart:
    return simulate(recipe("group=normal"), SMALL)


def test_the_same_recipe_gives_the_same_heart_bit_for_bit(infarcted: DigitalHeart) -> None:
    again = simulate(infarcted.recipe, SMALL)
    for name in ("images", "labels", "enhancement", "scar", "lv_ml", "ecg_mv", "strain_circumferential"):
        assert np.array_equal(getattr(again, name), getattr(infarcted, name)), name


def test_another_seed_gives_another_heart(infarcted: DigitalHeart) -> None:
    other = simulate(recipe(seed=8), SMALL)
    assert not np.array_equal(other.images, infarcted.images)
    assert other.lv_ml[0] != infarcted.lv_ml[0]


def test_arrays_have_the_shapes_that_the_protocol_says(infarcted: DigitalHeart) -> None:
    assert infarcted.images.shape == infarcted.labels.shape == (10, 6, 72, 72)
    assert infarcted.enhancement is not None
    assert infarcted.enhancement.shape == infarcted.scar.shape == (10, 72, 72)
    assert infarcted.strain_radial.shape == (6, 17)
    assert infarcted.ecg_mv.shape[0] == 12


def test_the_labels_hold_the_volumes_that_the_curves_say(normal: DigitalHeart) -> None:
    voxel = np.abs(np.linalg.det(normal.affine[:3, :3])) / 1000.0
    for phase in (0, normal.end_systole):
        counted = (normal.labels[:, phase] == 3).sum() * voxel
        assert counted == pytest.approx(normal.lv_ml[phase], rel=0.1)  # of thick slices


def test_blood_is_brighter_than_muscle_and_lung_is_dark(normal: DigitalHeart) -> None:
    blood = np.median(normal.images[normal.labels == 3])
    muscle = np.median(normal.images[normal.labels == 2])
    assert blood > 2 * muscle
    assert np.percentile(normal.images, 5) < 0.5 * muscle


def test_a_scar_is_bright_in_late_enhancement_and_lies_in_the_wall(infarcted: DigitalHeart) -> None:
    assert infarcted.enhancement is not None
    scar, wall = infarcted.scar == 4, infarcted.scar == 2
    assert scar.sum() > 50
    assert np.median(infarcted.enhancement[scar]) > 3 * np.median(infarcted.enhancement[wall])
    assert np.isin(infarcted.labels[:, 0][scar], [2]).all()


def test_an_acute_infarct_is_oedema_in_the_cine_and_moves_with_the_muscle() -> None:
    made = recipe("age=acute,territory=LAD", extent=0.9, transmurality=1.0, severity=1.0)
    hearts = live([draw(made)], 6, electrophysiology=False, steps=400)
    systole = int(hearts.beat.end_systole[0])
    view = picture.views(hearts, SMALL)[0]
    raster = picture.filled(hearts, 0, view, [0, systole])
    healthy = picture.filled(replace(hearts, infarct=place([None])), 0, view, [0, systole])
    assert torch.equal(raster.labels, healthy.labels)
    torch.testing.assert_close(raster.fractions.sum(3), healthy.fractions.sum(3))
    dead, wall = (each.fractions[0, :, :, kind].sum((0, 2, 3)) for each, kind in ((raster, 5), (healthy, 1)))
    share = dead / wall
    assert 0.15 < float(share[0]) < 0.6
    assert float(share[1]) == pytest.approx(float(share[0]), rel=0.25)  # some of the wall leaves the slices
    assert float(raster.fractions[:, :, :, 4].max()) == 0  # no scar yet


def test_dead_segments_shorten_less(infarcted: DigitalHeart) -> None:
    strain = infarcted.strain_circumferential[infarcted.end_systole]
    dead, alive = infarcted.infarcted > 0.6, infarcted.infarcted < 0.05
    assert dead.sum() >= 3
    assert strain[dead].mean() > strain[alive].mean() + 0.05


def test_a_heart_without_infarct_says_so(normal: DigitalHeart) -> None:
    assert normal.infarct is None
    assert not normal.infarcted.any()
    assert not (normal.scar == 4).any()


def test_fixing_a_parameter_of_the_anatomy_or_the_function_is_obeyed() -> None:
    heart = simulate(
        recipe("group=normal", edv_ml=160.0, heart_rate=75.0), Protocol(slices=2, phases=4, size=32)
    )
    assert heart.lv_ml[0] == pytest.approx(160.0, rel=0.01)
    assert heart.cycle_ms == pytest.approx(800.0)


def test_an_unknown_parameter_is_refused_by_name() -> None:
    with pytest.raises(UsageError, match="colour"):
        simulate(recipe(colour=1.0))


def test_at_random_a_recipe_still_gives_the_same_bytes() -> None:
    small, random = (Protocol(slices=3, phases=2, size=48, spacing=3.5, randomise=r) for r in (False, True))
    plain, first, again = (pairs([recipe("age=acute")], each) for each in (small, random, random))
    assert np.array_equal(first.images, again.images)
    assert np.array_equal(first.labels, again.labels)
    assert not np.array_equal(first.images, plain.images)
    assert not np.array_equal(first.labels, plain.labels)  # deformed, as the pictures are


def test_at_random_labels_lie_where_the_pictures_show_the_heart(monkeypatch: pytest.MonkeyPatch) -> None:
    def black_and_white(_: object) -> look.Look:
        heart = np.array([float("blood" in name) for name in HEART])
        return look.Look(heart, np.zeros(len(SURROUNDINGS)), texture=0.0, coil=(0.0, 0.0), noise=0.0)

    monkeypatch.setattr(randomise, "draw", black_and_white)
    monkeypatch.setattr(trabeculae, "draw", lambda _: None)
    monkeypatch.setattr(picture, "rasterise", lambda *given, **_: rasterise(*given, papillary=False))
    heart = recipe("group=dilated,scanner=c")
    made, straight = (pairs([heart], Protocol(5, 2, 96, 2.0, randomise=random)) for random in (True, False))
    middle, same = made.place == 2, straight.place == 2  # no atria there
    white = made.images[middle] > 550  # half of what scanner c stores of blood
    cavity = np.isin(made.labels[middle], (1, 3))
    assert cavity.mean() > 0.05
    assert (white != cavity).mean() < 0.1 * cavity.mean()
    wrong = np.isin(straight.labels[same], (1, 3))  # not deformed: what the test would catch
    assert (white != wrong).mean() > 0.2 * cavity.mean()


def test_slices_to_train_on_show_the_wall_at_both_phases() -> None:
    made = pairs(recipes("any", 3, 2), SMALL)
    assert len(made.images) == len(made.labels) == len(made.patient) == len(made.systole)
    assert set(made.patient.tolist()) == {0, 1, 2}
    assert made.systole.any()
    assert not made.systole.all()
    assert (made.labels == 2).any(axis=(1, 2)).all()


def test_the_apex_turns_counter_clockwise_as_the_pictures_show_it() -> None:
    hearts = live([draw(recipe("group=normal"))], 6)
    systole = int(hearts.beat.end_systole[0])
    apical = torch.tensor([[[20.0, 0.0, -0.8 * float(hearts.anatomy.length[0])]]])
    x, y, _ = hearts.motion.carry(apical, systole)[0, 0].tolist()
    # Seen from the apex, the septum (x) on the left and anterior (y) at the top: from x away from y.
    assert y < 0 < x


@pytest.mark.parametrize("group", ["normal", "dilated", "abnormal-rv"])
@pytest.mark.parametrize("scanner", ["a", "b", "c"])
def test_slices_cover_the_heart_whatever_the_scanner(group: str, scanner: str) -> None:
    wide = Protocol(slices=10, phases=2, size=72, spacing=2.5)
    heart = simulate(recipe(f"group={group},scanner={scanner}", seed=3), wide)
    voxel = np.abs(np.linalg.det(heart.affine[:3, :3])) / 1000.0
    assert (heart.labels[:, 0] == 3).sum() * voxel == pytest.approx(heart.lv_ml[0], rel=0.08)


def test_there_is_no_gap_between_cavity_and_wall(normal: DigitalHeart) -> None:
    for image in normal.labels[:, 0]:
        ventricle = (image == 2) | (image == 3)
        holes = binary_fill_holes(ventricle) & ~ventricle & (image == 0)
        assert holes.sum() <= 0.02 * max(ventricle.sum(), 100)


def test_end_systole_does_not_hang_on_rounding() -> None:
    made = recipes("any", 4, 9)
    together, alone = pairs(made, SMALL), [pairs([each], SMALL) for each in made]
    # Of a batch sums round otherwise, which moves a border's voxel here and there, not a phase.
    assert np.mean(together.labels != np.concatenate([each.labels for each in alone])) < 1e-4


@pytest.mark.parametrize("wild", [{"stiffness": 0.1}, {"heart_rate": 300.0}, {"contraction": 2000.0}])
def test_a_recipe_that_no_heart_survives_is_refused_in_a_line(wild: dict[str, float]) -> None:
    with pytest.raises(UsageError, match="no steady beat"):
        simulate(recipe("group=normal", **wild), Protocol(slices=1, phases=2, size=32))


@pytest.mark.parametrize(("name", "value"), [("phases", 1), ("slices", 0), ("size", 8), ("spacing", -1.0)])
def test_a_protocol_that_shows_nothing_is_refused_by_name(name: str, value: float) -> None:
    with pytest.raises(UsageError, match=name):
        Protocol(**{name: value})  # type: ignore[arg-type]


def test_fixing_one_value_leaves_the_luck_of_the_rest() -> None:
    free, fixed = draw(recipe("group=normal")), draw(recipe("group=normal", heart_rate=80.0))
    assert free.measures == fixed.measures
    assert free.scanner == fixed.scanner
