"""Federated partial least squares: hospitals send products with the current weights, never their covariance.

After Lorenzi et al. 2017 ("Secure multivariate large-scale multi-centric analysis through on-line learning:
an imaging genetics case study", SIPAIM, Proc. SPIE 10160), in the SVD form. Rounds alternate between two
sums over all patients i, for imaging rows x_i and genetic rows y_i, standardised by what the first round
summed:

    round 1          of each column: how many are known, Σ, Σ²
    then in turn     Σ_i y_i ⊗ (x_i U)        the coordinator makes V of it
                     Σ_i x_i ⊗ (y_i V)        and U, with the singular values

In one message travel several blocks of weight vectors, each an analysis of its own
(`tasks.learners.analyses`):

    the components   with a few spare vectors, deflated of those that earlier rounds have found
    permutations     imaging rows meet genetic rows of another patient of the same hospital: the null
                     distribution of the singular values (McIntosh and Lobaugh 2004). The patients as they are
                     are iterated in the same way from the same start, so that all are alike under the null
    halves           random halves of every hospital's patients: how alike are their weights? Scores are
                     centred at each hospital, or both halves would find where hospitals differ

A private study sums clipped rows, one noisy release a round, and has the components alone: permutations and
halves would be releases too. Its first round sums the rows themselves, for the columns' means; deviations
are public numbers: 1 for phenotypes, which come as deviations from a published reference, and for genotypes
that of their noisy frequency f in Hardy-Weinberg equilibrium, √2f(1−f).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from ground.arrays import Array, Arrays
from ground.errors import FederationError, StudyError
from privacy.gradients import add_noise
from privacy.plan import PrivacyPlan
from tasks.learners.analyses import Analysis, columns_of, paired
from tasks.learners.contract import Contribution, State, Total, Visit
from tasks.learners.products import (
    Scaling,
    View,
    clipped_loadings,
    clipped_rows,
    loadings,
    moments,
    one_thread,
    scaling_of,
    scores,
)
from tasks.learners.subspace import Block, Components, orthonormal, rotated, start
from tasks.patients import Patients

IMAGING, GENETICS = "imaging", "genetics"
AT, BLOCK = "at", "block"
MOMENTS = "moments"
# Allele frequencies are taken to lie in these bounds where they are known with noise alone.
RARE = (0.02, 0.98)
Tables = Callable[[Patients], Sequence[tuple[View, View]]]


@dataclass(frozen=True)
class Step:
    """One round.

    Attributes:
        towards: `MOMENTS`, or the table whose rows are weighed by the other's scores.
        begins: whether a block of components begins, at random.
        ends: whether one is found with this round's sum.

    """

    towards: str
    begins: bool = False
    ends: bool = False


@dataclass(frozen=True, eq=False)
class Found:
    """What the rounds came to.

    Attributes:
        components: the weights, imaging's on the left, and singular values.
        power: Σ t² of each component's genetic scores.
        imaging: how the phenotypes were standardised.
        genetics: how the genotypes were.
        p_value: of each component; 0 without permutations.
        reliability: mean |cosine| between halves, shape (2, component): of imaging and of genetic weights.

    """

    components: Components
    power: Array
    imaging: Scaling
    genetics: Scaling
    p_value: Array
    reliability: Array


@dataclass(frozen=True)
class PartialLeastSquares:
    """The learner.

    Attributes:
        widths: columns of the imaging and of the genetic table.
        components: to be found.
        block: how many of them at once.
        analyses: what is iterated side by side; the first is that of the components.
        rounds: of the study.
        seed: of random starts, permutations and halves.
        unit: the part of her row that a patient adds to a private study's first sum, times the sampling rate;
            0 where the study is not private.
        tables: patients -> (imaging, genetics) of each of their hospitals. Sensitive.
        assembled: the model of what was found, flat, shape (parameter,).
        parameters: how many the model has.

    """

    widths: tuple[int, int]
    components: int
    block: int
    analyses: tuple[Analysis, ...]
    rounds: int
    seed: int
    unit: float
    tables: Tables = field(repr=False)
    assembled: Callable[[Found], Array] = field(repr=False)
    parameters: int

    def __post_init__(self) -> None:
        stages = -(-self.components // self.block)
        least = 2 * stages + 1
        if self.rounds < least:
            raise StudyError(
                f"{self.rounds} rounds cannot find {self.components} components in {stages} blocks: "
                f"set rounds to {least} at the least, better to ten or twenty for each block"
            )

    @property
    def private(self) -> bool:
        """Whether rows are clipped and noisy."""
        return self.unit > 0.0

    @property
    def steps(self) -> tuple[Step, ...]:
        """What each round does: blocks of components in turn, an even number of rounds each but the first."""
        stages = -(-self.components // self.block)
        products = self.rounds - 1
        each = products // stages // 2 * 2
        found = [Step(MOMENTS)]
        for count in (products - each * (stages - 1), *[each] * (stages - 1)):
            for left in range(count, 0, -1):
                found.append(Step(GENETICS if left % 2 == 0 else IMAGING, left == count, left == 1))
        return tuple(found)

    def begin(self, watch: Callable[[int, int], None] = lambda *_: None) -> State:  # noqa: ARG002
        """No component is known; in a private study the public numbers that rows are first clipped with."""
        state = State(np.zeros(self.parameters, dtype=np.float32), {AT: np.zeros(1)})
        if not self.private:
            return state
        for name, width in zip((IMAGING, GENETICS), self.widths, strict=True):
            mean = np.full(width, float(name == GENETICS), dtype=np.float32)
            inverse = np.full(width, width**-0.5, dtype=np.float32)
            state = _with_scaling(state, name, Scaling(mean, inverse))
        return state

    def publish(self, state: State) -> dict[str, Array]:
        """The round's weight vectors and how to standardise; the model once all is done."""
        if state.slots[AT][0] >= len(self.steps):
            return {"model": state.model}
        sent = (
            AT,
            BLOCK,
            *(f"{name}.{what}" for name in (IMAGING, GENETICS) for what in ("mean", "inverse")),
        )
        return {name: state.slots[name].reshape(-1) for name in sent if name in state.slots}

    def model_at_hospital(self, published: Mapping[str, Array], memory: Arrays) -> Array:  # noqa: ARG002
        """The shared model; an empty vector as long as there is none."""
        return published.get("model", np.zeros(0, dtype=np.float32))

    def contribute(self, visit: Visit) -> tuple[Contribution, dict[str, Array]]:
        """This hospital's part of the round's sum. Sensitive until noised."""
        step, tables = self._asked(visit.published), self.tables(visit.patients)
        with one_thread():
            if visit.plan is not None:
                return self._private(visit, visit.plan, step, tables), {}
            return Contribution(self._exact(visit.published, step, tables)), {}

    def _exact(
        self, published: Mapping[str, Array], step: Step, tables: Sequence[tuple[View, View]]
    ) -> Array:
        if step.towards == MOMENTS:
            sums = [np.hstack([moments(imaging), moments(genetics)]) for imaging, genetics in tables]
            whole: Array = np.sum(sums, axis=0).reshape(-1)
            return whole
        scaling = {name: _scaling(published, name) for name in (IMAGING, GENETICS)}
        genetics = step.towards == GENETICS
        weights = published[BLOCK].reshape(self.widths[0 if genetics else 1], -1)
        vector = np.zeros(self._size(genetics=genetics), dtype=np.float32)
        for imaging_view, genetic_view in tables:
            here, there = (imaging_view, genetic_view) if genetics else (genetic_view, imaging_view)
            of = (IMAGING, GENETICS) if genetics else (GENETICS, IMAGING)
            found = scores(here, scaling[of[0]], weights)
            each = [paired(a, found[:, where], self.seed, genetics=genetics) for a, where in self._columns]
            vector[: there.width * weights.shape[1]] += loadings(
                there, scaling[of[1]], np.hstack(each)
            ).ravel()
            if not genetics:
                vector[there.width * weights.shape[1] :] += (each[0].T @ each[0]).ravel()
        return vector

    def combine(self, state: State, total: Total) -> State:
        """The next weights; raises ValueError where the sum is not this round's."""
        at = int(state.slots[AT][0])
        if at >= len(self.steps):
            raise FederationError("all rounds of this study are done: run it anew")
        step = self.steps[at]
        state = state.with_slots(**{AT: np.array([at + 1.0])})
        if step.towards == MOMENTS:
            return self._ready(self._centred(state, total.vector))
        if total.vector.shape != (self._size(genetics=step.towards == GENETICS),):
            raise ValueError(f"a sum of {total.vector.size} values")
        with one_thread():
            if step.towards == GENETICS:
                return self._right(state, total.vector.reshape(self.widths[1], -1))
            return self._left(state, total.vector, step)

    def _private(
        self, visit: Visit, plan: PrivacyPlan, step: Step, tables: Sequence[tuple[View, View]]
    ) -> Contribution:
        """The noisy sum of clipped rows over those patients whom Poisson sampling takes."""
        ((imaging, genetic),) = tables
        views = (
            (imaging, _scaling(visit.published, IMAGING)),
            (genetic, _scaling(visit.published, GENETICS)),
        )
        taken = np.zeros(len(imaging))
        taken[visit.stream.chosen(len(imaging), plan.sampling_rate)] = 1.0
        if step.towards == MOMENTS:
            exact = clipped_rows(views, taken, plan.clip, visit.step)
        else:
            genetics = step.towards == GENETICS
            (here, scaling), there = views if genetics else views[::-1]
            weights = visit.published[BLOCK].reshape(here.width, -1)
            found = scores(here, scaling, weights, np.float64) * taken[:, None]
            power = np.einsum("ij,ik->ijk", found, found).reshape(len(found), -1)
            exact = clipped_loadings(
                *there, found, power[:, :0] if genetics else power, plan.clip, visit.step
            )
        exact, confined = exact.within(visit.box)
        shares = visit.shares if plan.noise == "distributed" else 1
        noisy = add_noise(exact, plan.noise_multiplier, shares, visit.stream, in_place=True)
        return Contribution(noisy.vector, noisy.noise, noisy.bound, releases=1, confined=confined)

    def _centred(self, state: State, vector: Array) -> State:
        """With the columns' scaling, from the first round's sum."""
        if not self.private:
            sums = vector.reshape(3, sum(self.widths))
            state = _with_scaling(state, IMAGING, scaling_of(sums[:, : self.widths[0]]))
            return _with_scaling(state, GENETICS, scaling_of(sums[:, self.widths[0] :]))
        # What a patient added was clip/2 of her row; the number of patients was counted with noise.
        patients = max(1.0, float(state.slots["patients"][0])) * self.unit
        size, (images, variants) = vector / patients, self.widths
        frequency = np.clip((1.0 + size[images:] * variants**0.5) / 2.0, *RARE)
        deviation = np.sqrt(2.0 * frequency * (1.0 - frequency) * variants)
        inverse = np.full(images, images**-0.5)
        means = (size[:images] * images**0.5, 2.0 * frequency)
        for name, mean, each in zip((IMAGING, GENETICS), means, (inverse, 1.0 / deviation), strict=True):
            state = _with_scaling(state, name, Scaling(mean.astype(np.float32), each.astype(np.float32)))
        return state

    def _right(self, state: State, product: Block) -> State:
        """V of every analysis, from MᵀU."""
        earlier, current = _found(state), state.slots[BLOCK].reshape(self.widths[0], -1)
        blocks = []
        for analysis, where in self._columns:
            part: Block = product[:, where]
            if analysis.kind == "components" and earlier is not None:
                part = earlier.without(part, current[:, where], right=False)
            blocks.append(orthonormal(part))
        return state.with_slots(**{BLOCK: np.hstack(blocks)})

    def _left(self, state: State, vector: Array, step: Step) -> State:
        """U and singular values of every analysis, from M V."""
        current = state.slots[BLOCK].reshape(self.widths[1], -1)
        product = vector[: self.widths[0] * current.shape[1]].reshape(self.widths[0], -1)
        earlier, triples = _found(state), []
        for analysis, where in self._columns:
            part: Block = product[:, where]
            if analysis.kind == "components" and earlier is not None:
                part = earlier.without(part, current[:, where], right=True)
            triples.append(rotated(part, current[:, where]))
        state = state.with_slots(**{BLOCK: np.hstack([each.left for each in triples])})
        if not step.ends:
            return state
        first, width = triples[0], self.analyses[0].width
        turn = current[:, :width].T @ first.right
        gram = vector[product.size :].reshape(width, width)
        power = np.einsum("ij,ik,kj->j", turn, gram, turn)
        taken = min(self.block, self.components - (0 if earlier is None else len(earlier.values)))
        state = _with_found(state, first.first(taken), power[:taken])
        if int(state.slots[AT][0]) < len(self.steps):
            return self._ready(state, keep=state.slots[BLOCK])
        return self._finished(state, triples)

    def _ready(self, state: State, keep: Array | None = None) -> State:
        """With random weight vectors for the block of components that begins; `keep` the others'."""
        side = 0 if self.steps[int(state.slots[AT][0])].towards == GENETICS else 1
        size, done = self.widths[side], int(state.slots[AT][0])
        kept = None if keep is None else keep.reshape(size, -1)
        blocks = []
        for analysis, where in self._columns:
            if analysis.kind == "components" or kept is None:
                number = done if analysis.kind == "components" else 0
                blocks.append(start(size, analysis.width, [self.seed, number]))
            else:
                blocks.append(kept[:, where])
        return state.with_slots(**{BLOCK: np.hstack(blocks)})

    def _finished(self, state: State, triples: Sequence[Components]) -> State:
        """With the model of all that was found."""
        found = _found(state)
        if found is None:
            raise FederationError("no component was found: run the study anew")
        of = list(zip(self.analyses, triples, strict=True))
        null = np.array([each.values for analysis, each in of if analysis.kind == "permutation"])
        p_value = np.zeros(self.components)
        if len(null):
            p_value = (null >= null[0]).sum(axis=0) / len(null)  # the patients as they are count among them
        halves = [each for analysis, each in of if analysis.kind == "half"]
        pairs = [_alike(found, a, b) for a, b in zip(halves[::2], halves[1::2], strict=True)]
        reliability = np.mean(pairs, axis=0) if pairs else np.zeros((2, self.components))
        scalings = (_scaling(state.slots, IMAGING), _scaling(state.slots, GENETICS))
        whole = Found(found, state.slots["power"], *scalings, p_value, reliability)
        slots = {name: values for name, values in state.slots.items() if name != BLOCK}
        return State(self.assembled(whole).astype(np.float32), slots)

    def _asked(self, published: Mapping[str, Array]) -> Step:
        at = int(published[AT][0]) if AT in published else len(self.steps)
        if not 0 <= at < len(self.steps):
            raise FederationError("the coordinator asks for a round that this study does not have: refused")
        return self.steps[at]

    def _size(self, *, genetics: bool) -> int:
        """How many values a product's sum has; with those towards imaging comes ΣttT of the components."""
        width = sum(each.width for each in self.analyses)
        if genetics:
            return self.widths[1] * width
        return self.widths[0] * width + self.analyses[0].width ** 2

    @property
    def _columns(self) -> list[tuple[Analysis, slice]]:
        return columns_of(self.analyses)


