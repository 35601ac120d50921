from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from privacy.audit.inversion import Observed, Population, invert, summed_gradient
from privacy.gradients import PatientGradients

FEATURES = 6


def loss(outputs: Tensor, targets: Tensor) -> Tensor:
    return nn.functional.binary_cross_entropy_with_logits(outputs[:, 0], targets, reduction="none")


@pytest.fixture
def patients() -> Tensor:
    return 2.0 + 3.0 * torch.randn(200, FEATURES, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def population(patients: Tensor) -> Population:
    return Population.of(patients[10:])


def network(kind: str) -> nn.Module:
    torch.manual_seed(2)
    if kind == "linear":
        return nn.Linear(FEATURES, 1)
    return nn.Sequential(nn.Linear(FEATURES, 12), nn.Tanh(), nn.Linear(12, 1))


def observe(model: nn.Module, inputs: Tensor, targets: Tensor, clip: float = math.inf) -> Tensor:
    """What a hospital would give, by the code that hospitals run."""
    with PatientGradients(model.train(), loss) as gradients:
        bound = clip if math.isfinite(clip) else 1e9
        return torch.from_numpy(gradients.clipped_sum(inputs, targets, bound).vector)


@pytest.mark.parametrize("kind", ["linear", "hidden layer"])
@pytest.mark.parametrize("clip", [math.inf, 0.5])
def test_one_patient_s_gradient_gives_her_away(
    kind: str, clip: float, patients: Tensor, population: Population
) -> None:
    model, victim, target = network(kind), patients[:1], torch.ones(1)
    observed = Observed(observe(model, victim, target, clip), clip=clip)
    found = invert(model, loss, observed, target, population)
    assert population.distance(victim[0], found[0]) < 0.05
    assert population.distance(victim[0], population.mean) > 0.4


@pytest.mark.parametrize("place", range(3))
def test_under_noise_beyond_the_clip_nothing_better_than_the_mean_is_found(
    place: int, patients: Tensor, population: Population
) -> None:
    model, victim, target = network("linear"), patients[place : place + 1], torch.ones(1)
    noise = 5.0 * torch.randn(FEATURES + 1, generator=torch.Generator().manual_seed(place))
    observed = Observed(observe(model, victim, target, 0.5) + noise, noise=5.0, clip=0.5)
    found = invert(model, loss, observed, target, population)
    guesser = population.distance(victim[0], population.mean)
    assert population.distance(victim[0], found[0]) == pytest.approx(guesser, abs=0.1)


def test_an_attacker_who_takes_noise_for_signal_does_worse_than_the_mean(
    patients: Tensor, population: Population
) -> None:
    model, victim, target = network("linear"), patients[:1], torch.ones(1)
    noise = 5.0 * torch.randn(FEATURES + 1, generator=torch.Generator().manual_seed(3))
    vector = observe(model, victim, target, 0.5) + noise
    credulous = invert(model, loss, Observed(vector, clip=0.5), target, population)
    assert population.distance(victim[0], credulous[0]) > population.distance(victim[0], population.mean)


def test_a_sum_over_several_patients_hides_each_of_them(patients: Tensor, population: Population) -> None:
    model, victims, targets = network("linear"), patients[:4], torch.tensor([1.0, 1.0, 0.0, 1.0])
    observed = Observed(observe(model, victims, targets))
    found = invert(model, loss, observed, targets, population)
    errors = [population.distance(*pair) for pair in zip(victims, found, strict=True)]
    assert found.shape == victims.shape
    assert min(errors) > 0.1
    again = summed_gradient(model.double(), loss, found, targets.double(), math.inf)
    torch.testing.assert_close(again.detach(), observed.vector, rtol=0.05, atol=0.02)


@pytest.mark.parametrize("clip", [0.3, 2.0, 1e9])
def test_the_attacker_s_gradients_are_those_that_hospitals_give(clip: float, patients: Tensor) -> None:
    model, targets = network("hidden layer"), torch.tensor([1.0, 0.0, 1.0])
    expected = observe(model, patients[:3], targets, clip)
    found = summed_gradient(model, loss, patients[:3], targets, clip)
    torch.testing.assert_close(found.detach().double(), expected, rtol=1e-4, atol=1e-5)


def test_the_attacked_model_stays_as_it_was(patients: Tensor, population: Population) -> None:
    model, target = network("linear"), torch.ones(1)
    observed = Observed(observe(model, patients[:1], target))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    invert(model, loss, observed, target, population)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())
    assert model.training


def test_an_update_of_zeros_leaves_a_finite_guess(population: Population) -> None:
    observed = Observed(torch.zeros(FEATURES + 1))
    assert invert(network("linear"), loss, observed, torch.ones(1), population).isfinite().all()


def test_what_never_varies_in_the_population_counts_for_no_infinite_error() -> None:
    inputs = torch.stack([torch.arange(20.0), torch.ones(20)], dim=1)
    population = Population.of(inputs)
    assert (population.spread > 0).all()
    assert math.isfinite(population.distance(inputs[0], inputs[1] + 1.0))
