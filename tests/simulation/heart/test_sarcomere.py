from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.integrate import solve_ivp

from simulation.heart.mechanics import passive, sarcomere
from simulation.heart.mechanics.passive import Wall
from simulation.heart.mechanics.sarcomere import Fibre, Law

LAW = Law()
DURATION = 300.0  # ms


def course(strains, step, law=LAW, contractility=1.0):
    """Our steps along a prescribed fibre strain (N+1,): bridges, stress, strain and tension after each."""
    strains = torch.as_tensor(strains, dtype=torch.float64)
    fibre = sarcomere.rest(strains[0])
    rows = []
    length = torch.tensor(step, dtype=torch.float64)
    for i in range(len(strains) - 1):
        drive = sarcomere.command(torch.tensor((i + 0.5) * step, dtype=torch.float64), DURATION, 1.0, law)
        response = sarcomere.respond(
            fibre, strains[i], contractility * drive.clamp(min=0), drive.abs(), length, law
        )
        fibre = sarcomere.finish(fibre, response, (strains[i + 1] - strains[i]) / step, length)
        rows.append([fibre.stiffness, fibre.stress, fibre.strain, sarcomere.tension(fibre, law)])
    return np.array([[float(x) for x in row] for row in rows])


def equations(strain_at, law=LAW):
    """The same law written out in numpy, solved by an adaptive implicit method."""

    def drive(t):
        up = 0.5 - 0.5 * np.cos(np.pi * np.clip(t / law.rise, 0, 1))
        down = 0.5 - 0.5 * np.cos(np.pi * np.clip((t - DURATION) / law.rise, 0, 1))
        return law.attach * up * (1 - down) - law.detach * (1 - up * (1 - down))

    def slope(t, y):
        k, s, e = y
        u = drive(t)
        n = np.clip((law.length * np.exp(e) - law.slack) / (law.plateau - law.slack), 0, 1)
        rate = (law.series * (strain_at(t) - e) - k * law.preload - s) / law.damping
        loss = law.destruction * abs(rate) + abs(u)
        return [
            law.stiffness * n * max(u, 0) - loss * k,
            law.stress * n * max(u, 0) - loss * s + k * rate,
            rate,
        ]

    times = np.arange(1.0, 701.0)
    solved = solve_ivp(
        slope, (0, 700), [0, 0, strain_at(0)], "LSODA", times, rtol=1e-8, atol=1e-9, max_step=2.0
    )
    k, s, e = solved.y
    return np.stack([k, s, e, law.series * (strain_at(times) - e)], 1)


def shortening(t):
    return 0.12 - 0.09 * (1 - np.cos(2 * np.pi * np.asarray(t, dtype=float) / 700))


@pytest.fixture(scope="module")
def exact():
    return equations(shortening)


def test_steps_follow_an_independent_solution_of_the_equations(exact):
    ours = course(shortening(np.arange(0, 701)), 1.0)
    assert np.abs(ours[:, 3] - exact[:, 3]).max() < 0.01 * exact[:, 3].max()
    assert np.abs(ours[:, 0] - exact[:, 0]).max() < 0.01 * exact[:, 0].max()
    assert np.abs(ours[:, 2] - exact[:, 2]).max() < 2e-3


def test_the_error_falls_with_the_step(exact):
    def error(step):
        every = round(1 / step) if step < 1 else 1
        ours = course(shortening(np.arange(0, 400 + step / 2, step)), step)
        ours = ours[every - 1 :: every] if step <= 1 else ours
        theirs = exact[max(int(step), 1) - 1 : 400 : max(int(step), 1)]
        return np.abs(ours[:, 3] - theirs[:, 3]).max()

    coarse, middle, fine = error(2.0), error(1.0), error(0.5)
    assert 1.7 < coarse / middle < 2.6
    assert 1.7 < middle / fine < 2.6


def test_a_law_without_the_term_of_sliding_bridges_is_told_apart(exact):
    ours = course(shortening(np.arange(0, 701)), 1.0, replace(LAW, destruction=0.0))
    assert np.abs(ours[:, 3] - exact[:, 3]).max() > 0.03 * exact[:, 3].max()