def _with_scaling(state: State, name: str, scaling: Scaling) -> State:
    return state.with_slots(**{f"{name}.mean": scaling.mean, f"{name}.inverse": scaling.inverse})


def _scaling(arrays: Mapping[str, Array], name: str) -> Scaling:
    return Scaling(arrays[f"{name}.mean"], arrays[f"{name}.inverse"])


def _found(state: State) -> Components | None:
    """The components of the blocks that are done."""
    if "left" not in state.slots:
        return None
    return Components(state.slots["left"], state.slots["values"], state.slots["right"])


def _with_found(state: State, more: Components, power: Array) -> State:
    earlier = _found(state)
    whole = more if earlier is None else earlier.and_then(more)
    before = state.slots.get("power", np.zeros(0))
    return state.with_slots(
        left=whole.left, values=whole.values, right=whole.right, power=np.concatenate([before, power])
    )


def _alike(found: Components, first: Components, second: Components) -> Array:
    """|cosine| of both halves' weights for each component, shape (2, component); of those nearest to it."""
    here = np.abs(found.left.T @ first.left).argmax(axis=1)
    there = np.abs(found.left.T @ second.left).argmax(axis=1)
    pairs = ((first.left, second.left), (first.right, second.right))
    return np.abs([np.einsum("ij,ij->j", a[:, here], b[:, there]) for a, b in pairs])
