from dataclasses import replace
from functools import cache

import pytest
import torch
from torch import Tensor

from simulation.heart.anatomy import volumes
from simulation.heart.anatomy.coordinates import LEFT, locate, place
from simulation.heart.mechanics.function import PUBLISHED
from simulation.heart.people import Person, draw
from simulation.heart.physiology import RV_MOST, Hearts, live, typical_activation
from simulation.heart.strata import recipes

SEEDS = 12


def people(stratum: str, count: int, seed: int = 0, **parameters: float) -> list[Person]:
    return [draw(replace(each, parameters=parameters)) for each in recipes(stratum, count, seed)]


@cache
def healthy() -> Hearts:
    return live(people("group=normal", SEEDS), 20, electrophysiology=False, steps=400)


@cache
def struck() -> Hearts:
    """One person with a large, healed LAD infarct; the same without, as dilated, with the same vessels."""
    given = {"extent": 0.9, "transmurality": 1.0, "severity": 1.0}
    vessels = {"resistance": 120.0, "impedance": 6.0, "compliance": 13.0}
    person = people("age=scar,territory=LAD", 1, 7, **given, **vessels)[0]
    return live([person, replace(person, lesion=None)], 12, steps=400)


@cache
def scarred() -> Hearts:
    """Infarcts in double precision."""
    return live(
        people("group=infarct,age=scar", 3, 5), 6, electrophysiology=False, steps=400, dtype=torch.float64
    )


def at_end_systole(hearts: Hearts, values: Tensor) -> Tensor:
    """(P, 17) of (P, T, 17)."""
    return values[torch.arange(len(values)), hearts.beat.end_systole]


def walls(hearts: Hearts, rows: int = 40) -> Tensor:
    """(P, M, 3) mm: points all over the LV's wall, some way off its surfaces and the base."""
    share = torch.rand(len(hearts.anatomy), rows**2, 3, generator=torch.Generator().manual_seed(1)).double()
    somewhere = locate(hearts.anatomy, torch.zeros_like(share))
    at = replace(
        somewhere,
        transmural=0.01 + 0.98 * share[..., 0],
        longitudinal=0.02 + 0.97 * share[..., 1],
        angle=2 * torch.pi * share[..., 2],
        ventricle=torch.full_like(somewhere.ventricle, LEFT),
    )
    return place(hearts.anatomy, at)


def test_the_motion_has_the_volumes_of_the_beat_and_the_beat_that_of_the_anatomy() -> None:
    for hearts in (healthy(), struck(), scarred()):
        left, right = hearts.motion.volumes()
        edv = volumes.cavity(hearts.anatomy)
        assert torch.allclose(left[:, 0], edv, rtol=1e-5)
        assert torch.allclose(right[:, 0], volumes.rv_cavity(hearts.anatomy), rtol=1e-5)
        # The beat fills to the anatomy's volume within a tolerance.
        assert torch.allclose(left, hearts.beat.volume, rtol=0.005)
        assert torch.allclose(right, hearts.rv_ml, rtol=1e-5)


def test_both_ventricles_eject_the_same_stroke() -> None:
    for hearts in (healthy(), struck()):
        left, right = hearts.motion.volumes()
        stroke = left[:, 0] - left.amin(1)
        assert torch.allclose(right[:, 0] - right.amin(1), stroke, rtol=1e-4)


def test_a_small_rv_is_not_emptied() -> None:
    hearts = live(people("group=normal", 1, rv_edv_ml=70.0), 8, electrophysiology=False, steps=400)
    left, right = hearts.motion.volumes()
    assert torch.allclose(right.amin(1) / right[:, 0], torch.tensor(1 - RV_MOST))
    assert bool((right[:, 0] - right.amin(1) < left[:, 0] - left.amin(1)).all())


def test_most_healthy_hearts_lie_in_published_ranges_as_pictures_show_them() -> None:
    hearts, published = healthy(), PUBLISHED["normal"]
    left, _ = hearts.motion.volumes()
    strains = [at_end_systole(hearts, each)[:, :16].mean(1) for each in hearts.motion.strains()]
    found = {
        "ejection fraction": (1 - left.amin(1) / left[:, 0], 11),
        "circumferential strain": (strains[0], 11),
        "longitudinal strain": (strains[1], 10),
        "radial strain": (strains[2], 11),
        "cardiac output (L/min)": (hearts.beat.cardiac_output, 9),
    }
    for name, (values, least) in found.items():
        low, high = published[name].low, published[name].high
        assert int(((values >= low) & (values <= high)).sum()) >= least, name
        assert low <= float(values.mean()) <= high, name


def test_strains_of_the_motion_are_near_those_of_the_beat() -> None:
    hearts = healthy()
    given = (hearts.beat.strain_circumferential, hearts.beat.strain_longitudinal, hearts.beat.strain_radial)
    for measured, asked, most in zip(hearts.motion.strains(), given, (0.02, 0.01, 0.03), strict=True):
        away = at_end_systole(hearts, measured - asked)[:, :16]
        assert away.mean(1).abs().max() < most  # the cavity's volume decides the mean around the ring
        assert away.abs().max() < 8 * most


