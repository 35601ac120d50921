from dataclasses import fields, replace

import pytest
import torch

from ground.errors import UsageError
from simulation.heart.mechanics import energy, function, strain
from simulation.heart.mechanics.beat import beat
from simulation.heart.mechanics.passive import Wall
from simulation.heart.mechanics.tether import degree, differences, edges, neighbours

MMHG = function.MMHG
# ms after end-diastole, from septum and apex to the lateral base
ACTIVATION = (30, 15, 10, 25, 40, 35, 22, 10, 8, 18, 30, 25, 15, 8, 12, 20, 12)
NORMAL = {
    "contractility": 1.0,
    "stiffness": 1.0,
    "relaxation": 1.0,
    "resistance": 138.0,
    "compliance": 12.0,
    "impedance": 7.3,
    "heart_rate": 68.0,
    "filling_pressure": 1.2,
    "atrial_kick": 0.6,
    "onset": 20.0,
    "contraction": 343.0,
    "twist": 1.1,
}


def arguments(patients, dtype=torch.float64):
    """Hearts of 140 mL and 110 mL of wall, one for each mapping of what is not normal about it."""
    count = len(patients)
    return {
        "function": function.stack([NORMAL | patient for patient in patients], dtype),
        "edv": torch.full((count,), 140.0, dtype=dtype),
        "wall_volume": torch.full((count, 17), 110 / 17, dtype=dtype),
        "cavity_share": torch.ones(count, 17, dtype=dtype),
        "activation_ms": torch.tensor(ACTIVATION, dtype=dtype).repeat(count, 1),
    }


VARIANTS = (
    {},
    {"contractility": 1.2},
    {"resistance": 180.0},
    {"contractility": 0.8},
    {"stiffness": 1.2},
    {},  # one dead segment
    {},  # a dead territory
    {},  # one segment late
    {},  # a dead territory, three times as stiff
)
STEPS = 240
DEAD = [
    s - 1 for s in (1, 2, 7, 8, 13, 14, 17)
]  # what the left anterior descending artery feeds, Cerqueira 2002


@pytest.fixture(scope="module")
def hearts():
    given = arguments(VARIANTS)
    contractility = torch.ones_like(given["wall_volume"])
    contractility[5, 7] = 0
    stiffness = torch.ones_like(contractility)
    contractility[6, DEAD] = contractility[8, DEAD] = 0
    stiffness[8, DEAD] = 3
    given["activation_ms"][7, 4] = 120.0
    return beat(**given, contractility_factor=contractility, stiffness_factor=stiffness, steps=STEPS)


@pytest.fixture(scope="module")
def fine():
    return beat(**arguments(VARIANTS[:1]), steps=2 * STEPS)


def test_a_normal_heart_works_in_published_ranges(hearts):
    assert 0.55 <= float(hearts.ejection_fraction[0]) <= 0.70
    assert 4 <= float(hearts.cardiac_output[0]) <= 7
    assert 110 <= float(hearts.systolic_pressure[0] / MMHG) <= 130
    assert 70 <= float(hearts.diastolic_pressure[0] / MMHG) <= 90
    now = int(hearts.end_systole[0])
    assert -0.22 <= float(hearts.strain_circumferential[0, now, :16].mean()) <= -0.17
    assert -0.22 <= float(hearts.strain_longitudinal[0, now, :16].mean()) <= -0.15
    assert 0.30 <= float(hearts.strain_radial[0, now].mean()) <= 0.50
    assert 8.0 <= -float(hearts.twist[0].min()) * 180 / torch.pi <= 17.0  # systole's sense is negative


def test_the_beat_begins_at_the_volume_of_the_anatomy(hearts):
    assert hearts.end_diastolic_volume.tolist() == pytest.approx([140.0] * len(VARIANTS), abs=0.5)
    assert float(hearts.strain_circumferential[:, 0].abs().max()) == 0
    assert float(hearts.twist[:, 0].abs().max()) == 0


def test_the_beat_repeats_itself(hearts):
    assert float(hearts.periodicity.abs().max()) < 0.5
    store = hearts.trajectory.store
    assert float((store[:, -1] - store[:, 0]).abs().max()) < 0.01 * float(store.max())


