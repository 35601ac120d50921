"""The contract that every installed task keeps; a new task is tested by being installed."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import MISSING, fields
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from ground.errors import DataError, TaskError
from privacy.gradients import PatientGradients
from simulation.recipe import Recipe
from tasks.contract import Task
from tasks.learners.model import initial_vector, mean_gradient
from tasks.patients import Indices, Patients
from tasks.registry import installed

COUNT = 60
SLOW = {"ventricle-segmentation": 2}  # simulators that make images: fewer patients, of one stratum where many
VALUE = "87654321"


def of(tasks: Iterable[Task]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("task", [pytest.param(task, id=task.name) for task in tasks])


every_task = of(installed().values())
every_task_with_a_simulator = of(task for task in installed().values() if task.strata)


def count(task: Task) -> int:
    return SLOW.get(task.name, COUNT)


def strata(task: Task) -> tuple[str, ...]:
    """Those that are tried one by one."""
    return task.strata[:1] if task.name in SLOW else task.strata


@cache
def recipes(task: Task, stratum: str | None = None) -> list[Recipe]:
    return task.recipes(stratum or task.strata[0], count(task), 5)


@cache
def digital(task: Task) -> Patients:
    """Some of every stratum: in one alone everybody may have the same diagnosis."""
    share = max(1, count(task) // len(task.strata))
    return task.simulate([each for name in task.strata for each in recipes(task, name)[:share]])


def everybody(patients: Patients) -> Indices:
    return np.arange(len(patients), dtype=np.int64)


def batch(patients: Patients) -> tuple[Tensor, Tensor]:
    inputs, targets = patients.batch(everybody(patients), torch.Generator().manual_seed(1))
    return inputs.clone(), targets.clone()


def losses(task: Task, inputs: Tensor, targets: Tensor) -> Tensor:
    torch.manual_seed(0)
    return task.loss(trained_a_little(task)(inputs), targets)


def trained_a_little(task: Task) -> nn.Module:
    """Not the model as it starts, which may give everybody the same output."""
    torch.manual_seed(3)
    model = task.model()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return model


@every_task
def test_a_task_introduces_itself(task: Task) -> None:
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", task.name)
    assert task.version >= 1
    assert task.summary
    assert "\n" not in task.summary
    assert task.guide
    names = [column.name for column in task.schema]
    assert len(set(names)) == len(names)


def test_our_own_tasks_have_simulators() -> None:
    assert {"heart-disease", "heart-disease-full"} <= {t.name for t in installed().values() if t.strata}


def test_a_task_without_a_simulator_asks_for_real_data() -> None:
    plain = {f.name: None for f in fields(Task) if f.default is MISSING and f.default_factory is MISSING}
    task = Task(**plain)
    for function in (task.recipes, task.simulate, task.export):
        with pytest.raises(TaskError, match="no simulator of digital patients: give --data"):
            function("somewhere", 1, 1)


@every_task_with_a_simulator
def test_there_are_as_many_recipes_of_each_stratum_as_asked_for(task: Task) -> None:
    for stratum in task.strata:
        assert len(recipes(task, stratum)) == count(task)


@every_task_with_a_simulator
def test_the_same_request_gives_the_same_recipes_and_the_same_patients(task: Task) -> None:
    for stratum in strata(task):
        again = task.recipes(stratum, count(task), 5)
        assert again == recipes(task, stratum)
        assert task.recipes(stratum, count(task), 6) != again
        first, second = batch(task.simulate(recipes(task, stratum))), batch(task.simulate(again))
        torch.testing.assert_close(first, second, rtol=0, atol=0)


@every_task_with_a_simulator
def test_exported_patients_are_found_and_read_back_as_they_were(task: Task, tmp_path: Path) -> None:
    paths = {name: task.export(recipes(task, name), f"{name}-export", tmp_path) for name in strata(task)}
    found = task.hospitals(tmp_path)
    assert dict(found) == {f"{name}-export": path for name, path in paths.items()}
    for name, path in paths.items():
        real, made = task.read(path), task.simulate(recipes(task, name))
        assert dict(real.set_aside) == dict(made.set_aside)
        torch.testing.assert_close(batch(real), batch(made))


@every_task
def test_a_model_has_no_floating_buffer_and_no_batch_norm(task: Task) -> None:
    model = task.model()
    assert not [name for name, buffer in model.named_buffers() if buffer.is_floating_point()]
    assert not [m for m in model.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]


@every_task_with_a_simulator
def test_a_model_gives_gradients_per_patient_that_add_up(task: Task) -> None:
    model, (inputs, targets) = trained_a_little(task), batch(digital(task))
    mean = mean_gradient(task, model, inputs, targets)
    with PatientGradients(model, task.loss) as gradients:
        rows = gradients.of(inputs, targets)
    assert rows.shape == (len(inputs), len(mean))
    torch.testing.assert_close(rows.mean(dim=0), mean, rtol=1e-4, atol=1e-6)


@every_task
def test_a_seed_gives_one_model(task: Task) -> None:
    first = initial_vector(task, 11)
    torch.rand(3)
    np.testing.assert_array_equal(initial_vector(task, 11), first)
    assert first.dtype == np.float32


@every_task_with_a_simulator
def test_every_patient_has_one_finite_output_and_one_finite_loss(task: Task) -> None:
    inputs, targets = batch(digital(task))
    outputs = task.model()(inputs)
    loss = task.loss(outputs, targets)
    assert len(inputs) == len(targets) == len(outputs) == len(digital(task))
    assert loss.shape == (len(inputs),)
    assert outputs.isfinite().all()
    assert loss.isfinite().all()


@every_task_with_a_simulator
@pytest.mark.parametrize("changed", [0, 7, 29])
def test_another_patient_changes_her_own_loss_alone(task: Task, changed: int) -> None:
    inputs, targets = batch(digital(task))
    changed %= len(inputs)
    before = losses(task, inputs, targets)
    inputs[changed] = -inputs[changed] + 0.5
    after = losses(task, inputs, targets)
    others = np.delete(np.arange(len(inputs)), changed)
    assert after[changed] != before[changed]
    torch.testing.assert_close(after[others], before[others])


@every_task_with_a_simulator
def test_metrics_name_the_headline_and_are_finite_on_mixed_labels(task: Task) -> None:
    inputs, targets = batch(digital(task))
    assert len(targets.unique()) > 1
    with torch.no_grad():
        metrics = task.metrics(trained_a_little(task).eval()(inputs), targets)
    assert task.headline in metrics
    assert all(isinstance(value, float) and math.isfinite(value) for value in metrics.values())


@every_task_with_a_simulator
def test_a_split_covers_all_patients_once_and_is_fixed(task: Task) -> None:
    patients = digital(task)
    training, test = task.split(patients)
    np.testing.assert_array_equal(np.sort(np.concatenate([training, test])), everybody(patients))
    assert len(training) > len(test) > 0
    np.random.seed(1)
    for first, again in zip((training, test), task.split(patients), strict=True):
        np.testing.assert_array_equal(first, again)


@every_task_with_a_simulator
def test_a_few_steps_make_the_mean_loss_smaller(task: Task) -> None:
    torch.manual_seed(0)
    model, (inputs, targets) = task.model(), batch(digital(task))
    start = task.loss(model(inputs), targets).mean().item()
    optimiser = torch.optim.Adam(model.parameters(), lr=0.02)
    for _ in range(10):
        optimiser.zero_grad()
        task.loss(model(inputs), targets).mean().backward()
        optimiser.step()
    assert task.loss(model(inputs), targets).mean().item() < 0.98 * start


@every_task_with_a_simulator
def test_data_that_cannot_be_read_is_refused_without_a_value(task: Task, tmp_path: Path) -> None:
    path = task.export(recipes(task), "broken", tmp_path)
    for file in [path] if path.is_file() else [p for p in path.rglob("*") if p.is_file()]:
        file.write_text(f"{VALUE}\n{VALUE}\n")
    with pytest.raises(DataError, match="broken") as caught:
        task.read(path)
    assert VALUE not in str(caught.value)
    assert "\n" not in str(caught.value)


@every_task
def test_a_folder_without_a_hospital_is_refused_by_name(task: Task, tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "absent"):
        with pytest.raises(DataError, match=re.escape(str(folder))):
            task.hospitals(folder)
    with pytest.raises(DataError, match="nowhere"):
        task.read(tmp_path / "nowhere")