def test_dead_segments_bulge_or_shorten_less_than_in_the_same_heart_without_infarct() -> None:
    hearts = struck()
    dead = hearts.infarct.fractions()[0] > 0.9
    alive = hearts.infarct.fractions()[0] == 0
    assert int(dead.sum()) >= 4
    for strain in (hearts.beat.strain_circumferential, hearts.motion.strains()[0]):
        infarcted, well = at_end_systole(hearts, strain)
        assert bool((infarcted[dead] > well[dead] + 0.05).all())
        # What lives is unloaded by what does not and shortens more.
        assert infarcted[alive].mean() < well[alive].mean()
    strain = hearts.beat.strain_circumferential[0, :, dead]
    assert bool((strain.amax(0) > 0.005).all())  # they bulge
    assert bool((at_end_systole(hearts, hearts.beat.strain_circumferential)[0, dead] > -0.02).all())
    thickening = at_end_systole(hearts, hearts.motion.strains()[2])
    assert bool((thickening[0, dead] < thickening[1, dead] - 0.1).all())


def test_a_scar_lowers_the_ejection_fraction() -> None:
    infarcted, well = struck().beat.ejection_fraction.tolist()
    assert infarcted < well - 0.05


def test_the_ejection_fraction_of_an_infarct_follows_from_how_much_is_dead() -> None:
    """Fixed extents, the same person: healthy at 0, then less and less, acute or dilated."""
    for age in ("acute", "scar"):
        given = [people(f"age={age},territory=LAD", 1, 3, extent=e)[0] for e in (0.0, 0.4, 0.9)]
        hearts = live(given, 10, electrophysiology=False, steps=400)
        none, some, much = hearts.beat.ejection_fraction.tolist()
        assert 0.5 < none < 0.68
        assert none - 0.02 > some > much + 0.02


def test_segments_activated_late_are_stretched_little_before_they_shorten() -> None:
    hearts = healthy()
    assert float(hearts.beat.strain_circumferential[:, :, :16].amax()) < 0.06
    # What is unusual is not made up for: the same hearts with one segment later still.
    late = torch.zeros(SEEDS, 17)
    late[:, 4] = 60.0
    delayed = live(hearts.people, 20, electrophysiology=False, steps=400, delay_ms=late)
    stretched = delayed.beat.strain_circumferential[:, :, 4].amax(1)
    assert bool((stretched > hearts.beat.strain_circumferential[:, :, 4].amax(1) + 0.02).all())


def test_people_with_and_without_infarct_are_the_same_otherwise() -> None:
    hearts = struck()
    for name, value in hearts.works[0].items():  # volumes of two builds differ in the last bits
        assert value == pytest.approx(hearts.works[1][name], rel=1e-5), name
    cavity, wall = volumes.cavity(hearts.anatomy), volumes.wall(hearts.anatomy)
    assert torch.isclose(cavity[0], cavity[1], rtol=1e-5)
    assert hearts.anatomy.endo_length[0] == hearts.anatomy.endo_length[1]
    assert wall[0] < 0.95 * wall[1]  # but for the scar, which is thin


def test_scar_delays_activation_where_it_lies() -> None:
    hearts = struck()
    later = hearts.segments_ms[0] - hearts.segments_ms[1]
    dead = hearts.infarct.fractions()[0] > 0.9
    assert bool((later > -1.0).all())  # the way through a thinner wall is shorter, by a fraction of a ms
    assert later[dead].amax() > 20
    assert later[dead].mean() > later[~dead].mean() + 5  # what lies behind the scar waits as well


def test_without_electrophysiology_every_heart_is_activated_as_a_typical_one() -> None:
    hearts = healthy()
    assert hearts.activation is None
    assert bool((hearts.segments_ms == torch.tensor(typical_activation())).all())


def test_the_thinned_wall_keeps_its_volume_wherever_it_moves() -> None:
    hearts, step = scarred(), 0.05
    where = walls(hearts)
    around = where[:, :, None] + 0.5 * step * torch.cat([torch.eye(3), -torch.eye(3)]).to(where)
    for phase in range(1, hearts.motion.twist.shape[1]):
        carried = hearts.motion.carry(around.flatten(1, 2), phase).view(around.shape)
        clear = carried[..., :2].norm(dim=-1).amin(2) > 2  # of the axis, where the map is a square root
        stretched = torch.linalg.det((carried[:, :, :3] - carried[:, :, 3:]) / step)
        assert clear.double().mean() > 0.9
        assert (stretched - 1)[clear].abs().max() < 0.01
        back = hearts.motion.pull_back(hearts.motion.carry(where, phase), phase)
        assert (back - where).abs().max() < 1e-6


def test_a_person_lives_twice_the_same() -> None:
    person = people("group=infarct", 1, 3)
    first, second = (live(person, 6, electrophysiology=False, steps=200) for _ in range(2))
    assert first.works == second.works
    assert torch.equal(first.beat.volume, second.beat.volume)
    assert torch.equal(first.motion.closing, second.motion.closing)


def test_a_heart_does_not_depend_on_who_else_lives() -> None:
    alone = live(
        people("group=infarct,age=scar", 3, 5)[1:2],
        6,
        electrophysiology=False,
        steps=400,
        dtype=torch.float64,
    )
    assert torch.allclose(alone.beat.volume, scarred().beat.volume[1:2], rtol=1e-10)
    assert torch.allclose(alone.motion.closing, scarred().motion.closing[1:2], atol=1e-8)
    # In single precision sums may round differently, no more.
    single = live(people("group=normal", 2)[1:2], 20, electrophysiology=False, steps=400)
    assert torch.allclose(single.beat.volume, healthy().beat.volume[1:2], rtol=1e-5)
    assert torch.allclose(single.motion.height, healthy().motion.height[1:2], atol=1e-2)