def test_the_cavity_holds_what_flowed_in_less_what_flowed_out(hearts):
    course = hearts.trajectory
    step = course.times.diff(dim=1)
    net = ((course.inflow - course.outflow)[:, 1:] * step).sum(1)
    volume = course.volumes.sum(-1)
    assert torch.allclose(volume[:, -1] - volume[:, 0], net, atol=1e-9)


def test_the_windkessel_passes_on_what_it_receives(hearts):
    course, around = hearts.trajectory, hearts.ventricle.around
    step = course.times.diff(dim=1)
    received = (course.outflow[:, 1:] * step).sum(1)
    passed = (course.store[:, 1:] * step).sum(1) / around.resistance
    kept = around.compliance * (course.store[:, -1] - course.store[:, 0])
    assert torch.allclose(received, passed + kept, rtol=1e-9)


def test_valves_open_one_way_and_never_together(hearts):
    course = hearts.trajectory
    assert float(course.inflow.min()) >= 0
    assert float(course.outflow.min()) >= 0
    assert not bool(((course.inflow > 0) & (course.outflow > 0)).any())
    assert bool((course.pressure >= course.aorta - 1e-9)[course.outflow > 0].all())


def test_work_is_accounted_for_and_the_rest_falls_with_the_step(hearts, fine):
    rest = []
    for kept in (beat(**arguments(VARIANTS[:1]), steps=STEPS // 2), hearts, fine):
        account = energy.balance(kept.trajectory, kept.ventricle)
        rest.append(float(account.residual[0].abs() / account.pumped[0]))
    assert rest[2] < 0.02
    assert 1.5 < rest[0] / rest[1] < 2.5
    assert 1.5 < rest[1] / rest[2] < 2.5


def test_work_is_not_accounted_for_without_viscosity(fine):
    right = energy.balance(fine.trajectory, fine.ventricle)
    without = replace(fine.ventricle, wall=Wall(viscosity=0.0))
    wrong = energy.balance(fine.trajectory, without)
    assert bool((wrong.residual.abs() > 1.5 * right.residual.abs()).all())


def test_more_contractility_ejects_more_and_less_ejects_less(hearts):
    less, normal, more = (float(hearts.ejection_fraction[i]) for i in (3, 0, 1))
    assert less < normal - 0.02
    assert more > normal + 0.02


def test_more_resistance_raises_pressure_and_ejects_less(hearts):
    assert float(hearts.systolic_pressure[2]) > float(hearts.systolic_pressure[0]) + 0.5
    assert float(hearts.diastolic_pressure[2]) > float(hearts.diastolic_pressure[0]) + 0.5
    assert float(hearts.ejection_fraction[2]) < float(hearts.ejection_fraction[0])


def test_a_dead_segment_is_stretched_while_the_others_contract(hearts):
    early = hearts.strain_circumferential[5, :, 7]
    others = hearts.strain_circumferential[5, int(hearts.end_systole[5])]
    assert float(early.max()) > 0.03
    assert float(others[7]) > float(others[[0, 3, 4, 5]].mean()) + 0.08


def test_a_dead_territory_bulges_at_end_systole_and_costs_ejection(hearts):
    now = hearts.strain_circumferential[6, int(hearts.end_systole[6])]
    dead = torch.zeros(17, dtype=torch.bool)
    dead[DEAD] = True
    assert bool((now[dead] > 0).all())
    assert bool((now[~dead] < -0.08).all())
    assert bool((hearts.strain_radial[6, int(hearts.end_systole[6])][dead] < 0).all())
    assert float(hearts.ejection_fraction[6]) < float(hearts.ejection_fraction[0]) - 0.15


def test_a_late_segment_is_stretched_first(hearts):
    on_time, late = (hearts.strain_circumferential[i, :, 4] for i in (0, 7))
    assert float(late.max()) > float(on_time.max()) + 0.02
    assert int(late.argmin()) > int(on_time.argmin())


def test_a_stiff_scar_bulges_less_than_a_soft_one(hearts):
    soft, stiff = (float(hearts.strain_circumferential[i, :, 7].max()) for i in (6, 8))
    assert 0 < stiff < 0.6 * soft


def test_a_patient_does_not_depend_on_the_others(hearts):
    alone = beat(**arguments(VARIANTS[1:2]), steps=STEPS)
    for name in ("volume", "pressure", "aortic_pressure", "strain_radial", "twist", "filling_pressure"):
        assert torch.allclose(getattr(alone, name)[0], getattr(hearts, name)[1], rtol=1e-9, atol=1e-9)


def test_single_precision_agrees_with_double(hearts):
    single = beat(**arguments(VARIANTS[:1], torch.float32), steps=STEPS)
    assert single.volume.dtype == torch.float32
    assert torch.allclose(single.volume[0].double(), hearts.volume[0], atol=0.3)
    assert torch.allclose(single.pressure[0].double(), hearts.pressure[0], atol=0.05)


def test_the_result_depends_little_on_the_step(hearts, fine):
    assert float(fine.ejection_fraction[0]) == pytest.approx(float(hearts.ejection_fraction[0]), abs=4e-3)
    assert float(fine.systolic_pressure[0]) == pytest.approx(float(hearts.systolic_pressure[0]), rel=6e-3)


def test_the_atrium_follows_the_anatomy_whatever_the_wall_shares():
    given = arguments(({},))
    given["cavity_share"] = torch.linspace(0.3, 2.0, 17).double()[None]
    given["wall_volume"] = given["wall_volume"] * torch.linspace(1.5, 0.5, 17).double()
    kept = beat(**given, steps=STEPS)
    assert float(kept.end_diastolic_volume) == pytest.approx(140, abs=1.0)
    assert all(bool(torch.isfinite(getattr(kept, f.name)).all()) for f in fields(kept) if "strain" in f.name)


def test_a_thin_wall_thickens_as_incompressibility_says():
    """Beside the thickness of a sphere's shell, which no formula of `strain` is taken from."""
    before, now, wall = (torch.tensor(each, dtype=torch.float64) for each in (1000.0, 600.0, 1.0))

    def thickness(cavity):
        return (cavity + wall) ** (1 / 3) - cavity ** (1 / 3)

    found = strain.radial(strain.middle(now, before, wall))
    assert float(found) == pytest.approx(float(thickness(now) / thickness(before) - 1), rel=1e-3)


def test_the_middle_of_the_wall_keeps_its_volume_and_shortens_less_than_the_fibre_of_the_whole():
    now, before, wall = (torch.tensor([each], dtype=torch.float64) for each in (40.0, 100.0, 80.0))
    middle = strain.middle(now, before, wall)
    product = (1 + strain.circumferential(middle)) * (1 + strain.longitudinal(middle))
    assert float(product * (1 + strain.radial(middle))) == pytest.approx(1)
    assert float(middle) > float(torch.log((wall + 3 * now) / (wall + 3 * before)) / 3)
    assert float(3 * middle) == pytest.approx(float(torch.log((now + wall / 2) / (before + wall / 2))))


def test_every_segment_has_neighbours_and_a_common_stretch_costs_nothing():
    near = neighbours()
    matrix = differences(torch.eye(17, dtype=torch.float64), near)
    assert torch.equal(matrix, matrix.T)
    assert torch.equal(matrix.diagonal(), degree(near).double())
    assert float(differences(torch.ones(1, 17), near).abs().max()) == 0
    assert float(torch.linalg.eigvalsh(matrix)[1]) > 0.05
    assert len({frozenset(edge) for edge in edges()}) == len(edges()) == 32


@pytest.mark.parametrize("name", ["wall_volume", "cavity_share", "stiffness_factor"])
def test_a_segment_without_wall_cavity_or_stiffness_is_refused(name):
    given = arguments(({},))
    given["stiffness_factor"] = torch.ones_like(given["wall_volume"])
    given[name][0, 3] = 0
    with pytest.raises(UsageError, match=name.replace("_", " ")):
        beat(**given)
    given[name] = given[name][:, :16]
    with pytest.raises(UsageError, match="shape"):
        beat(**given)
