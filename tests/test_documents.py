"""What the documents tell people to type does what they say."""

import re
from pathlib import Path

import numpy as np
import pytest

from privacy.randomness import Stream, seeded_key
from tasks.learners import learner_for
from tasks.learners.contract import Visit, add_up
from tasks.learners.model import evaluate
from tasks.learners.statistics import count_of_patients
from tasks.study import load, parse

ROOT = Path(__file__).parent.parent


@pytest.fixture
def first_task(tmp_path):
    """The task of CONTRIBUTING.md, and two hospitals in which pressure decides about stroke."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    block = re.search(r"```python\n(.*?)```", text, re.DOTALL)
    assert block is not None
    names: dict[str, object] = {}
    exec(compile(block.group(1), "CONTRIBUTING.md", "exec"), names)  # noqa: S102
    random = np.random.default_rng(0)
    for hospital in ("north", "south"):
        age, pressure = random.integers(30, 90, 200), random.integers(90, 200, 200)
        rows = np.stack([age, pressure, pressure > 145], axis=1)
        np.savetxt(tmp_path / f"{hospital}.csv", rows, fmt="%d", delimiter=",")
    return names["TASK"], tmp_path


def test_the_first_task_fits_in_forty_lines():
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    code = re.search(r"```python\n(.*?)```", text, re.DOTALL).group(1)
    assert sum(bool(line.strip()) for line in code.splitlines()) <= 40


@pytest.mark.parametrize("privacy", ["", "[privacy]\nepsilon = 8.0\ndelta = 1e-3\nminimum-hospitals = 2\n"])
def test_the_first_task_learns(first_task, privacy):
    task, folder = first_task
    study = parse(f'name = "s"\ntask = "my-task"\nrounds = 30\n[training]\nlearning-rate = 2.0\n{privacy}')
    learner, plan = learner_for(task, study), study.plan()
    hospitals = {name: task.read(path) for name, path in task.hospitals(folder).items()}
    state, counter = learner.begin(), count_of_patients()
    for number in range(study.rounds + 1):
        who = learner if number else counter
        vectors = []
        for name, patients in hospitals.items():
            training = patients.subset(task.split(patients)[0])
            stream = Stream(seeded_key(1, name), number)
            visit = Visit(learner.publish(state), training, {}, stream, len(hospitals), plan)
            vectors.append(who.contribute(visit)[0].vector)
        state = who.combine(state, add_up(vectors))
    scores = [
        evaluate(task, state.model, patients.subset(task.split(patients)[1]))["accuracy"]
        for patients in hospitals.values()
    ]
    assert min(scores) > 0.8


@pytest.mark.parametrize("path", sorted((ROOT / "examples").glob("*.toml")), ids=lambda path: path.name)
def test_every_example_is_a_study_that_can_be_run(path):
    study = load(path)
    assert study.name == path.stem
    assert study.plan() is not None
