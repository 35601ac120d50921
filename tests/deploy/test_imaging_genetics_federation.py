"""Partial least squares over whole federations: pooled, masked, interrupted."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from client.hospital import Settings, cohort
from deploy.digital import digital_hospitals
from deploy.federation import Machine, federate, hospitals_in, pooled
from privacy.randomness import Stream, seeded_key
from tasks.learners import learner_for
from tasks.learners.contract import Total, Visit
from tasks.learners.subspace import angles
from tasks.messages import words_of_sum
from tasks.registry import find
from tasks.study import Study, parse

NAMES = ("east", "north", "south", "west")
TEXT = """name = "pls"
task = "imaging-genetics"
rounds = 5
[options]
components = 1
permutations = 3
"""
PRIVATE = "[privacy]\nepsilon = 8.0\ndelta = 1e-4\nclip = 0.3\nminimum-hospitals = 4\n"


@pytest.fixture(scope="module")
def hospitals(tmp_path_factory: pytest.TempPathFactory) -> list[Settings]:
    folder = tmp_path_factory.mktemp("hospitals")
    digital_hospitals("imaging-genetics", dict.fromkeys(NAMES, 90), 1, folder)
    return hospitals_in("imaging-genetics", folder, None, secret_noise=False)


def study(more: str = "") -> Study:
    return parse(TEXT + more)


def weights(terms: Study, hospitals: list[Settings]) -> tuple[np.ndarray, np.ndarray]:
    state = federate(terms, hospitals, Machine()).progress.state
    return state.model, state.slots["right"]


def test_a_federation_finds_what_one_hospital_with_all_patients_would(hospitals: list[Settings]) -> None:
    (model, apart), (_, together) = weights(study(), hospitals), weights(study(), [pooled(hospitals)])
    assert angles(apart, together)[0] < 0.01
    assert len(model) == sum(
        p.numel() for p in find("imaging-genetics", 1, study().options).model().parameters()
    )


@pytest.mark.slow
def test_masked_sums_give_bit_for_bit_the_weights_of_the_same_sums_in_the_clear(
    hospitals: list[Settings], tmp_path: Path
) -> None:
    terms = study(PRIVATE + "secure-aggregation = true\n")
    settled = [replace(each, home=tmp_path / each.name) for each in hospitals]
    masked = federate(terms, settled, Machine()).progress
    assert [record.abandoned for record in masked.history] == [""] * 6
    assert masked.accountant.epsilon(1e-4) <= 8.0
    assert masked.secure is not None
    roster, plan = masked.secure.roster, terms.plan()
    task = find(terms.task, 1, terms.options)
    learns = learner_for(task, terms)
    state = learns.begin().with_slots(patients=masked.state.slots["patients"])
    assert plan is not None
    for number in range(1, 6):
        published = learns.publish(state)
        encoding = words_of_sum(terms, plan, task, roster, published, counting=False)
        vectors = []
        for each in hospitals:
            stream = Stream(seeded_key(terms.seed, terms.digest, each.name), "train", number)
            patients = cohort(task.name, each.sources).training
            visit = Visit(published, patients, {}, stream, roster.fewest, plan, encoding.step, encoding.box)
            vectors.append(learns.contribute(visit)[0].vector)
        state = learns.combine(state, Total(np.sum(vectors, axis=0), 4))
    np.testing.assert_array_equal(state.slots["right"], masked.state.slots["right"])
    np.testing.assert_array_equal(state.model, masked.state.model)
