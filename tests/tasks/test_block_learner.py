"""Blocks that not every hospital trains: who trained them weighs them, in the clear and in a private sum."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from ground.errors import StudyError
from privacy.randomness import Stream, seeded_key
from tasks.channels.patients import ChannelPatients
from tasks.heterogeneous import truth
from tasks.heterogeneous.model import MultiChannel
from tasks.learners import learner_for
from tasks.learners.blocks import INDICATOR, BlockSum, BlockTraining
from tasks.learners.contract import State, Total, Visit, add_up
from tasks.learners.local_training import LocalTraining
from tasks.learners.model import model_from
from tasks.registry import find
from tasks.study import Study

PRIVATE = {"epsilon": 8.0, "delta": 1e-3, "clip": 0.5, "minimum-hospitals": 2}


def study(private: bool = False, **training: object) -> Study:
    plain = {"optimiser": "sgd", "local-steps": 1, "learning-rate": 0.01, **training}
    values = truth.study(3).model_dump(by_alias=True) | {"training": plain, "rounds": 4}
    return Study.model_validate(values | ({"privacy": PRIVATE} if private else {}))


def hospital(count: int, seed: int, *lacks: str) -> ChannelPatients:
    patients = truth.drawn(count, seed)
    for name in lacks:
        patients.inputs[:, truth.JOINT.columns(name)] = float("nan")
    return patients


def visit(learner: BlockTraining | BlockSum, state: State, patients: ChannelPatients, name: str) -> Visit:
    stream = Stream(seeded_key(1, name), "train", 1)
    return Visit(learner.publish(state), patients, {}, stream, 2, learner.study.plan())


def blocks_of(learner: BlockTraining | BlockSum) -> tuple[list[str], np.ndarray]:
    return list(learner.blocks.names), learner.blocks.of


def made(of: Study) -> BlockTraining | BlockSum:
    learner = learner_for(find(of.task, of.task_version, of.options), of)
    assert isinstance(learner, BlockTraining | BlockSum)
    return learner


def test_a_hospital_sends_nothing_of_what_it_lacks() -> None:
    learner = made(study(**{"optimiser": "adam", "local-steps": 5}))
    given, _ = learner.contribute(visit(learner, learner.begin(), hospital(30, 1, "channel-2"), "a"))
    names, of = blocks_of(learner)
    parameters, weights = given.vector[: len(of)], given.vector[len(of) :]
    for number, name in enumerate(names):
        sent = np.abs(parameters[of == number]).sum() > 0
        lacking = name in ("channel-2", "read-out")  # nobody's diagnosis is known either
        assert sent == (not lacking), name
        assert weights[number] == (0 if lacking else 30)


def test_each_block_is_the_mean_over_those_who_trained_it() -> None:
    learner = made(study())
    state = learner.begin()
    parts = [hospital(40, 1), hospital(10, 2, "channel-1")]
    vectors = [
        learner.contribute(visit(learner, state, part, name))[0].vector
        for part, name in zip(parts, "ab", strict=True)
    ]
    after = learner.combine(state, add_up([each.copy() for each in vectors])).model - state.model
    names, of = blocks_of(learner)
    changes = [vector[: len(of)] / max(1.0, count) for vector, count in zip(vectors, (40, 10), strict=True)]
    only_first = of == names.index("channel-1")
    np.testing.assert_allclose(after[only_first], changes[0][only_first], rtol=1e-3, atol=1e-7)
    both = of == names.index("channel-3")
    np.testing.assert_allclose(after[both], (0.8 * changes[0] + 0.2 * changes[1])[both], rtol=1e-3, atol=1e-7)


def test_one_weight_for_all_blocks_would_dilute_what_is_missing() -> None:
    """The guarantee broken on purpose: plain federated averaging moves the lacking block too little."""
    learner = made(study())
    assert isinstance(learner, BlockTraining)
    plain = LocalTraining(learner.task, learner.study, learner.strategy)
    state, parts = learner.begin(), [hospital(40, 1), hospital(40, 2, "channel-1")]
    moved = []
    for each in (learner, plain):
        vectors = [
            each.contribute(visit(learner, state, part, name))[0].vector
            for part, name in zip(parts, "ab", strict=True)
        ]
        moved.append(each.combine(state, add_up(vectors)).model - state.model)
    names, of = blocks_of(learner)
    lacking = of == names.index("channel-1")
    np.testing.assert_allclose(moved[1][lacking], moved[0][lacking] / 2, rtol=1e-3, atol=1e-7)
    whole = of == names.index("channel-2")
    np.testing.assert_allclose(moved[1][whole], moved[0][whole], rtol=1e-3, atol=1e-7)


def test_a_block_that_nobody_trained_stays_as_it_was() -> None:
    learner = made(study())
    state = learner.begin()
    vector, _ = learner.contribute(visit(learner, state, hospital(20, 1, "channel-1", "channel-2"), "a"))
    after = learner.combine(state, Total(vector.vector, 1)).model
    names, of = blocks_of(learner)
    for name in ("channel-1", "channel-2", "read-out"):
        still = of == names.index(name)
        np.testing.assert_array_equal(after[still], state.model[still])


def noiseless(learner: BlockTraining | BlockSum) -> BlockSum:
    """The private learner whose plan adds no noise: what is bounded can then be seen."""
    assert isinstance(learner, BlockSum)
    return learner


def test_a_patients_part_of_a_private_sum_has_at_most_the_clips_norm() -> None:
    learner = noiseless(made(study(private=True)))
    state = learner.begin().with_slots(patients=np.asarray([60.0]))
    plan = learner.study.plan()
    assert plan is not None
    silent = replace(plan, noise_multiplier=0.0)
    everybody = hospital(60, 1)
    asked = replace(visit(learner, state, everybody, "a"), plan=silent)
    whole = _sum(learner, asked)
    for left_out in (0, 17):
        others = everybody.subset(np.delete(np.arange(60), left_out))
        one = everybody.subset(np.asarray([left_out]))
        part = _sum(learner, replace(asked, patients=one))
        assert np.linalg.norm(part) <= plan.clip * (1 + 1e-6)
        assert np.linalg.norm(part[-5:]) == pytest.approx(INDICATOR * plan.clip * np.sqrt(4 / 5))
        assert len(others) + 1 == len(everybody)
    assert np.linalg.norm(whole) <= 60 * plan.clip


def _sum(learner: BlockSum, asked: Visit) -> np.ndarray:
    """What it would send with no noise at all."""
    study_plan = replace(asked, plan=asked.plan)
    silenced = replace(learner, study=_Silent(learner.study, asked))  # type: ignore[arg-type]
    return silenced.contribute(study_plan)[0].vector


class _Silent:
    """A study whose plan is the visit's, without noise."""

    def __init__(self, of: Study, asked: Visit) -> None:
        self._of, self._plan = of, asked.plan

    def plan(self) -> object:
        return self._plan

    def __getattr__(self, name: str) -> object:
        return getattr(self._of, name)


