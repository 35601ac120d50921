"""A learner: two functions over explicit state, one at the hospital and one at the coordinator.

`contribute` turns patients into a vector; the coordinator only ever sees the sum of such vectors over the
hospitals, which `combine` turns into the next state. Whatever is written in these two functions gets privacy,
aggregation and resume for nothing: noise is in the vector before it leaves, and state is all there is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from ground.arrays import Array, Arrays
from privacy.plan import PrivacyPlan
from privacy.randomness import Stream
from tasks.patients import Patients

STRETCH = 1 << 15


@dataclass(frozen=True)
class State:
    """What the coordinator knows; all of it is public.

    Attributes:
        model: the trainable parameters, flat, shape (parameter,), float32.
        slots: whatever else `combine` remembers (moments, control variates, the noisy count of patients, how
            many digital ones each hospital makes of each stratum).

    """

    model: Array
    slots: Arrays = field(default_factory=dict)

    def with_slots(self, **slots: Array) -> State:
        """The same state with these slots set."""
        return State(self.model, {**self.slots, **slots})


@dataclass(frozen=True)
class Contribution:
    """What a hospital gives to the sum.

    Attributes:
        vector: shape (value,).
        noise: standard deviation of the noise in each value; 0 where the study asks for no privacy.
        bound: the most, in L2, that one patient moves the vector; infinite where nothing is clipped.
        releases: how many noisy sums over patients went into it, each of them accounted.
        confined: how many values the visit's box cut before the noise; sensitive.

    """

    vector: Array
    noise: float = 0.0
    bound: float = float("inf")
    releases: int = 0
    confined: int = 0


@dataclass(frozen=True)
class Total:
    """The sum of the contributions, and over whom."""

    vector: Array
    hospitals: int


@dataclass(frozen=True, eq=False)
class Filling:
    """The digital patients whom a hospital mixes in. Public: whoever has the recipes has them.

    Attributes:
        patients: made from this hospital's own share of the recipes; one at the least.
        seed: of what is drawn from them in this round, of whom and which item; it depends on no real patient.

    """

    patients: Patients
    seed: int


@dataclass(frozen=True)
class Visit:
    """One round at one hospital.

    Attributes:
        published: what the coordinator sent (`Learner.publish`).
        patients: the training patients, sensitive.
        memory: what this hospital kept from its last round; it never leaves.
        stream: this hospital's randomness for this round.
        shares: how many shares of distributed noise are sure to be in the sum; each hospital adds one.
        plan: None where the study asks for no privacy.
        step: where not 0, noisy sums are to be whole numbers of it, as a secure sum adds them.
        box: the largest |value| of a sum before its noise, of which a secure sum's words leave room.
        done: the part of the study that lies behind, 0 before the first round.
        digital: the digital patients who are mixed in; None where there are none.

    """

    published: Arrays
    patients: Patients
    memory: Arrays
    stream: Stream
    shares: int
    plan: PrivacyPlan | None
    step: float = 0.0
    box: float = float("inf")
    done: float = 0.0
    digital: Filling | None = None


class Learner(Protocol):
    """How a task learns. Pure: the same visit gives the same contribution, the same total the same state."""

    def begin(self, watch: Callable[[int, int], None] = ...) -> State:
        """The state before the first round; `watch` hears how much of how much work is done."""

    def publish(self, state: State) -> dict[str, Array]:
        """What hospitals are sent: flat vectors by name, "model" among them."""

    def contribute(self, visit: Visit) -> tuple[Contribution, dict[str, Array]]:
        """What the hospital gives, and what it keeps for its next round. Sensitive: runs at the hospital."""

    def combine(self, state: State, total: Total) -> State:
        """The next state; may write over the total's vector, which nobody needs afterwards."""

    def model_at_hospital(self, published: Mapping[str, Array], memory: Arrays) -> Array:
        """The model that this hospital would use for its patients: the shared one, or one of its own."""


def add_up(vectors: list[Array]) -> Total:
    """The plain sum, in the order given: on one machine, by a coordinator that is trusted.

    Stretch by stretch, each of which stays in the processor's cache while all vectors are added to it. In
    float32 the sum over K hospitals is off by at most K·6e-8 of the values, far below any noise.
    """
    first, *others = vectors
    total = np.empty_like(first)
    for start in range(0, total.size, STRETCH):
        stretch = slice(start, start + STRETCH)
        part = total[stretch]
        np.copyto(part, first[stretch])
        for vector in others:
            part += vector[stretch]
    return Total(total, len(vectors))
