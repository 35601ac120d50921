from dataclasses import replace

import numpy as np
import pytest

from ground.errors import StudyError
from tasks.heart_disease.task import COMPLETE
from tasks.learners import digital_start as module
from tasks.learners.digital_start import digital_start, recipes_of
from tasks.learners.model import evaluate, initial_vector
from tasks.study import Study, parse

TEXT = """
name = "a"
task = "heart-disease"
rounds = 3
[training]
learning-rate = 0.1
optimiser = "adam"
[privacy]
epsilon = 1.0
[synthetic]
patients = 90
start-steps = 12
fill = false
"""


@pytest.fixture(autouse=True)
def _nothing_made() -> None:
    module._made.clear()


def study(**synthetic: object) -> Study:
    terms = parse(TEXT)
    return terms.model_copy(update={"synthetic": terms.synthetic.model_copy(update=synthetic)})


def test_a_start_learns_from_digital_patients() -> None:
    digital = COMPLETE.simulate(COMPLETE.recipes("hungary", 300, 99))
    begun = evaluate(COMPLETE, initial_vector(COMPLETE, 1), digital)["auc"]
    assert evaluate(COMPLETE, digital_start(COMPLETE, study()), digital)["auc"] > begun + 0.2


def test_a_start_depends_on_the_seed_and_on_nothing_private() -> None:
    start = digital_start(COMPLETE, study())
    module._made.clear()
    assert digital_start(COMPLETE, study().without_privacy()).tobytes() == start.tobytes()
    assert digital_start(COMPLETE, study().with_epsilon(8.0)).tobytes() == start.tobytes()
    assert digital_start(COMPLETE, study().with_seed(2)).tobytes() != start.tobytes()


def test_what_is_made_once_is_not_made_again_nor_changed_by_whoever_got_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first = digital_start(COMPLETE, study())
    before = first.copy()
    first += 1.0
    monkeypatch.setattr(module, "_learn", None)
    np.testing.assert_array_equal(digital_start(COMPLETE, study().with_epsilon(3.0)), before)


def test_the_watch_hears_it_grow_to_its_end() -> None:
    heard: list[tuple[int, int]] = []
    digital_start(COMPLETE, study(), lambda done, total: heard.append((done, total)))
    assert heard == sorted(heard)
    assert heard[0] == (0, 102)
    assert heard[-1] == (102, 102)


def test_without_steps_it_is_the_seed_s_model() -> None:
    start = digital_start(COMPLETE, study(start_steps=0))
    np.testing.assert_array_equal(start, initial_vector(COMPLETE, 1))


def test_patients_are_dealt_to_the_strata_as_evenly_as_can_be() -> None:
    made = recipes_of(COMPLETE, study(patients=6).synthetic, 1)
    strata = [recipe.stratum for recipe in made]
    assert len(made) == 6
    assert max(map(strata.count, strata)) == 2
    assert {r.stratum for r in recipes_of(COMPLETE, study(strata=("hungary",)).synthetic, 1)} == {"hungary"}


def test_an_unknown_stratum_and_a_task_without_a_simulator_are_refused() -> None:
    with pytest.raises(StudyError, match="knows no lille; it has cleveland"):
        digital_start(COMPLETE, study(strata=("lille",)))
    with pytest.raises(StudyError, match=r"no simulator of digital patients: remove \[synthetic\]"):
        digital_start(replace(COMPLETE, strata=()), study())


def test_a_gap_to_fill_needs_no_other_start_and_another_batch_does(monkeypatch: pytest.MonkeyPatch) -> None:
    first = digital_start(COMPLETE, study(start_batch=16))
    assert digital_start(COMPLETE, study(start_batch=8)).tobytes() != first.tobytes()
    monkeypatch.setattr(module, "_learn", None)
    np.testing.assert_array_equal(digital_start(COMPLETE, study(start_batch=16, fill=True)), first)