def test_who_trains_a_block_is_learned_from_the_noisy_sums() -> None:
    learner = noiseless(made(study(private=True)))
    plan = learner.study.plan()
    assert plan is not None
    state = learner.begin().with_slots(patients=np.asarray([1000.0]))
    names, _ = blocks_of(learner)
    truth_of = np.asarray([1000.0, 600.0, 1000.0, 300.0, 1000.0])
    mark = INDICATOR * plan.clip / np.sqrt(len(names))
    draws, seen = np.random.default_rng(1), state.slots["blocks"]
    for _ in range(400):
        noise = draws.normal(size=len(names)) * plan.noise_multiplier * plan.clip
        seen = seen + np.append(1.0, (truth_of * mark + noise) / mark)
    found = learner._patients(state, plan, seen)
    np.testing.assert_allclose(found, truth_of, rtol=0.15)
    first = learner._patients(state, plan, np.append(1.0, truth_of * 0))
    np.testing.assert_array_equal(first, 100.0)  # a tenth at the least, whatever noise says
    few = learner.begin().with_slots(patients=np.asarray([20.0]))
    assert (learner._patients(few, plan, np.append(1.0, truth_of * 0)) > 10).all()  # noise is not believed


def test_a_private_step_is_the_gradient_over_those_who_have_the_block() -> None:
    learner = noiseless(made(study(private=True)))
    state = learner.begin().with_slots(patients=np.asarray([100.0]))
    names, of = blocks_of(learner)
    total = np.append(np.ones(len(of)), np.zeros(len(names)))
    after = learner.combine(state, Total(total, 2)).model - state.model
    assert (after < 0).all()
    with pytest.raises(ValueError, match="a sum of shape"):
        learner.combine(state, Total(total[:-1], 2))


def test_noise_of_each_hospitals_own_is_refused() -> None:
    values = study(private=True).model_dump(by_alias=True, exclude_none=True)
    values["privacy"]["noise"] = "local"
    with pytest.raises(StudyError, match="distributed"):
        made(Study.model_validate(values))


def test_blocks_cover_every_parameter() -> None:
    model = MultiChannel(truth.JOINT, 5, 0.5)
    names, of = model.blocks()
    assert names == ["latent", "read-out", "channel-1", "channel-2", "channel-3"]
    assert sorted(set(of)) == list(range(5))
    assert len(of) == sum(p.numel() for p in model.parameters())
    learner = made(study())
    assert model_from(learner.task, learner.begin().model).training
    assert torch.get_num_threads() == 1
