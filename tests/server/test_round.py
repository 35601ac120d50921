from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ground.arrays import Array
from server import checkpoint
from server.progress import Progress, begin
from server.round import fewest, instruction, step
from tasks.messages import Instruction, Reply
from tasks.registry import find
from tasks.study import Study, parse

TASK = find("heart-disease")
PARAMETERS = sum(parameter.numel() for parameter in TASK.model().parameters())
NAMES = ("cleveland", "hungary", "long-beach", "switzerland")
ROUNDS = 2


def study(privacy: str = "") -> Study:
    return parse(f'name = "steps"\ntask = "heart-disease"\nrounds = {ROUNDS}\n{privacy}')


FREE = study()
DISTRIBUTED = study("[privacy]\nepsilon = 2.0\n")
LOCAL = study('[privacy]\nepsilon = 2.0\nnoise = "local"\nminimum-hospitals = 2\n')
ALL = pytest.mark.parametrize("terms", [FREE, DISTRIBUTED, LOCAL], ids=["free", "distributed", "local"])


def vector(progress: Progress, value: float) -> Array | None:
    """As a hospital with 50 patients would send it: what noise there is stays unsaid."""
    privacy = progress.study.privacy
    if progress.phase == "report" or (progress.phase == "enrol" and privacy is None):
        return None
    if progress.phase == "enrol":
        return np.full(1, 50.0)
    gradient = np.full(PARAMETERS, value, dtype=np.float32)
    if privacy is not None and privacy.noise == "distributed":
        return gradient
    return np.append(50.0 * gradient, np.float32(50.0))


def reply(progress: Progress, name: str, **changes: Any) -> Reply:
    assert progress.phase != "done"
    values: dict[str, Any] = {
        "hospital": name,
        "phase": progress.phase,
        "digest": progress.study.digest,
        "round": progress.round,
        "vector": vector(progress, 0.1 * len(name)),
        "metrics": {} if progress.phase == "enrol" else {"accuracy": 0.5, "auc": 0.5},
        "patients": 75,
        "quarantined": 3,
    }
    return Reply(**{**values, **changes})


def replies(progress: Progress, names: tuple[str, ...] = NAMES) -> dict[str, Reply]:
    return {name: reply(progress, name) for name in names}


def advance(progress: Progress, given: Mapping[str, Reply] | None = None) -> Progress:
    return step(progress, replies(progress) if given is None else given, TASK)[0]


def enrolled(terms: Study) -> Progress:
    return advance(begin(terms, TASK))


@ALL
def test_a_study_enrols_trains_for_its_rounds_reports_and_is_done(terms: Study) -> None:
    progress, course = begin(terms, TASK), []
    while progress.phase != "done":
        course.append((progress.phase, progress.round))
        progress = advance(progress)
    assert course == [("enrol", 0), ("train", 1), ("train", 2), ("report", 2)]
    assert instruction(progress, TASK, 4) is None


@ALL
def test_every_instruction_carries_the_study_its_digest_and_how_many_take_part(terms: Study) -> None:
    progress, request = begin(terms, TASK), instruction(begin(terms, TASK), TASK, 4)
    while request is not None:
        assert isinstance(request, Instruction)
        assert (request.phase, request.round) == (progress.phase, progress.round)
        assert (parse(request.study), request.digest, request.hospitals) == (terms, terms.digest, 4)
        progress, request = step(progress, replies(progress), TASK)


def test_nothing_is_published_before_everybody_is_enrolled() -> None:
    first = instruction(begin(FREE, TASK), TASK, 4)
    second = instruction(enrolled(FREE), TASK, 4)
    assert first is not None
    assert second is not None
    assert first.published == {}
    np.testing.assert_array_equal(second.published["model"], np.zeros(PARAMETERS))


def test_the_roster_is_in_alphabetical_order_with_what_hospitals_disclosed() -> None:
    progress = advance(begin(FREE, TASK), replies(begin(FREE, TASK), NAMES[::-1]))
    assert progress.names == NAMES
    assert {(member.patients, member.quarantined) for member in progress.roster} == {(75, 3)}


@ALL
@settings(deadline=None, max_examples=10)
@given(orders=st.lists(st.permutations(NAMES), min_size=4, max_size=4))
def test_the_order_in_which_replies_come_does_not_matter(terms: Study, orders: list[list[str]]) -> None:
    expected = progress = begin(terms, TASK)
    for order in orders:
        expected = advance(expected)
        progress = advance(progress, replies(progress, tuple(order)))
        assert checkpoint.to_bytes(progress) == checkpoint.to_bytes(expected)


@ALL
def test_history_says_what_the_model_of_each_round_showed_and_who_contributed_next(terms: Study) -> None:
    progress = begin(terms, TASK)
    while progress.phase != "done":
        progress = advance(progress)
    assert [(record.after, record.contributors) for record in progress.history] == [
        (0, NAMES),
        (1, NAMES),
        (2, ()),
    ]
    assert all(set(record.metrics) == set(NAMES) for record in progress.history)


@pytest.mark.parametrize("terms", [DISTRIBUTED, LOCAL], ids=["distributed", "local"])
def test_the_accountant_counts_the_enrolment_and_each_round_as_it_is_completed(terms: Study) -> None:
    plan, progress = terms.plan(), begin(terms, TASK)
    assert plan is not None
    events = []
    while progress.phase != "done":
        progress = advance(progress)
        events.append(progress.accountant.events)
    count = plan.count_event()
    assert events == [
        (count,),
        (count, plan.step_event(1)),
        (count, plan.step_event(2)),
        (count, plan.step_event(2)),
    ]


def test_the_divisor_of_a_private_study_is_the_sum_of_the_noisy_counts() -> None:
    assert enrolled(DISTRIBUTED).state.slots["patients"] == 200.0


def test_a_private_round_steps_against_the_sum_over_the_count() -> None:
    progress = enrolled(DISTRIBUTED)
    total = sum(0.1 * len(name) for name in NAMES)
    expected = np.full(PARAMETERS, -DISTRIBUTED.training.learning_rate * total / 200.0)
    np.testing.assert_allclose(advance(progress).state.model, expected, rtol=1e-6)


def test_a_free_round_moves_the_model_by_the_weighted_mean() -> None:
    progress = enrolled(FREE)
    heavy = np.append(150.0 * np.ones(PARAMETERS), 150.0)
    light = np.append(50.0 * np.full(PARAMETERS, -1.0), 50.0)
    given = {name: reply(progress, name, vector=light) for name in NAMES} | {
        "hungary": reply(progress, "hungary", vector=heavy)
    }
    np.testing.assert_allclose(advance(progress, given).state.model, np.zeros(PARAMETERS), atol=1e-7)


@pytest.mark.parametrize(
    ("terms", "roster", "needed"),
    [(FREE, 4, 3), (FREE, 2, 2), (FREE, 1, 1), (DISTRIBUTED, 4, 4), (DISTRIBUTED, 9, 9), (LOCAL, 9, 2)],
)
def test_how_many_must_contribute_depends_on_where_the_noise_is(
    terms: Study, roster: int, needed: int
) -> None:
    assert fewest(terms, roster) == needed
