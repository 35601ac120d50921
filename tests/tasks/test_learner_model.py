from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

import numpy as np
import paper
import pytest
import torch
from torch import nn

from ground.errors import FederationError
from tasks.learners.model import (
    evaluate,
    generator_from,
    initial_vector,
    load_vector,
    mean_gradient,
    model_from,
    seed_from,
    torch_seed,
    trainable,
    vector_of,
)

EVERYBODY = paper.patients(seed=10, count=37)
MODEL = np.array([0.4, -1.1, 0.3, 0.2], dtype=np.float32)


def half_frozen() -> nn.Module:
    model = nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 1))
    model[0].requires_grad_(False)
    return model


def test_torch_s_generator_is_as_it_was_after_a_seeded_block() -> None:
    torch.manual_seed(4)
    expected = torch.rand(2)
    torch.manual_seed(4)
    with torch_seed(9):
        first = torch.rand(2)
    torch.testing.assert_close(torch.rand(2), expected, rtol=0, atol=0)
    with torch_seed(9):
        torch.testing.assert_close(torch.rand(2), first, rtol=0, atol=0)


def test_torch_s_generator_is_put_back_after_an_error_too() -> None:
    before = torch.random.get_rng_state()
    with suppress(ZeroDivisionError), torch_seed(9):
        torch.rand(1).item() / 0
    assert torch.equal(torch.random.get_rng_state(), before)


def test_a_seed_decides_the_initial_vector() -> None:
    random = replace(paper.TOY, model=lambda: nn.Linear(3, 1))
    first, same, other = (initial_vector(random, seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, same)
    assert (first != other).all()


def test_a_vector_put_into_a_model_is_read_back() -> None:
    model = paper.linear()
    load_vector(model, MODEL)
    np.testing.assert_array_equal(vector_of(model), MODEL)
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_only_trainable_parameters_are_exchanged() -> None:
    model = half_frozen()
    frozen = model[0].weight.clone()
    load_vector(model, np.ones(3, np.float32))
    assert len(trainable(model)) == 2
    np.testing.assert_array_equal(vector_of(model), np.ones(3))
    torch.testing.assert_close(model[0].weight, frozen)


def test_a_model_does_not_share_memory_with_its_vector_or_with_another_model() -> None:
    vector = MODEL.copy()
    first, second = model_from(paper.TOY, vector), model_from(paper.TOY, vector)
    vector[:] = 0
    load_vector(first, np.ones(4, np.float32))
    np.testing.assert_array_equal(vector_of(second), MODEL)


def test_a_received_vector_that_cannot_be_written_to_is_accepted() -> None:
    vector = np.frombuffer(MODEL.tobytes(), dtype=np.float32)
    np.testing.assert_array_equal(vector_of(model_from(paper.TOY, vector)), MODEL)


@pytest.mark.parametrize("vector", [np.zeros(3), np.zeros(5), np.zeros((2, 2)), np.zeros(0)])
def test_a_vector_of_another_size_is_refused_with_the_way_out(vector: np.ndarray) -> None:
    with pytest.raises(FederationError, match="for a model of 4: install the same task version"):
        model_from(paper.TOY, vector)


def test_the_mean_gradient_is_the_one_by_hand_and_is_taken_anew_each_time() -> None:
    model = model_from(paper.TOY, MODEL)
    expected = paper.gradients(MODEL, EVERYBODY).mean(axis=0)
    for _ in range(2):
        gradient = mean_gradient(paper.TOY, model, EVERYBODY.inputs, EVERYBODY.targets)
        np.testing.assert_allclose(gradient, expected, atol=1e-6)


@pytest.mark.parametrize("chunk", [1, 10, 37, 1000])
def test_metrics_do_not_depend_on_how_many_patients_are_read_at_a_time(chunk: int) -> None:
    with torch.no_grad():
        outputs = model_from(paper.TOY, MODEL)(EVERYBODY.inputs)
    expected = paper.TOY.metrics(outputs, EVERYBODY.targets)
    assert evaluate(paper.TOY, MODEL, EVERYBODY, chunk) == expected


def test_evaluation_switches_dropout_off() -> None:
    torch.manual_seed(0)
    dropping = replace(paper.TOY, model=lambda: nn.Sequential(nn.Dropout(0.9), nn.Linear(3, 1)))
    assert evaluate(dropping, MODEL, EVERYBODY) == evaluate(paper.TOY, MODEL, EVERYBODY)


def test_a_stream_gives_one_seed_below_two_to_the_63() -> None:
    seeds = [seed_from(paper.stream("seed", number)) for number in range(200)]
    assert len(set(seeds)) == 200
    assert all(0 <= seed < 2**63 for seed in seeds)
    first, second = (generator_from(paper.stream("seed")) for _ in range(2))
    assert torch.equal(torch.rand(3, generator=first), torch.rand(3, generator=second))
