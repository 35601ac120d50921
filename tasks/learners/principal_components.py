"""Federated principal components of one table: hospitals send ZᵀZ V for the current weight vectors V.

Block power iteration of the patients' correlation matrix, which is never formed (Golub and Van Loan, section
8.2.4; federated as in Hartebrodt and Röttger 2022, Bioinformatics Advances 2:vbac026, who exchange the same
products). The first round sums what standardisation needs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from ground.arrays import Array, Arrays
from ground.errors import PrivacyError
from tasks.learners.contract import Contribution, State, Total, Visit
from tasks.learners.products import Scaling, View, loadings, moments, one_thread, scaling_of, scores
from tasks.learners.subspace import start
from tasks.patients import Patients

VECTORS, VALUES = "vectors", "values"


@dataclass(frozen=True)
class PrincipalComponents:
    """The learner; without privacy.

    Attributes:
        width: columns of the table.
        components: to be found.
        spare: weight vectors beyond them, which speed convergence.
        seed: of the random start.
        tables: patients -> the table of each of their hospitals. Sensitive.

    """

    width: int
    components: int
    spare: int
    seed: int
    tables: Callable[[Patients], Sequence[View]] = field(repr=False)

    def begin(self, watch: Callable[[int, int], None] = lambda *_: None) -> State:  # noqa: ARG002
        """Nothing is known: the first round sums moments."""
        return State(np.zeros(self.components * self.width, dtype=np.float32))

    def publish(self, state: State) -> dict[str, Array]:
        """The weight vectors, (column, vector) flat, and how to standardise."""
        sent = {name: state.slots[name] for name in ("mean", "inverse", VECTORS) if name in state.slots}
        return {name: values.reshape(-1) for name, values in sent.items()}

    def model_at_hospital(self, published: Mapping[str, Array], memory: Arrays) -> Array:  # noqa: ARG002
        """The weights, (component, column) flat; zeros before there are any."""
        if VECTORS not in published:
            return np.zeros(self.components * self.width, dtype=np.float32)
        vectors = published[VECTORS].reshape(self.width, -1)[:, : self.components]
        return np.ascontiguousarray(vectors.T).reshape(-1)

    def contribute(self, visit: Visit) -> tuple[Contribution, dict[str, Array]]:
        """Moments, then products; sensitive. Raises PrivacyError in a private study."""
        if visit.plan is not None:
            raise PrivacyError("principal components are not private here: leave [privacy] out")
        tables = self.tables(visit.patients)
        if VECTORS not in visit.published:
            return Contribution(np.sum([moments(view) for view in tables], axis=0).reshape(-1)), {}
        scaling = Scaling(visit.published["mean"], visit.published["inverse"])
        vectors = visit.published[VECTORS].reshape(self.width, -1)
        with one_thread():
            parts = [loadings(view, scaling, scores(view, scaling, vectors)) for view in tables]
        return Contribution(np.sum(parts, axis=0, dtype=np.float32).reshape(-1)), {}

    def combine(self, state: State, total: Total) -> State:
        """The next weight vectors, the largest component first; raises ValueError for another round's sum."""
        if VECTORS not in state.slots:
            scaling = scaling_of(total.vector.reshape(3, self.width))
            count = min(self.components + self.spare, self.width)
            state = state.with_slots(mean=scaling.mean, inverse=scaling.inverse)
            return state.with_slots(**{VECTORS: start(self.width, count, [self.seed])})
        vectors = state.slots[VECTORS]
        product = np.asarray(total.vector, dtype=np.float64).reshape(vectors.shape)
        # Of the new directions the leading ones: with ZᵀZ V = A S Bᵀ they are A's columns.
        with one_thread():
            left, values, _ = np.linalg.svd(product, full_matrices=False)
        largest = left[np.abs(left).argmax(axis=0), np.arange(left.shape[1])]
        vectors = (left * np.sign(largest)).astype(np.float32)  # a direction has no sign of its own
        model = np.ascontiguousarray(vectors[:, : self.components].T).reshape(-1)
        slots = {**state.slots, VECTORS: vectors, VALUES: values}
        return State(model, slots)
