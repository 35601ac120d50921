from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt
import paper
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from test_products import Table, standardised

from ground.errors import FederationError, StudyError
from privacy.plan import PrivacyPlan
from tasks.learners import subspace
from tasks.learners.analyses import Analysis, paired, side_by_side
from tasks.learners.contract import State, Total, Visit, add_up
from tasks.learners.partial_least_squares import Found, PartialLeastSquares
from tasks.learners.products import View
from tasks.learners.subspace import angles
from tasks.patients import PooledPatients

PHENOTYPES, VARIANTS = 40, 120
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Two:
    """Patients with two tables, enough of `Patients` for a learner."""

    imaging: Floats
    genetics: Floats
    set_aside: dict[str, int] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.imaging)

    def batch(self, chosen: npt.NDArray[np.int64], generator: torch.Generator) -> tuple[torch.Tensor, ...]:
        raise NotImplementedError

    def subset(self, chosen: npt.NDArray[np.int64]) -> Two:
        return Two(self.imaging[chosen], self.genetics[chosen])


def tables(patients: Two | PooledPatients) -> Sequence[tuple[View, View]]:
    if isinstance(patients, PooledPatients):
        return [each for group in patients.groups for each in tables(group)]
    return [(Table(patients.imaging, 16), Table(patients.genetics, 50))]


def patients(seed: int, count: int, strengths: Sequence[float] = (2.0, 1.7, 1.4, 1.1, 0.8)) -> Two:
    """Latent patterns that both tables show, and noise besides."""
    random, fixed = np.random.default_rng(seed), np.random.default_rng(0)
    latent = random.standard_normal((count, len(strengths))) * strengths
    shown = fixed.standard_normal((len(strengths), PHENOTYPES + VARIANTS))
    imaging = latent @ shown[:, :PHENOTYPES] + random.standard_normal((count, PHENOTYPES))
    genetic = latent @ shown[:, PHENOTYPES:] + 2 * random.standard_normal((count, VARIANTS))
    return Two(imaging + 3.0, genetic - 1.0)


HOSPITALS = [patients(seed, count) for seed, count in ((1, 60), (2, 33), (3, 90))]


def together(groups: Sequence[Two]) -> Two:
    return Two(np.vstack([g.imaging for g in groups]), np.vstack([g.genetics for g in groups]))


def learner(
    rounds: int = 15,
    components: int = 5,
    block: int = 0,
    permutations: int = 0,
    splits: int = 0,
    unit: float = 0.0,
    spare: int = 3,
) -> PartialLeastSquares:
    def assembled(found: Found) -> Floats:
        return np.concatenate([found.p_value, found.reliability.ravel(), found.power])

    block = block or components
    analyses = side_by_side(components, block + spare, permutations, splits)
    return PartialLeastSquares(
        (PHENOTYPES, VARIANTS),
        components,
        block,
        analyses,
        rounds,
        7,
        unit,
        tables,
        assembled,
        4 * components,
    )


def play(learns: PartialLeastSquares, groups: Sequence[object], plan: PrivacyPlan | None = None) -> State:
    count = float(sum(len(group) for group in groups))  # type: ignore[arg-type]
    state = learns.begin().with_slots(patients=np.array([count]))
    for number in range(learns.rounds):
        published = learns.publish(state)
        visits = [
            Visit(published, group, {}, paper.stream("train", number, who), len(groups), plan)  # type: ignore[arg-type]
            for who, group in enumerate(groups)
        ]
        state = learns.combine(state, add_up([learns.contribute(visit)[0].vector for visit in visits]))
    return state


def truth(groups: Sequence[Two]) -> tuple[Floats, Floats, Floats]:
    """Pooled partial least squares by numpy: the singular vectors of the covariance itself."""
    pooled = together(groups)
    left, values, right = np.linalg.svd(standardised(pooled.imaging).T @ standardised(pooled.genetics))
    return left, values, right.T


