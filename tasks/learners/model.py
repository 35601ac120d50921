"""A torch model as a flat vector, and the two gradients that learners take of it."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn.utils import parameters_to_vector

from ground.arrays import Array
from ground.errors import FederationError, TaskError
from privacy.randomness import Stream
from tasks.contract import Task
from tasks.patients import Indices, Patients
from tasks.study import Trains

Rows = dict[str, npt.NDArray[np.float64]]


@contextmanager
def torch_seed(seed: int) -> Iterator[None]:
    """Torch's global generator set to `seed` inside, and as it was afterwards."""
    generator = torch.default_generator  # torch.manual_seed would walk through every kind of device
    before = generator.get_state()
    generator.manual_seed(seed)
    try:
        yield
    finally:
        generator.set_state(before)


def initial_vector(task: Task, seed: int) -> Array:
    """The task's model as that seed initialises it, flat, shape (parameter,), float32."""
    with torch_seed(seed):
        return vector_of(task.model())


def vector_of(model: nn.Module) -> Array:
    """The trainable parameters, flat, shape (parameter,), in the order of `parameters()`."""
    return parameters_to_vector(trainable(model)).detach().numpy().astype(np.float32, copy=False)


def trainable(model: nn.Module) -> list[nn.Parameter]:
    """The parameters that are exchanged: trainable floats only, no counter, no running statistic."""
    return [parameter for parameter in model.parameters() if parameter.requires_grad]


def moved(model: nn.Module, trains: Trains) -> list[nn.Parameter]:
    """Those trainable parameters that a study moves; with "biases" the one-dimensional and the last layer.

    One-dimensional are the biases and the weights of norms; Bu et al. 2022 train them and the head alone.
    """
    everything = trainable(model)
    if trains == "everything":
        return everything
    *_, last = (layer for layer in model.modules() if any(p.requires_grad for p in layer.parameters(False)))
    head = {id(parameter) for parameter in last.parameters(False)}
    return [parameter for parameter in everything if parameter.dim() <= 1 or id(parameter) in head]


def places(task: Task, trains: Trains) -> npt.NDArray[np.bool_]:
    """Which values of the flat vector those are, shape (parameter,)."""
    model = _prototype(task.model)
    chosen = {id(parameter) for parameter in moved(model, trains)}
    return np.concatenate([np.full(p.numel(), id(p) in chosen) for p in trainable(model)])


@contextmanager
def moving(model: nn.Module, trains: Trains) -> Iterator[None]:
    """Inside, those parameters alone that a study moves have gradients."""
    still = {id(parameter) for parameter in trainable(model)}
    still -= {id(parameter) for parameter in moved(model, trains)}
    others = [parameter for parameter in model.parameters() if id(parameter) in still]
    for parameter in others:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in others:
            parameter.requires_grad_(True)


def learning_batch(
    task: Task, patients: Patients, chosen: Indices, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """One item of each of these patients, as the task augments them."""
    inputs, targets = patients.batch(chosen, generator)
    return task.augment(inputs, targets, generator)


def load_vector(model: nn.Module, vector: Array) -> None:
    """Put a flat vector into the model; raises FederationError where it has another size."""
    wanted = sum(parameter.numel() for parameter in trainable(model))
    if vector.shape != (wanted,):
        raise FederationError(
            f"received {vector.size} parameters for a model of {wanted}: install the same task version"
        )
    flat = torch.from_numpy(np.array(vector, dtype=np.float32))
    start = 0
    with torch.no_grad():
        for parameter in trainable(model):
            parameter.copy_(flat[start : start + parameter.numel()].view_as(parameter))
            start += parameter.numel()


def model_from(task: Task, vector: Array) -> nn.Module:
    """A new model of the task with these parameters."""
    model = copy.deepcopy(_prototype(task.model))
    load_vector(model, vector)
    return model


@lru_cache(maxsize=16)
def _prototype(make: Callable[[], nn.Module]) -> nn.Module:
    """A model whose parameters nobody reads: copying it is faster than initialising another."""
    with torch_seed(0):
        return make()


def generator_from(stream: Stream) -> torch.Generator:
    """A torch generator seeded from the hospital's stream: draws items, augmentations, dropout."""
    return torch.Generator().manual_seed(seed_from(stream))


def seed_from(stream: Stream) -> int:
    """A seed below 2⁶³."""
    return int.from_bytes(stream.bytes(8), "big") >> 1


def mean_gradient(task: Task, model: nn.Module, inputs: Tensor, targets: Tensor) -> Tensor:
    """The gradient of the mean loss over these patients, flat, shape (parameter,)."""
    model.zero_grad(set_to_none=True)
    task.loss(model(inputs), targets).mean().backward()
    return torch.cat([p.grad.reshape(-1) for p in trainable(model) if p.grad is not None]).clone()


def evaluate(task: Task, vector: Array, patients: Patients, chunk: int = 256) -> dict[str, float]:
    """The task's metrics of these parameters over the patients, who are read `chunk` at a time.

    None of an empty vector: nothing was learned yet that could be evaluated.
    """
    if vector.size == 0:
        return {}
    if task.per_patient is not None:
        return summed_up(task, rows_of(task, vector, patients))
    model = model_from(task, vector).eval()
    generator = torch.Generator().manual_seed(0)
    outputs, targets = [], []
    with torch.no_grad():
        for start in range(0, len(patients), chunk):
            chosen = np.arange(start, min(start + chunk, len(patients)), dtype=np.int64)
            inputs, some_targets = patients.batch(chosen, generator)
            outputs.append(model(inputs))
            targets.append(some_targets)
    return _with_headline(task, task.metrics(torch.cat(outputs), torch.cat(targets)))


def rows_of(task: Task, vector: Array, patients: Patients) -> Rows:
    """Each metric of each patient, for a task that has such: (patient,), NaN where one is undefined."""
    if task.per_patient is None:
        raise TaskError(f"task {task.name} has no metrics of single patients")
    with torch.no_grad():
        return task.per_patient(model_from(task, vector).eval(), patients)


def summed_up(task: Task, rows: Rows) -> dict[str, float]:
    """A hospital's metrics: the mean of each over the patients who have it."""
    return _with_headline(task, {name: _mean_of_known(values) for name, values in rows.items()})


def _mean_of_known(values: npt.NDArray[np.float64]) -> float:
    """NaN where no patient has the value."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else math.nan


def _with_headline(task: Task, metrics: dict[str, float]) -> dict[str, float]:
    if task.headline not in metrics:
        raise TaskError(
            f"task {task.name}: its headline {task.headline} is none of its metrics: correct the task"
        )
    return metrics
