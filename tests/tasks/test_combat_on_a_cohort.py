"""ComBat against a digital cohort, whose scanners' offsets and scales are known because they were planted."""

from __future__ import annotations

import numpy as np
from test_combat import Scans, federated, pooled

from simulation.cohort.site import Cohort
from simulation.cohort.terms import recipe
from tasks.harmonisation import combat
from tasks.harmonisation.learner import Combat

PLANTED = "side=10,variants=64,causal=4,site-1.scale=0.8,site-2.scale=1.25,site-3.scale=1,site-4.scale=1.1"


def test_the_planted_site_effects_of_a_cohort_are_recovered_and_federated_is_pooled() -> None:
    cohort = Cohort(recipe(PLANTED, 3), 1600)
    hospitals = []
    for number in range(len(cohort.counts)):
        made = cohort.make(number)
        values = np.column_stack(list(made.tables["imaging"].values()))
        those = made.people
        known = [those.age, those.male, those.abnormal("structure"), made.score]
        hospitals.append(Scans(values, np.column_stack(known)))
    learns = learner_of(hospitals)
    common = federated(hospitals, learns)
    weights = np.array([len(each) for each in hospitals]) / sum(map(len, hospitals))
    # What all sites share cannot be told from the mean, nor from the spread.
    offset = cohort.effects.offsets - weights @ cohort.effects.offsets
    scale = np.array([site["scale"] for site in cohort.terms.sites])
    found = []
    for number, each in enumerate(hospitals):
        own = combat.site(each.values, each.covariates, common)
        estimate = own.offset * common.deviation
        assert np.corrcoef(estimate, offset[number])[0, 1] > 0.9
        assert np.abs(estimate - offset[number]).mean() < 0.06
        np.testing.assert_allclose(
            np.sqrt((own.scale**2).mean()), scale[number] / np.sqrt(weights @ scale**2), rtol=0.04
        )
        found.append(combat.harmonised(each.values, each.covariates, common, own))
    np.testing.assert_allclose(np.vstack(found), pooled(hospitals), rtol=0, atol=1e-6)


def learner_of(hospitals: list[Scans]) -> Combat:
    columns = hospitals[0].values.shape[1], hospitals[0].covariates.shape[1]
    return Combat(*columns, lambda scans: (scans.values, scans.covariates))  # type: ignore[attr-defined]
