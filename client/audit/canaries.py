"""The one-run canary audit of a study's own learners (Steinke, Nasr and Jagielski, NeurIPS 2023).

Canaries are patients put in or left out by a fair coin, spread over the hospitals. At every visit a canary
has another input, far out, with whichever of a few real targets the model finds least likely: its gradient is
longer than the clip, and where few parameters must do for many canaries, no two of them stay in each other's
way. The attacker is the one whom differential privacy promises to withstand: he knows the study, the
published models, every other patient and every canary, and sees what is released; the coins alone are hidden.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from client.audit.rehearsal import (
    Floats,
    Hospitals,
    Standing,
    Terms,
    advance,
    contribute,
    enrol,
    gradient_sum_in,
    noise_of,
)
from ground.arrays import Array
from ground.errors import TaskError
from privacy.accountant import Event, epsilon
from privacy.audit.canaries import Bools, Evidence, guesses_right
from privacy.audit.onerun import epsilon_lower_bound
from privacy.gradients import PatientGradients, clip_rows
from privacy.plan import PrivacyPlan
from tasks.learners.contract import Contribution
from tasks.learners.model import model_from, torch_seed
from tasks.patients import Indices, Patients, PooledPatients, TablePatients

CANARIES = 500
CONFIDENCE = 0.95
SCALE = 4.0  # standard deviation of an input, where tasks bring theirs to about −1 to 1
TARGETS = 8


@dataclass(frozen=True)
class Sight:
    """What one run betrayed to somebody who sees certain releases.

    Attributes:
        bound: the ε that is proved, from below.
        claim: the ε that the noise in what is seen stands for; infinite without noise.
        guesses: how many canaries were guessed.
        correct: how many of them rightly.
        at_clip: share of the canaries' gradients that were as long as the clip.

    """

    bound: float
    claim: float
    guesses: int
    correct: int
    at_clip: float


@dataclass(frozen=True, eq=False)
class Coins:
    """Which canaries are present, and at which hospital each would be.

    Attributes:
        present: shape (canary,).
        members: hospital -> the indices of its canaries, present or not.

    """

    present: Bools
    members: Mapping[str, Indices]

    @staticmethod
    def toss(names: list[str], canaries: int, seed: int) -> Coins:
        """Fair coins; hospitals are dealt canaries in turn."""
        present = np.random.default_rng([seed, 0]).random(canaries) < 0.5
        home = np.arange(canaries) % len(names)
        return Coins(present, {name: np.flatnonzero(home == place) for place, name in enumerate(names)})

    def admitted(self, hospitals: Hospitals, inputs: Tensor, targets: Tensor) -> dict[str, Patients]:
        """The hospitals' patients with the canaries that are present after them."""
        admitted: dict[str, Patients] = {}
        for name, mine in self.members.items():
            here = torch.from_numpy(mine[self.present[mine]])
            admitted[name] = PooledPatients([hospitals[name], TablePatients(inputs[here], targets[here])])
        return admitted


@dataclass(frozen=True, eq=False)
class Steady:
    """Patients whose items are drawn alike however many others are in the batch: an attacker knows them."""

    patients: Patients
    seed: int

    @property
    def set_aside(self) -> Mapping[str, int]:
        """As it was."""
        return self.patients.set_aside

    def __len__(self) -> int:
        return len(self.patients)

    def batch(self, chosen: Indices, generator: torch.Generator) -> tuple[Tensor, Tensor]:  # noqa: ARG002
        """Drawn by a generator of its own."""
        return self.patients.batch(chosen, torch.Generator().manual_seed(self.seed))

    def subset(self, chosen: Indices) -> Steady:
        """Those alone."""
        return Steady(self.patients.subset(chosen), self.seed)


@dataclass
class Attacker:
    """What an attacker has gathered from the rounds so far, about the sum and about each hospital."""

    plan: PrivacyPlan
    coins: Coins
    together: Evidence
    apart: dict[str, Evidence]
    at_clip: list[float]

    @staticmethod
    def before(plan: PrivacyPlan, coins: Coins) -> Attacker:
        """Who has seen nothing yet."""
        apart = {name: Evidence.none(len(mine)) for name, mine in coins.members.items()}
        return Attacker(plan, coins, Evidence.none(len(coins.present)), apart, [])

    def see(self, unknown: Mapping[str, Floats], gradients: Floats) -> None:
        """One round: what each hospital gave beyond its known patients, and all canaries' gradients."""
        lengths = np.linalg.norm(gradients, axis=1)
        self.at_clip.append(float((lengths >= self.plan.clip * (1 - 1e-4)).mean()))
        self.together = self.together.add(sum(unknown.values(), np.zeros(gradients.shape[1])), gradients)
        for name, mine in self.coins.members.items():
            self.apart[name] = self.apart[name].add(unknown[name], gradients[mine])

    def prove(self, given: Mapping[str, Contribution], parameters: int) -> dict[str, Sight]:
        """What is proved by what is seen; `given` is a round's contributions, which say their noise."""
        scores = np.empty(len(self.coins.present))
        for name, mine in self.coins.members.items():
            noise = self._noise([given[name]], len(mine), parameters)
            scores[mine] = self.apart[name].scores(noise, self.plan.sampling_rate)
        plan, one = self.plan, next(iter(given.values()))
        if plan.noise == "local":
            return {"each": self._sight(scores, plan.cost().epsilon(plan.delta))}
        noise = self._noise(list(given.values()), len(scores), parameters)
        summed = self.together.scores(noise, plan.sampling_rate)
        return {
            "sum": self._sight(summed, plan.cost().epsilon(plan.delta)),
            "each": self._sight(scores, epsilon_of_one(plan, one)),
        }

    def _noise(self, seen: list[Contribution], canaries: int, parameters: int) -> float:
        """What hides the canaries in each value: the noise, and that sampling scatters their gradients."""
        q = self.plan.sampling_rate
        scattered = q * (1 - q) * canaries / 2 * self.plan.clip**2 / parameters
        return math.hypot(*(noise_of(each) for each in seen), math.sqrt(scattered))

    def _sight(self, scores: Floats, claim: float) -> Sight:
        present = self.coins.present
        guesses, correct = guesses_right(scores, present)
        bound = epsilon_lower_bound(len(present), guesses, correct, self.plan.delta, CONFIDENCE)
        return Sight(bound, claim, guesses, correct, float(np.mean(self.at_clip)))


