"""A study's learners over hospitals in this process: the same functions, without messages and files.

What is drawn for an audit has keys of its own, so that no audit repeats the noise of the study itself.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from ground.arrays import Array, Arrays
from privacy.plan import PrivacyPlan
from privacy.randomness import Stream, seeded_key
from privacy.secagg.encoding import Encoding
from privacy.secagg.graph import fewest_in_a_sum
from tasks.contract import Task
from tasks.learners import learner_for
from tasks.learners.contract import Contribution, Learner, State, Visit, add_up
from tasks.learners.gradient import GradientLearner
from tasks.learners.statistics import count_of_patients
from tasks.messages import Phase
from tasks.patients import Patients
from tasks.registry import find
from tasks.study import Study

Hospitals = Mapping[str, Patients]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Terms:
    """What is rehearsed.

    Attributes:
        study: the study, with or without privacy.
        plan: its plan, or one from which something was taken; None without privacy.
        seed: of everything that is drawn here.

    """

    study: Study
    plan: PrivacyPlan | None
    seed: int

    @staticmethod
    def of(study: Study, seed: int) -> Terms:
        """The study exactly as it is."""
        return Terms(study, study.plan(), seed)

    def without_noise(self) -> Terms:
        """The same with every gradient sum left without noise: sampled and clipped as before."""
        if self.plan is None:
            return self
        return replace(self, plan=replace(self.plan, noise_multiplier=0.0))

    @property
    def task(self) -> Task:
        """What is learned."""
        return find(self.study.task, self.study.task_version, self.study.options)

    @property
    def learner(self) -> Learner:
        """How it is learned."""
        return learner_for(self.task, self.study)

    def learns_by_gradients(self) -> bool:
        """Whether there are gradients to attack."""
        return isinstance(self.learner, GradientLearner)


@dataclass(frozen=True)
class Standing:
    """Between two rounds.

    Attributes:
        state: the coordinator's.
        memories: what each hospital keeps. Sensitive.

    """

    state: State
    memories: Mapping[str, Arrays]


def visit(
    terms: Terms, standing: Standing, name: str, patients: Hospitals, phase: Phase, number: int
) -> Visit:
    """One hospital's visit in one round, as `client.training` would make it."""
    published = {} if phase == "enrol" else terms.learner.publish(standing.state)
    shares, words = _shares_and_words(terms.study, len(patients), published, counting=phase == "enrol")
    return Visit(
        published=published,
        patients=patients[name],
        memory=standing.memories.get(name, {}),
        stream=Stream(seeded_key(terms.seed, terms.study.digest, "audit", name), phase, number),
        shares=shares,
        plan=terms.plan,
        step=0.0 if words is None else words.step,
        box=math.inf if words is None else words.box,
        done=max(0, number - 1) / terms.study.rounds,
    )


def _shares_and_words(
    study: Study, hospitals: int, published: Arrays, *, counting: bool
) -> tuple[int, Encoding | None]:
    """Of how many shares of noise each adds one, and the words in which a secure sum adds up.

    The words are those of the study's own plan, whatever was taken from it here, and of its model's size, as
    `tasks.messages.words_of_sum` has them for a roster. Local training's vectors are rounded after their
    noise is in, which no attacker gains by.
    """
    plan = study.plan()
    if plan is None or not study.secure or study.privacy is None:
        return hospitals, None
    fewest = fewest_in_a_sum(hospitals, study.privacy.minimum_hospitals)
    if plan.noise == "local" and not counting:
        return fewest, None
    values = published["model"].size if "model" in published else 1
    return fewest, Encoding.for_plan(plan, hospitals, fewest, counting=counting, values=values)


def enrol(terms: Terms, patients: Hospitals) -> Standing:
    """Before the first round: under privacy, patients are counted with noise, as every study begins."""
    standing = Standing(terms.learner.begin(), {})
    if terms.plan is None:
        return standing
    counter = count_of_patients()
    answers = {
        name: counter.contribute(visit(terms, standing, name, patients, "enrol", 0)) for name in patients
    }
    state = counter.combine(standing.state, add_up([answer[0].vector for answer in answers.values()]))
    return Standing(state, {name: answer[1] for name, answer in answers.items()})


def contribute(
    terms: Terms, standing: Standing, patients: Hospitals, number: int
) -> tuple[dict[str, Contribution], dict[str, Arrays]]:
    """What each hospital gives in that round, by name, and what it keeps."""
    given: dict[str, Contribution] = {}
    kept: dict[str, Arrays] = {}
    for name in patients:
        asked = visit(terms, standing, name, patients, "train", number)
        given[name], arrays = terms.learner.contribute(asked)
        kept[name] = {**standing.memories.get(name, {}), **arrays}
    return given, kept


def advance(
    terms: Terms, standing: Standing, given: Mapping[str, Contribution], kept: Mapping[str, Arrays]
) -> Standing:
    """After the round in which that was given."""
    total = add_up([each.vector for each in given.values()])
    return Standing(terms.learner.combine(standing.state, total), kept)


def train(terms: Terms, patients: Hospitals) -> Array:
    """The shared model after all rounds, flat, shape (parameter,)."""
    standing = enrol(terms, patients)
    for number in range(1, terms.study.rounds + 1):
        standing = advance(terms, standing, *contribute(terms, standing, patients, number))
    return standing.state.model


def gradient_sum_in(terms: Terms, vector: Array, parameters: int) -> Floats:
    """The sum of gradients that a contribution stands for, a mean over its local steps, shape (parameter,).

    A distributed contribution is that sum. A local one begins with weight · change of the model, where the
    change is −(rate / (q·weight)) times the sum, for each step; beyond FedAvg, and after more than one step,
    this holds to first order.
    """
    values = np.asarray(vector[:parameters], dtype=np.float64)
    plan, training = terms.plan, terms.study.training
    if plan is not None and plan.noise == "distributed":
        return values
    sampling_rate = 1.0 if plan is None else plan.sampling_rate
    return -values * sampling_rate / (training.learning_rate * training.local_steps)


def noise_of(contribution: Contribution) -> float:
    """Standard deviation of the noise in `gradient_sum_in`, which is a mean over the releases."""
    return contribution.noise / math.sqrt(max(1, contribution.releases))
