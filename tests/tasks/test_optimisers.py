from dataclasses import replace

import numpy as np
import pytest
import torch

from tasks.contract import Task
from tasks.heart_disease.task import COMPLETE
from tasks.learners.model import model_from, moving, places, trainable, vector_of
from tasks.learners.optimisers import optimiser_for
from tasks.study import parse

RANDOM = np.random.default_rng(5)
GRADIENTS = RANDOM.normal(size=(6, 14)).astype(np.float32)


def steps(memories: int) -> np.ndarray:
    """Six steps of Adam, interrupted so many times and gone on from memory."""
    model, memory = COMPLETE.model(), {}
    for part in np.array_split(GRADIENTS, memories):
        optimiser = optimiser_for("adam", model, memory)
        for gradient in part:
            optimiser.step(gradient, 0.1)
        memory = optimiser.memory()
    return vector_of(model)


def test_adam_is_torch_s_own_on_the_model_s_parameters() -> None:
    model = COMPLETE.model()
    adam = torch.optim.Adam(model.parameters(), lr=0.1)
    for gradient in GRADIENTS:
        model.weight.grad, model.bias.grad = (
            torch.from_numpy(gradient[None, :13]),
            torch.from_numpy(gradient[13:]),
        )
        adam.step()
    np.testing.assert_allclose(steps(1), vector_of(model), rtol=1e-6)


@pytest.mark.parametrize("memories", [2, 3, 6])
def test_adam_goes_on_from_its_memory_bit_for_bit(memories: int) -> None:
    assert steps(memories).tobytes() == steps(1).tobytes()


def test_a_forgotten_moment_shows() -> None:
    model = COMPLETE.model()
    for gradient in GRADIENTS:
        optimiser_for("adam", model, {}).step(gradient, 0.1)
    assert not np.allclose(vector_of(model), steps(1))


def test_the_cosine_falls_from_the_rate_to_nothing() -> None:
    study = parse('name="a"\ntask="b"\nrounds=9\n[training]\nlearning-rate=0.5\nschedule="cosine"')
    rates = [study.falling(done) for done in np.linspace(0, 1, 11)]
    assert rates[0] == 0.5
    assert rates[5] == pytest.approx(0.25)
    assert rates[-1] == pytest.approx(0.0, abs=1e-12)
    assert rates == sorted(rates, reverse=True)


def network() -> torch.nn.Module:
    return torch.nn.Sequential(
        torch.nn.Conv2d(1, 4, 3), torch.nn.GroupNorm(2, 4), torch.nn.Flatten(), torch.nn.Linear(16, 2)
    )


def task() -> Task:
    return replace(COMPLETE, model=network)


def test_biases_are_those_norms_biases_and_the_last_layer() -> None:
    # 36 weights and 4 biases of the convolution, 8 of the norm, 34 of the last layer.
    assert places(task(), "biases").sum() == 4 + 8 + 34
    assert places(task(), "everything").sum() == 36 + 4 + 8 + 34


def test_while_a_part_moves_nothing_else_has_a_gradient_and_afterwards_all_has() -> None:
    model = model_from(task(), vector_of(network()))
    with moving(model, "biases"):
        model(torch.ones(1, 1, 4, 4)).sum().backward()
        assert model[0].weight.grad is None
        assert model[0].bias.grad is not None
    assert len(trainable(model)) == 6