def one_run(
    terms: Terms,
    hospitals: Hospitals,
    canaries: int = CANARIES,
    step: Callable[[], None] = lambda: None,
) -> dict[str, Sight]:
    """Run the study once with canaries, and give what is proved by what is seen.

    `hospitals` are the training patients by name; `step` is called after each round. "each" is every
    hospital's own contribution; "sum", where noise is distributed, their sum alone. A study's claim speaks of
    the sum where noise is distributed, and of each contribution where it is local.

    Raises TaskError where inputs are not real numbers: a canary cannot be drawn among them.
    """
    plan = terms.plan
    if plan is None:
        raise ValueError("a study without privacy claims no epsilon to hold a bound against")
    steady = {name: Steady(patients, terms.seed) for name, patients in hospitals.items()}
    coins = Coins.toss(list(hospitals), canaries, terms.seed)
    attacker = Attacker.before(plan, coins)
    # Enrolment counts patients, whatever their inputs: the examples stand for all canaries alike.
    inputs, targets = _examples(steady, canaries, terms.seed)
    standing = enrol(terms, coins.admitted(steady, inputs, targets[0]))
    given: dict[str, Contribution] = {}
    for number in range(1, terms.study.rounds + 1):
        drawn, labels = _draw(terms, standing, inputs, targets, number)
        given, kept = contribute(terms, standing, coins.admitted(steady, drawn, labels), number)
        known, _ = contribute(terms.without_noise(), standing, steady, number)
        parameters = len(standing.state.model)
        unknown = {
            name: gradient_sum_in(terms, given[name].vector, parameters)
            - gradient_sum_in(terms, known[name].vector, parameters)
            for name in hospitals
        }
        attacker.see(unknown, _gradients(terms, plan, standing.state.model, drawn, labels))
        standing = advance(terms, standing, given, kept)
        step()
    return attacker.prove(given, len(standing.state.model))


def epsilon_of_one(plan: PrivacyPlan, contribution: Contribution) -> float:
    """ε of all rounds for somebody who sees one hospital's contributions, with their share of the noise.

    The count of patients was released with the same share of its own noise.
    """
    multiplier = contribution.noise / contribution.bound
    if multiplier == 0.0:
        return math.inf
    count = plan.count_noise_multiplier * multiplier / plan.noise_multiplier
    return epsilon((Event(1.0, count), Event(plan.sampling_rate, multiplier, plan.steps)), plan.delta)


def _examples(hospitals: Hospitals, canaries: int, seed: int) -> tuple[Tensor, list[Tensor]]:
    """Inputs of the right shape for all canaries, and `TARGETS` real targets for each of them."""
    everybody = PooledPatients(list(hospitals.values()))
    random = np.random.default_rng([seed, 1])
    targets, generator = [], torch.Generator().manual_seed(seed)
    for _ in range(TARGETS):
        chosen = random.integers(0, len(everybody), canaries)
        inputs, some = everybody.batch(chosen, generator)
        targets.append(some)
    if not inputs.is_floating_point():
        raise TaskError("the inputs of this task are not real numbers: no canary can be drawn among them")
    return torch.zeros_like(inputs), targets


def _draw(
    terms: Terms, standing: Standing, like: Tensor, targets: list[Tensor], number: int
) -> tuple[Tensor, Tensor]:
    """All canaries' inputs at this visit, and of their possible targets the one with the greatest loss."""
    random = np.random.default_rng([terms.seed, 2, number])
    inputs = torch.from_numpy(SCALE * random.standard_normal(tuple(like.shape))).to(like.dtype)
    model = model_from(terms.task, standing.state.model).eval()
    with torch.no_grad():
        outputs = model(inputs)
        losses = torch.stack([terms.task.loss(outputs, each) for each in targets])
    worst = losses.argmax(dim=0)
    return inputs, torch.stack(targets)[worst, torch.arange(len(like))]


def _gradients(terms: Terms, plan: PrivacyPlan, model: Array, inputs: Tensor, targets: Tensor) -> Floats:
    """Every canary's clipped gradient at the published model, shape (canary, parameter)."""
    published = model_from(terms.task, model).train()
    with torch_seed(terms.seed), PatientGradients(published, terms.task.loss) as gradients:
        rows = clip_rows(gradients.of(inputs, targets), plan.clip)
    return rows.double().numpy()
