from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import paper
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ground.errors import DataError, PrivacyError
from tasks.harmonisation import combat
from tasks.harmonisation.learner import Combat
from tasks.learners.contract import State, Visit, add_up
from tasks.patients import PooledPatients

Floats = npt.NDArray[np.float64]
MEASUREMENTS, COVARIATES = 40, 2
SIZES = (30, 55, 80)


@dataclass(frozen=True, eq=False)
class Scans:
    values: Floats
    covariates: Floats
    set_aside: dict[str, int] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.values)


@dataclass(frozen=True, eq=False)
class Cohort:
    """Hospitals with known site effects."""

    hospitals: list[Scans]
    clean: list[Floats]  # the same without scanner effects
    offset: Floats  # (hospital, measurement), in deviations
    scale: Floats


def cohort(seed: int, sizes: Sequence[int] = SIZES, measurements: int = MEASUREMENTS) -> Cohort:
    random = np.random.default_rng(seed)
    mean, slopes = 50 + random.random(measurements), random.standard_normal((COVARIATES, measurements))
    deviation = random.uniform(0.5, 3.0, measurements)
    offset = random.normal(0, 0.5, (len(sizes), 1)) + random.normal(0, 0.2, (len(sizes), measurements))
    scale = random.uniform(0.7, 1.4, (len(sizes), 1)) * random.uniform(0.95, 1.05, (len(sizes), measurements))
    hospitals, clean = [], []
    for number, count in enumerate(sizes):
        covariates = random.standard_normal((count, COVARIATES)) + 0.5 * number  # case mix differs
        fixed, noise = mean + covariates @ slopes, random.standard_normal((count, measurements))
        clean.append(fixed + deviation * noise)
        hospitals.append(Scans(fixed + deviation * (offset[number] + scale[number] * noise), covariates))
    return Cohort(hospitals, clean, offset, scale)


def learner(unit: float = 0.0, measurements: int = MEASUREMENTS) -> Combat:
    return Combat(measurements, COVARIATES, lambda scans: (scans.values, scans.covariates), unit)  # type: ignore[attr-defined]


def federated(hospitals: Sequence[Scans], learns: Combat | None = None) -> combat.Shared:
    learns = learns or learner(measurements=hospitals[0].values.shape[1])
    visits = [paper.visit(each, {}) for each in hospitals]  # type: ignore[arg-type]
    state = learns.combine(learns.begin(), add_up([learns.contribute(visit)[0].vector for visit in visits]))
    return learns.known(learns.publish(state))


def harmonised(hospitals: Sequence[Scans]) -> Floats:
    common = federated(hospitals)
    found = []
    for each in hospitals:
        own = combat.site(each.values, each.covariates, common)
        found.append(combat.harmonised(each.values, each.covariates, common, own))
    return np.vstack(found)


def pooled(hospitals: Sequence[Scans]) -> Floats:
    """ComBat as it was published, over one table with a column for each site; not our code."""
    x, z = np.vstack([h.values for h in hospitals]), np.vstack([h.covariates for h in hospitals])
    site = np.repeat(np.arange(len(hospitals)), [len(h) for h in hospitals])
    indicators = np.eye(len(hospitals))[site]
    design = np.hstack([indicators, z])
    coefficients = np.linalg.solve(design.T @ design, design.T @ x)
    grand = indicators.mean(axis=0) @ coefficients[: len(hospitals)]
    variance = ((x - design @ coefficients) ** 2).mean(axis=0)
    fixed = grand + z @ coefficients[len(hospitals) :]
    standard = (x - fixed) / np.sqrt(variance)
    found = np.empty_like(x)
    for number in range(len(hospitals)):
        rows = standard[site == number]
        count, g_hat, d_hat = len(rows), rows.mean(axis=0), rows.var(axis=0, ddof=1)
        g_bar, t2, m, s2 = g_hat.mean(), g_hat.var(ddof=1), d_hat.mean(), d_hat.var(ddof=1)
        a, b = (2 * s2 + m**2) / s2, (m * s2 + m**3) / s2
        gamma, delta = g_hat, d_hat
        for _ in range(500):
            gamma = (t2 * count * g_hat + delta * g_bar) / (t2 * count + delta)
            delta = (0.5 * ((rows - gamma) ** 2).sum(axis=0) + b) / (count / 2 + a - 1)
        found[site == number] = (rows - gamma) / np.sqrt(delta)
    return found * np.sqrt(variance) + fixed


@given(st.integers(0, 10**6))
@settings(deadline=None, max_examples=10)
def test_federated_harmonisation_is_the_pooled_one(seed: int) -> None:
    hospitals = cohort(seed).hospitals
    np.testing.assert_allclose(harmonised(hospitals), pooled(hospitals), rtol=0, atol=1e-6)


