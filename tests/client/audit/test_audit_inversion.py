from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from client.audit.inversion import reconstruct, victims_of
from client.audit.rehearsal import Terms
from ground.errors import TaskError
from tasks.contract import Task
from tasks.registry import find
from tasks.study import Study

TASK = find("heart-disease")
NAMES = ["cleveland", "hungary", "long-beach"]
DRAWS = 4


@pytest.mark.parametrize("kind", ["distributed", "local"])
def test_an_unprotected_update_shows_a_patient_a_sum_blurs_her_and_noise_hides_her(
    kind: str, studies: dict[str, Study]
) -> None:
    private, victims = Terms.of(studies[kind], 1), victims_of(TASK, NAMES, DRAWS, 1)
    free = reconstruct(Terms.of(studies[kind].without_privacy(), 1), victims, 1)
    noisy = reconstruct(private, victims, 20)
    assert free["each"].error < 0.01
    np.testing.assert_allclose(free["each"].guess, free["each"].truth, atol=0.01)
    assert 0.3 < free["sum"].error < free["sum"].guesser
    assert noisy["each"].error > 0.85 * noisy["each"].guesser
    assert noisy["sum"].error > 0.9 * noisy["sum"].guesser


def test_noise_taken_out_shows_her_again(studies: dict[str, Study]) -> None:
    terms, victims = Terms.of(studies["distributed"], 1), victims_of(TASK, NAMES, DRAWS, 1)
    assert reconstruct(terms.without_noise(), victims, 1)["each"].error < 0.01


def test_every_victim_is_digital_and_none_is_part_of_the_population() -> None:
    victims = victims_of(TASK, [*NAMES, "a-fourth", "a-fifth"], DRAWS, 1)
    assert len(victims.hospitals) == DRAWS
    assert all(len(patients) == 1 for draw in victims.hospitals for patients in draw.values())
    expected = TASK.simulate(TASK.recipes("cleveland", 400, 1)).subset(np.arange(DRAWS))
    for number, draw in enumerate(victims.hospitals):
        np.testing.assert_array_equal(draw["cleveland"].inputs[0], expected.inputs[number])


def test_as_many_victims_are_attacked_as_hospitals_times_draws(studies: dict[str, Study]) -> None:
    steps: list[int] = []
    victims = victims_of(TASK, NAMES, 2, 1)
    found = reconstruct(Terms.of(studies["local"].without_privacy(), 1), victims, 1, lambda: steps.append(1))
    assert {sees: each.victims for sees, each in found.items()} == {"each": 6, "sum": 6}
    assert len(steps) == 2


@pytest.mark.parametrize(
    ("task", "words"),
    [
        (replace(TASK, strata=()), "no simulator"),
        (
            replace(
                TASK, simulate=lambda _: TASK.simulate(TASK.recipes("cleveland", 15, 1)).subset(np.arange(5))
            ),
            "too few",
        ),
    ],
    ids=["no simulator", "too few"],
)
def test_a_task_without_enough_digital_patients_has_no_pictures(task: Task, words: str) -> None:
    with pytest.raises(TaskError, match=words):
        victims_of(task, NAMES, DRAWS, 1)