def test_an_isometric_twitch_rises_to_a_plateau_and_falls_to_nothing():
    twitch = course(np.full(801, 0.1), 1.0)[:, 3]
    peak = int(twitch.argmax())
    assert DURATION - 50 < peak < DURATION + 50
    assert np.all(np.diff(twitch[25:peak]) > 0)
    assert twitch[-1] < 0.001 * twitch.max()
    assert course(np.full(801, -0.28), 1.0)[:, 3].max() < 0.5 * twitch.max()


def test_isometric_tension_saturates_at_what_the_constants_say():
    law = replace(LAW, series=1e7, damping=1.0)
    n = sarcomere.length_factor(torch.tensor(0.1, dtype=torch.float64), law)
    still = Fibre(*(torch.tensor(x, dtype=torch.float64) for x in (0.0, 0.0, 0.1, 0.0)))
    u, step = torch.tensor(0.012, dtype=torch.float64), torch.tensor(1.0, dtype=torch.float64)
    zero = torch.zeros((), dtype=torch.float64)
    for _ in range(2000):
        still = sarcomere.finish(
            still, sarcomere.respond(still, torch.full_like(u, 0.1), u, u, step, law), zero, step
        )
    expected = float(n) * (law.stress + law.stiffness * law.preload)
    assert float(sarcomere.tension(still, law)) == pytest.approx(expected, rel=1e-3)


def test_tension_grows_with_length_and_with_contractility():
    short, long = (course(np.full(301, e), 1.0)[-1, 3] for e in (-0.1, 0.1))
    weak = course(np.full(301, 0.1), 1.0, contractility=0.5)[-1, 3]
    assert short < 0.8 * long
    assert weak == pytest.approx(0.5 * long, rel=0.05)


def test_a_shortening_fibre_pulls_less_than_a_still_one():
    moving = course(0.1 - 0.001 * np.arange(101), 1.0)
    still = course(np.full(101, moving[-1, 2]), 1.0)
    assert moving[-1, 3] < 0.95 * still[-1, 3]


def test_a_fibre_without_command_to_attach_stays_slack_in_its_active_part():
    zero = course(np.full(301, 0.1), 1.0, contractility=0.0)
    assert np.abs(zero[:, 3]).max() == 0


def test_large_steps_stay_bounded():
    rough = course(shortening(np.arange(0, 701, 20)), 20.0)
    assert np.isfinite(rough).all()
    assert np.abs(rough[:, 3]).max() < 200


def test_resting_muscle_is_its_own_inverse_and_its_energy_the_integral():
    wall = Wall()
    exponent = torch.tensor(wall.exponent, dtype=torch.float64)
    strain = torch.linspace(-0.2, 0.25, 4001, dtype=torch.float64)
    stress = passive.stress(strain, exponent, wall)
    assert torch.allclose(passive.strain_under(stress, exponent, wall), strain, atol=1e-12)
    work = torch.trapezoid(stress, strain)
    energy = passive.energy(strain, exponent, wall)
    assert float(energy[-1] - energy[0]) == pytest.approx(float(work), rel=1e-5)


def test_the_normal_ventricle_at_rest_follows_klotz():
    # Klotz et al. 2006: p = 27.78 mmHg ((V - V0)/(V30 - V0))^2.76, V0 = EDV (0.6 - 0.006 EDP/mmHg)
    mmhg, edv, walls = 0.133322, 140.0, torch.tensor(110.0, dtype=torch.float64)
    edp, wall = 9.0, Wall()
    exponent = torch.full_like(walls, wall.exponent)
    full = torch.full_like(walls, edv)
    relaxed = passive.relaxed_strain(full, walls, torch.full_like(walls, edp * mmhg), exponent, wall)
    slack = ((walls + 3 * edv) * torch.exp(-3 * relaxed) - walls) / 3
    empty = edv * (0.6 - 0.006 * edp)
    assert float(slack) == pytest.approx(empty, rel=0.05)
    thirty = empty + (edv - empty) / (edp / 27.78) ** (1 / 2.76)
    for volume in (120.0, 140.0, 155.0, thirty):
        strain = torch.log((walls + 3 * volume) / (walls + 3 * slack)) / 3
        ours = float(passive.stress(strain, exponent, wall) * walls / (walls + 3 * volume)) / mmhg
        klotz = 27.78 * ((volume - empty) / (thirty - empty)) ** 2.76
        assert ours == pytest.approx(klotz, abs=2.0)
