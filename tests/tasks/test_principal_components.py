from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import numpy.typing as npt
import paper
import pytest
from test_products import Table, genotypes, standardised

from ground.errors import PrivacyError
from tasks.imaging_genetics.genotypes import read_plink, whole
from tasks.learners.contract import add_up
from tasks.learners.principal_components import PrincipalComponents
from tasks.learners.products import one_thread
from tasks.learners.subspace import angles

POPULATIONS = ("CEU", "FIN", "GBR", "IBS", "TSI")


def federated(views: list, components: int, rounds: int) -> npt.NDArray[np.float32]:
    """Weights, shape (column, component)."""
    learns = PrincipalComponents(views[0].width, components, 6, 1, lambda view: [view])  # type: ignore[list-item,return-value]
    state = learns.begin()
    for _ in range(rounds):
        visits = [paper.visit(view, learns.publish(state)) for view in views]
        state = learns.combine(state, add_up([learns.contribute(visit)[0].vector for visit in visits]))
    model = learns.model_at_hospital(learns.publish(state), {})
    np.testing.assert_array_equal(model, state.model)
    return model.reshape(components, -1).T


def test_federated_components_are_those_of_the_pooled_table() -> None:
    values = genotypes(1, patients=40)
    values[:, :8] = np.where(values[:, :1] < 0, values[:, :8], values[:, :1])
    found = federated([Table(part) for part in np.split(values, [5, 22])], 1, 80)
    truth = np.linalg.svd(standardised(values))[2].T
    assert angles(truth[:, :1], found)[0] < 0.1


def test_a_private_study_is_refused() -> None:
    learns = PrincipalComponents(3, 1, 0, 1, lambda view: [view])  # type: ignore[list-item,return-value]
    with pytest.raises(PrivacyError, match="not private"):
        learns.contribute(paper.visit(paper.patients(1, 5), {}, plan=paper.plan()))


def apart(scores: npt.NDArray[np.float64], labels: npt.NDArray[np.int64]) -> float:
    """Variance between populations over that within, on the first two components."""
    groups = [scores[labels == label, :2] for label in np.unique(labels)]
    within = sum(((each - each.mean(axis=0)) ** 2).sum() for each in groups)
    between = ((scores[:, :2] - scores[:, :2].mean(axis=0)) ** 2).sum() - within
    return float(between / within)


def test_five_populations_as_hospitals_are_separated_as_pooled_components_separate_them(data: Path) -> None:
    folder = data / "kg1000-gaston"
    if not folder.is_dir():
        pytest.skip(f"no {folder}")
    everybody, names, _ = read_plink(folder / "chr2.bed")
    with (folder / "chr2_pop.csv").open(newline="") as stream:
        population = {row["id"]: row["population"] for row in csv.DictReader(stream)}
    labels = np.array([POPULATIONS.index(population[name]) for name in names])
    found = federated([everybody.subset(np.flatnonzero(labels == each)) for each in range(5)], 4, 25)
    table = standardised(whole(everybody))
    with one_thread():
        size, turn = np.linalg.eigh(table @ table.T)
    truth = table.T @ (turn[:, ::-1][:, :4] / np.sqrt(size[::-1][:4]))
    assert angles(truth[:, :2], found[:, :2]).max() < 1.0
    assert apart(table @ found, labels) == pytest.approx(apart(table @ truth, labels), rel=0.02)
    assert apart(table @ found, labels) > 1.0
