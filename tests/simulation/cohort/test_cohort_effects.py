"""Every effect of a cohort is found again with the size that its recipe says."""

from __future__ import annotations

import numpy as np
import pytest

from simulation.cohort.site import Cohort, Measured
from simulation.cohort.terms import recipe


def made(stratum: str, count: int = 4000, seed: int = 2) -> tuple[Cohort, list[Measured], list[np.ndarray]]:
    cohort = Cohort(recipe(f"variants=160,side=8,{stratum}", seed), count)
    genotypes: list[np.ndarray] = []
    sites = []
    for number in range(len(cohort.counts)):
        kept: list[np.ndarray] = []
        sites.append(cohort.make(number, lambda _, values, kept=kept: kept.append(values)))
        genotypes.append(np.concatenate(kept).T.astype(float))
    return cohort, sites, genotypes


def picture(site: Measured) -> np.ndarray:
    return np.stack(list(site.tables["imaging"].values()), axis=1)


def explained(values: np.ndarray, by: np.ndarray) -> float:
    """Adjusted R² of a regression with an intercept."""
    design = np.column_stack([np.ones(len(by)), by])
    residual = values - design @ np.linalg.lstsq(design, values, rcond=None)[0]
    fraction = residual.var() / values.var()
    return 1 - fraction * (len(by) - 1) / (len(by) - design.shape[1])


@pytest.mark.parametrize("heritability", [0.0, 0.2, 0.6])
def test_heritability_is_recovered_within_its_interval(heritability) -> None:
    cohort, [site], [genotypes] = made(
        f"sites=1,ancestries=1,causal=10,heritability={heritability},mode=5,atrophy=0,age-effect=0,"
        "sex-effect=0,site-1.ancestry=1"
    )
    truth = cohort.effects
    score = picture(site) @ truth.mode / (truth.mode @ truth.mode)
    score_noise = score.var() - 25.0  # beyond the mode's own 5²: known to be small
    assert abs(score_noise) < 3.0
    found = explained(score, genotypes[:, truth.causal])
    # Standard error of R² (Wishart 1931), and what the noise of the other phenotypes takes away.
    error = np.sqrt(4 * max(found, 0.002) * (1 - found) ** 2 / len(score))
    assert found == pytest.approx(heritability, abs=2.6 * error + 0.02)


def test_the_genetic_score_has_variance_one_in_each_ancestry() -> None:
    _, sites, _ = made("site-1.ancestry=0.5", count=12_000)
    for ancestry in (0, 1):
        scores = np.concatenate([each.score[each.people.ancestry == ancestry] for each in sites])
        assert scores.mean() == pytest.approx(0, abs=5 / np.sqrt(len(scores)))
        assert scores.var() == pytest.approx(1, abs=0.1)


def test_scanners_offsets_and_scales_are_recovered() -> None:
    cohort, sites, _ = made("atrophy=0,site-2.offset=1,site-2.scale=2,age-effect=-0.05", count=8000)
    for number, site in enumerate(sites):
        those = site.people
        design = np.column_stack([np.ones(len(those)), those.age - 72, those.male])
        values = picture(site)
        fitted = np.linalg.lstsq(design, values, rcond=None)[0]
        residual = values - design @ fitted
        error = residual.std(axis=0) * np.sqrt(4 / len(those))
        assert (np.abs(fitted[0] - cohort.effects.offsets[number]) < 4.5 * error).all()
        per_year = -0.05 * cohort.effects.aging
        assert (
            np.abs(fitted[1] - per_year) < 4.5 * residual.std(axis=0) / 7 * np.sqrt(1.2 / len(those))
        ).all()
        assert (np.abs(fitted[2] - 0.3 * cohort.effects.sex) < 4.5 * error).all()
        own = cohort.terms.sites[number]["scale"] ** 2 * (1 + 0.25 * cohort.effects.mode**2)
        assert residual.var(axis=0) == pytest.approx(own, rel=0.2)
    assert np.sqrt((cohort.effects.offsets[1] ** 2).mean()) == pytest.approx(1)