def test_without_centring_within_hospitals_it_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    hospitals = cohort(1).hospitals
    real = combat.sums

    def uncentred(values: Floats, covariates: Floats) -> Floats:
        twice = real(np.vstack([values, -values]), np.vstack([covariates, -covariates]))
        size = 1 + MEASUREMENTS + COVARIATES
        return np.concatenate([real(values, covariates)[:size], twice[size:] / 2])

    monkeypatch.setattr("tasks.harmonisation.learner.sums", uncentred)
    assert np.abs(harmonised(hospitals) - pooled(hospitals)).max() > 0.01


def test_known_site_effects_are_found_and_taken_out() -> None:
    made = cohort(2, sizes=(400, 300, 500), measurements=200)
    common = federated(made.hospitals)
    weights = np.array([400, 300, 500]) / 1200
    # What all sites share cannot be told from the mean, nor from the spread.
    offset = made.offset - weights @ made.offset
    spread = np.sqrt(weights @ made.scale**2)
    for number, each in enumerate(made.hospitals):
        own = combat.site(each.values, each.covariates, common)
        assert np.corrcoef(own.offset, offset[number] / spread)[0, 1] > 0.9
        assert np.abs(own.offset - offset[number] / spread).mean() < 0.08
        np.testing.assert_allclose(own.scale.mean(), (made.scale[number] / spread).mean(), rtol=0.03)
    before = np.vstack([each.values for each in made.hospitals])
    after, clean = harmonised(made.hospitals), np.vstack(made.clean)
    assert np.abs(after - clean).mean() < 0.5 * np.abs(before - clean).mean()


def test_covariates_survive_harmonisation() -> None:
    made = cohort(3, sizes=(400, 300, 500))
    design = np.vstack([each.covariates for each in made.hospitals])
    own = np.linalg.lstsq(design - design.mean(axis=0), harmonised(made.hospitals), rcond=None)[0]
    real = np.linalg.lstsq(design - design.mean(axis=0), np.vstack(made.clean), rcond=None)[0]
    assert np.corrcoef(own.ravel(), real.ravel())[0, 1] > 0.98


def test_pooled_patients_are_summed_hospital_by_hospital() -> None:
    hospitals, learns = cohort(4).hospitals, learner()
    together = learns.contribute(paper.visit(PooledPatients(hospitals), {}))[0].vector  # type: ignore[arg-type]
    apart = [learns.contribute(paper.visit(each, {}))[0].vector for each in hospitals]  # type: ignore[arg-type]
    np.testing.assert_allclose(together, np.sum(apart, axis=0))


def test_a_measurement_that_never_varies_stays_as_it_is() -> None:
    hospitals = cohort(5).hospitals
    for each in hospitals:
        each.values[:, 3] = 7.0
    found = harmonised(hospitals)
    np.testing.assert_allclose(found[:, 3], 7.0)
    assert np.isfinite(found).all()


def test_one_patient_alone_is_refused() -> None:
    hospitals = cohort(6).hospitals
    alone = Scans(hospitals[0].values[:1], hospitals[0].covariates[:1])
    with pytest.raises(DataError, match="two patients"):
        combat.site(alone.values, alone.covariates, federated(hospitals))


@given(st.integers(0, 29), st.floats(0.01, 1e9))
@settings(deadline=None, max_examples=20)
def test_no_patient_moves_the_private_sum_by_more_than_the_clip(who: int, factor: float) -> None:
    learns, plan = learner(0.3), paper.plan(noise_multiplier=0.0, clip=0.3)
    scans = cohort(7).hospitals[0]
    scans.values[who] *= factor
    rest = Scans(np.delete(scans.values, who, 0), np.delete(scans.covariates, who, 0))
    first, second = (
        learns.contribute(paper.visit(each, {}, plan=plan))[0].vector  # type: ignore[arg-type]
        for each in (scans, rest)
    )
    assert np.linalg.norm(first - second) <= 0.3 * (1 + 1e-9)


def test_a_private_study_is_noisy_says_so_and_with_little_noise_comes_to_the_same() -> None:
    made = [Scans(each.values / 60.0, each.covariates / 60.0) for each in cohort(8).hospitals]
    plan, learns = paper.plan(clip=1.0, noise_multiplier=1e-9), learner(1.0)
    parts = [
        learns.contribute(Visit({}, each, {}, paper.stream("train", who), 3, plan))[0]  # type: ignore[arg-type]
        for who, each in enumerate(made)
    ]
    assert [each.releases for each in parts] == [1, 1, 1]
    assert parts[0].noise == pytest.approx(1e-9 / np.sqrt(3))
    state = learns.combine(State(np.zeros(0)), add_up([each.vector for each in parts]))
    private, public = learns.known(learns.publish(state)), federated(made)
    np.testing.assert_allclose(private.mean, public.mean, atol=1e-4)
    np.testing.assert_allclose(private.deviation, public.deviation, atol=1e-3)
    with pytest.raises(PrivacyError, match="secure-aggregation = false"):
        learns.contribute(Visit({}, made[0], {}, paper.stream("train"), 3, plan, step=1.0))  # type: ignore[arg-type]