@pytest.mark.parametrize(("rounds", "block"), [(15, 0), (33, 2), (41, 1)])
def test_five_federated_components_are_the_pooled_ones(rounds: int, block: int) -> None:
    left, values, right = truth(HOSPITALS)
    found = play(learner(rounds, block=block), HOSPITALS).slots
    assert angles(left[:, :5], found["left"]).max() < 0.1
    assert angles(right[:, :5], found["right"]).max() < 0.1
    np.testing.assert_allclose(found["values"], values[:5], rtol=1e-4)


def test_without_deflation_later_blocks_find_the_first_component_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(subspace.Components, "without", lambda self, product, block, *, right: product)  # noqa: ARG005
    found = play(learner(41, block=1), HOSPITALS).slots
    assert angles(found["left"][:, :1], found["left"][:, 1:2])[0] < 1.0


def test_pooled_patients_and_hospitals_give_the_same() -> None:
    apart, pooled = (
        play(learner(permutations=3, splits=2), groups)
        for groups in (HOSPITALS, [PooledPatients(HOSPITALS)])  # type: ignore[list-item]
    )
    assert angles(apart.slots["right"], pooled.slots["right"]).max() < 0.01
    np.testing.assert_allclose(apart.model, pooled.model, rtol=1e-3, atol=1e-5)


def test_the_power_of_a_component_is_that_of_its_genetic_scores() -> None:
    state = play(learner(21), HOSPITALS)
    scores = standardised(together(HOSPITALS).genetics) @ state.slots["right"]
    np.testing.assert_allclose(state.slots["power"], (scores**2).sum(axis=0), rtol=1e-3)


def test_permutations_find_what_is_there_and_nothing_where_nothing_is() -> None:
    random = np.random.default_rng(4)
    related = play(learner(9, 1, permutations=39), HOSPITALS)
    unrelated = [Two(each.imaging, random.permutation(each.genetics)) for each in HOSPITALS]
    nothing = play(learner(9, 1, permutations=39), unrelated)
    assert related.model[0] == pytest.approx(1 / 40)
    assert nothing.model[0] > 0.05


def test_what_sets_hospitals_apart_is_part_of_the_null() -> None:
    """Scanner and ancestry make a pattern of both tables; within hospitals there is nothing."""
    random, groups = np.random.default_rng(5), []
    for number in range(3):
        image = random.standard_normal((50, PHENOTYPES)) + 2.0 * (number - 1)
        gene = random.standard_normal((50, VARIANTS)) + 2.0 * (number - 1)
        groups.append(Two(image, gene))
    state = play(learner(9, 1, permutations=39, splits=2), groups)
    assert state.slots["values"][0] > 0.3 * 150
    assert state.model[0] > 0.05
    assert state.model[1:3].max() < 0.5  # nor do halves agree on it


def test_halves_agree_on_strong_components_alone() -> None:
    strong, weak = (
        play(learner(15, 1, splits=3), [patients(seed, 80, (strength,)) for seed in (1, 2)]).model[1:3]
        for strength in (1.0, 0.0)
    )
    assert strong.min() > 0.9
    assert weak.max() < 0.6


@given(st.integers(2, 30), st.integers(0, 5), st.sampled_from(["permutation", "half"]))
def test_both_directions_of_a_pairing_are_of_one_matrix(count: int, number: int, kind: str) -> None:
    analysis = Analysis(kind, 1, number, number % 2)  # type: ignore[arg-type]
    random = np.random.default_rng(count)
    image, gene = random.standard_normal((count, 1)), random.standard_normal((count, 1))
    there = paired(analysis, image, 3, genetics=True).T @ gene
    back = paired(analysis, gene, 3, genetics=False).T @ image
    np.testing.assert_allclose(there, back, atol=1e-12)


def test_a_permutation_keeps_everybody_and_the_first_is_the_patients_as_they_are() -> None:
    scores = np.arange(10.0)[:, None]
    np.testing.assert_array_equal(paired(Analysis("permutation", 1, 0), scores, 1, genetics=True), scores)
    moved = paired(Analysis("permutation", 1, 1), scores, 1, genetics=True)
    assert not np.array_equal(moved, scores)
    np.testing.assert_array_equal(np.sort(moved, axis=0), scores)