def test_noise_of_neighbouring_phenotypes_is_as_smooth_as_said() -> None:
    _, [site], _ = made("sites=1,mode=0,atrophy=0,age-effect=0,sex-effect=0,smoothness=0.7", count=6000)
    joint = np.corrcoef(picture(site).T).reshape(8, 8, 8, 8)
    assert joint[2, 2, 2, 3] == pytest.approx(0.7, abs=0.05)
    assert joint[2, 2, 3, 2] == pytest.approx(0.7, abs=0.05)
    assert joint[2, 2, 4, 4] == pytest.approx(0.7**4, abs=0.06)


def test_markers_turn_in_their_order_and_the_time_shift_brings_disease_on() -> None:
    _, [site], _ = made("sites=1,site-1.cases=1,risk=2,shift=0.5")
    those = site.people
    abnormal = [those.abnormal(each) for each in ("amyloid", "tau", "structure", "behaviour", "cognition")]
    turned = np.array(abnormal) > 0.5
    assert (turned[:-1] | ~turned[1:]).all()  # nobody has a later marker without the earlier one
    assert turned.any(axis=1).all()
    assert np.polyfit(site.score, those.shift, 1)[0] == pytest.approx(2, abs=0.05)
    assert set(those.stage.tolist()) == {1, 2, 3}
    tau = site.tables["csf"]["tau"]
    assert tau[those.time > 12].mean() > 1.6 * tau[those.time < 2].mean()


def test_case_mix_and_ancestry_mix_are_the_sites() -> None:
    cohort, sites, _ = made("site-1.share=2", count=6000)
    assert sum(cohort.counts) == 6000
    assert cohort.counts[0] == pytest.approx(2 * cohort.counts[1], abs=1)
    for own, site in zip(cohort.terms.sites, sites, strict=True):
        ill = ~np.isnan(site.people.time)
        assert ill.mean() == pytest.approx(own["cases"], abs=0.06)
        assert (site.people.ancestry == 0).mean() == pytest.approx(own["ancestry"], abs=0.06)


def test_scores_have_a_floor_and_a_ceiling() -> None:
    _, [site], _ = made("sites=1,site-1.cases=0.5")
    screening, recall = site.tables["cognition"]["screening"], site.tables["cognition"]["recall"]
    assert screening.max() == 30
    assert (screening == 30).mean() > 0.05
    assert recall.min() == 0
    assert (recall == 0).mean() > 0.01
    assert all((values == values.round()).all() for values in site.tables["cognition"].values())


def test_activity_has_a_day_that_disease_flattens() -> None:
    _, [site], _ = made("sites=1,site-1.cases=0.5")
    week = np.stack(list(site.tables["behaviour"].values()), axis=1)
    assert week.min() >= 0
    day = week.reshape(len(week), 7, 24).mean(axis=1)
    ill = np.nan_to_num(site.people.time) > 14
    assert day[~ill].mean(axis=0).argmax() in (14, 15, 16)
    assert np.ptp(day[ill].mean(axis=0)) < 0.6 * np.ptp(day[~ill].mean(axis=0))


def test_missing_at_random_and_not_at_random_differ() -> None:
    _, [site], _ = made("sites=1,site-1.cases=0.6,site-1.missing=0.1,site-1.informative=2", count=8000)
    worse = site.people.abnormal("cognition") > 0.8
    assert site.missing["imaging"].mean() == pytest.approx(0.1, abs=0.02)
    assert site.missing["imaging"][worse].mean() == pytest.approx(0.1, abs=0.03)
    assert site.missing["cognition"][~worse].mean() < 0.2
    assert site.missing["cognition"][worse].mean() > 0.3


def test_a_parameter_of_the_image_leaves_genotypes_and_people_alone() -> None:
    _, [one], [genes] = made("sites=1")
    _, [two], [same] = made("sites=1,site-1.offset=2,smoothness=0.2")
    assert (genes == same).all()
    assert (one.score == two.score).all()
    assert (one.people.age == two.people.age).all()
    assert not (picture(one) == picture(two)).any()


def test_a_seed_gives_the_same_cohort_and_another_seed_another() -> None:
    _, [one], [genes] = made("sites=1")
    _, [two], [same] = made("sites=1")
    _, [other], [others] = made("sites=1", seed=3)
    assert (genes == same).all()
    assert (picture(one) == picture(two)).all()
    assert not (genes == others).all()
    assert not (one.people.age == other.people.age).all()
