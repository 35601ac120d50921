"""A torch model as a flat vector, and the two gradients that learners take of it."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils import parameters_to_vector

from ground.arrays import Array
from ground.errors import FederationError, TaskError
from privacy.randomness import Stream
from tasks.contract import Task
from tasks.patients import Patients


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
    return parameters_to_vector(trainable(model)).detach().numpy().astype(np.float32)


def trainable(model: nn.Module) -> list[nn.Parameter]:
    """The parameters that are exchanged: trainable floats only, no counter, no running statistic."""
    return [parameter for parameter in model.parameters() if parameter.requires_grad]


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
    """The task's metrics of these parameters over the patients, who are read `chunk` at a time."""
    model = model_from(task, vector).eval()
    generator = torch.Generator().manual_seed(0)
    outputs, targets = [], []
    with torch.no_grad():
        for start in range(0, len(patients), chunk):
            chosen = np.arange(start, min(start + chunk, len(patients)), dtype=np.int64)
            inputs, some_targets = patients.batch(chosen, generator)
            outputs.append(model(inputs))
            targets.append(some_targets)
    metrics = task.metrics(torch.cat(outputs), torch.cat(targets))
    if task.headline not in metrics:
        raise TaskError(
            f"task {task.name}: its headline {task.headline} is none of its metrics: correct the task"
        )
    return metrics