PRIVATE = paper.plan(noise_multiplier=0.0)


def test_a_private_study_without_noise_and_clipping_finds_nearly_the_same() -> None:
    """Phenotypes of mean 0 and deviation 1, alleles in equilibrium: what private standardisation assumes."""
    groups = []
    for seed in (1, 2):
        random = np.random.default_rng(seed)
        gene = random.binomial(2, 0.3, (200, VARIANTS)).astype(float)
        image = random.standard_normal((200, PHENOTYPES))
        image[:, :20] += 1.5 * (gene[:, :1] - 0.6)
        groups.append(Two(image / image.std(axis=0), gene))
    plan = replace(PRIVATE, clip=1e3)
    private = play(learner(9, 1, unit=5e2), groups, plan)
    public = play(learner(9, 1), groups)
    assert angles(private.slots["right"], public.slots["right"])[0] < 10.0
    assert np.abs(private.slots["right"][:, 0]).argmax() == 0


def test_no_patient_moves_any_round_of_a_private_study_by_more_than_the_clip() -> None:
    plan, learns = replace(PRIVATE, clip=0.2), learner(5, 2, unit=0.1, spare=0)
    state = learns.begin().with_slots(patients=np.array([60.0]))
    everybody = HOSPITALS[0]
    for number in range(5):
        published = learns.publish(state)
        vectors = [
            learns.contribute(Visit(published, group, {}, paper.stream("train", number), 1, plan))[0].vector
            for group in (everybody, everybody.subset(np.arange(60) != 11))  # type: ignore[arg-type]
        ]
        assert 0.0 < np.linalg.norm(vectors[0] - vectors[1]) <= 0.2 * (1 + 1e-9)
        state = learns.combine(state, add_up(vectors[:1]))


def test_private_noise_is_in_every_round_and_says_how_large_it_is() -> None:
    plan, learns = paper.plan(clip=0.2, noise_multiplier=2.0), learner(5, 2, unit=0.1, spare=0)
    state = learns.begin().with_slots(patients=np.array([60.0]))
    for number in range(5):
        published, stream = learns.publish(state), paper.stream("train", number)
        noisy, exact = (
            learns.contribute(Visit(published, HOSPITALS[0], {}, stream, 4, each))[0]  # type: ignore[arg-type]
            for each in (plan, replace(plan, noise_multiplier=0.0))
        )
        assert (noisy.noise, noisy.bound, noisy.releases) == (pytest.approx(0.2), 0.2, 1)
        assert (noisy.vector - exact.vector).std() == pytest.approx(0.2, rel=0.2)
        state = learns.combine(state, add_up([noisy.vector]))


@pytest.mark.parametrize(("rounds", "block"), [(2, 0), (10, 1)])
def test_too_few_rounds_are_refused_with_the_number_that_is_needed(rounds: int, block: int) -> None:
    with pytest.raises(StudyError, match=f"{rounds} rounds cannot find 5 components"):
        learner(rounds, block=block)


def test_a_sum_of_another_size_and_a_round_beyond_the_last_are_refused() -> None:
    learns = learner(3, 1)
    state = learns.begin()
    with pytest.raises(ValueError, match="reshape"):
        learns.combine(state, Total(np.zeros(5), 3))
    state = play(learns, HOSPITALS)
    with pytest.raises(FederationError, match="all rounds"):
        learns.combine(state, Total(np.zeros(5), 3))
    with pytest.raises(FederationError, match="does not have"):
        learns.contribute(paper.visit(HOSPITALS[0], learns.publish(state)))  # type: ignore[arg-type]


def test_weights_travel_until_the_end_and_then_the_model() -> None:
    learns = learner(3, 1)
    assert "model" not in learns.publish(learns.begin())
    assert list(learns.publish(play(learns, HOSPITALS))) == ["model"]
    assert learns.model_at_hospital({}, {}).size == 0
