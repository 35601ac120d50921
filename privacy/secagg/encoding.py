"""Numbers as words whose sum cannot overflow.

A value is a whole number of steps, kept in two's complement modulo 2^bits. Why the sum is exact: each of n
hospitals gives |value| ≤ B steps with n·B ≤ 2^(bits−1) − 1, which `encode` enforces by refusing anything
larger, so the true sum lies in [−(2^(bits−1) − 1), 2^(bits−1) − 1], where two's complement is unique: adding
modulo 2^bits, masks and all, gives back the true sum and nothing else.

Noise on the lattice. Under distributed noise every patient's clipped gradient is rounded towards zero to
whole steps, which makes it no longer, so a patient still moves the integer sum by at most clip/step in L2.
Each hospital adds Gaussian noise rounded to whole steps. Were the whole noise drawn once and rounded,
rounding would be post-processing (it commutes with whole steps) and the Gaussian accounting exact. The sum of
n rounded shares of s ≥ 2 steps each differs from that, at equal variance n·s² + (n−1)/12, by at most
10⁻³/(n·s⁴) in total variation for each value: rounding multiplies a Fourier transform by sin(θ/2)/(θ/2),
whose logarithm is −θ²/24 − θ⁴/2880 − …, so the two transforms differ by the factor 1 − (n−1)·θ⁴/2880 + …,
that is by the fourth derivative of a Gaussian of variance n·s²; half the integral of its absolute value is
E|z⁴ − 6z² + 3|/5760 = 4.9·10⁻⁴ times (n−1)/(n²·s⁴). `slack` turns that into δ.
Compare Kairouz, Liu and Steinke, "The Distributed Discrete Gaussian Mechanism" (ICML 2021).

The box. Words of 32 bits hold B = (2^31 − 1)/n steps of one hospital; where steps are fine, a sum over many
patients who all point the same way may be longer. Before its noise is added, such a sum can be moved to the
nearest point of a box, every value of it to within ±(B − 9·deviation) (`Encoding.confine`). That is the
projection on a convex set: |c(a) − c(b)| ≤ |a − b| for each value, so ‖c(x) − c(y)‖₂ ≤ ‖x − y‖₂, and a
patient, added or removed, moves the confined sum by at most the clip, whichever others Poisson sampling took.
Whole steps stay whole, and all of the noise is added afterwards, so all of the above holds as it stands.
Noise ends at 9 deviations, so the noisy value is within ±B, and nothing can overflow. Confining the *noisy*
values is another mechanism: a hospital at the wall takes its share of the noise out of the sum, and with it
out of the protection of every other hospital's patients. So `encode` refuses those, and only vectors that are
private already (`released`) are confined with their noise in them, for which it is post-processing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from ground.arrays import Array, Words
from ground.errors import PrivacyError
from privacy.plan import LATTICE_SHARE, PrivacyPlan
from privacy.randomness import Floats, Stream

Bits = Literal[32, 64]
STRETCH = 1 << 16
# Room for so many patients of one hospital who all point the same way is made wherever precision allows it.
PATIENTS = 100_000
# Up to so many values keys and shares by themselves take more than half a byte a value, however few hospitals
# there are: there 64 bits are used where they are of any use, and nothing is ever confined.
SMALL = 1024
# Steps in a value of a clipped gradient that is spread evenly: rounding towards zero shortens it by a 32nd.
EVEN_STEPS = 16.0
# The fewest, where noise nearly fills 32 bits: by an eighth, which is nothing beside such noise.
LEAST_EVEN_STEPS = 4.0
# 64 bits, rather than a box that patients with such gradients would fill.
EVEN_PATIENTS = 4e4
# Steps in the noise of a vector that is private already: rounding then adds 0.03 % to its variance.
ROUNDED_STEPS = 16.0
# The largest weight of one hospital, in patients; a power of two.
WEIGHT = 2.0**17
# The generator's normal numbers end at 8.2 standard deviations (52 bits), so 9 is a bound and not a hope.
DEVIATIONS = 9.0
# The largest |metric| that a sum holds; a power of two.
METRIC = 64.0
# Steps in a hospital's share of the noise: fewer would not be Gaussian enough, more brings nothing.
FEWEST_STEPS, MOST_STEPS = 2.0**12, 2.0**20


@dataclass(frozen=True)
class Encoding:
    """How numbers become words.

    Attributes:
        bits: of a word, 32 or 64.
        step: the value of one unit; a power of two, so that scaling is exact.
        hospitals: how many may be in one sum.
        deviation: of the noise that each adds, for which the box leaves room; 0 where none is to come.
        released: whether values hold all of their noise already, and the last of them is a weight that
            multiplies the others (`tasks.learners.local_training`): it has a step of its own.

    """

    bits: Bits
    step: float
    hospitals: int
    deviation: float = 0.0
    released: bool = False

    @property
    def most(self) -> int:
        """B, the most steps that one hospital may give; a float64 holds it exactly, so comparing is exact."""
        most = ((1 << (self.bits - 1)) - 1) // self.hospitals
        unseen = max(0, most.bit_length() - 53)
        return most >> unseen << unseen

    @property
    def bound(self) -> float:
        """The largest |value| of one hospital, in the values' own unit."""
        return self.most * self.step

    @property
    def box(self) -> float:
        """The largest |value| of one hospital's sum before its noise; 0 where noise alone fills the words."""
        left = self.most - math.ceil(DEVIATIONS * self.deviation / self.step)
        return max(0, left) * self.step

    @property
    def dtype(self) -> np.dtype[np.unsignedinteger]:
        """Of the words."""
        return np.dtype(f"<u{self.bits // 8}")

    @staticmethod
    def for_values(bound: float, precision: float, hospitals: int) -> Encoding:
        """For |values| ≤ `bound`, exact to `precision`: the narrowest words that hold n of them.

        Raises PrivacyError where not even 64 bits do.
        """
        step = 2.0 ** math.floor(math.log2(precision))
        for bits in (32, 64):
            encoding = Encoding(bits, step, hospitals)
            if bound <= encoding.bound:
                return encoding
        raise PrivacyError(
            f"no word holds {hospitals} values up to {bound:g} at a precision of {precision:g}: "
            "lower the clip, or ask for less precision"
        )

    @staticmethod
    def for_noise(clip: float, deviation: float, hospitals: int, patients: int = PATIENTS) -> Encoding:
        """For sums over up to `patients` patients of a hospital, each at most `clip`, and its share of noise.

        `deviation` is that share's. 32 bits where the noise then still has enough steps, else 64.
        """
        step = _step_for(patients * clip, deviation, hospitals)
        if deviation / step >= FEWEST_STEPS:
            return Encoding(32, step, hospitals, deviation)
        return Encoding(64, _finest(deviation), hospitals, deviation)

    @staticmethod
    def for_gradients(plan: PrivacyPlan, hospitals: int, fewest: int, values: int) -> Encoding:
        """For sums of clipped gradients of that many values, with distributed noise.

        As `for_noise` has it where few values or short ones leave the choice; else 32 bits at a step that is
        fine enough for the lattice's part of δ and for the gradients themselves, and what the words then lack
        is a smaller box. Where that would be too small a box the step grows up to fourfold, and beyond that
        64 bits remain.
        """
        deviation = plan.noise_multiplier * plan.clip / math.sqrt(fewest)
        roomy = Encoding.for_noise(plan.clip, deviation, hospitals)
        if values <= SMALL:
            return roomy
        room, finest = _step_for(PATIENTS * plan.clip, deviation, hospitals), math.inf
        least, even = _least_steps(plan, fewest, values), EVEN_STEPS
        while even >= LEAST_EVEN_STEPS:
            steps = max(least, even * math.sqrt(values) * deviation / plan.clip)
            step = 2.0 ** math.floor(math.log2(deviation / steps))
            finest = min(finest, step)
            chosen = Encoding(32, min(room, step), hospitals, deviation)
            if chosen.box * math.sqrt(values) >= EVEN_PATIENTS * plan.clip:
                return chosen
            even /= 2.0
        return Encoding(64, min(roomy.step, finest), hospitals, deviation)

    @staticmethod
    def for_released(reach: float, deviation: float, hospitals: int) -> Encoding:
        """For vectors of local training, which are private already: 32 bits always.

        A patient moves a value by up to `reach` where all point the same way, and its noise is `deviation`.
        There is room for 100,000 such patients as long as the noise has 16 steps.
        """
        coarsest = 2.0 ** math.floor(math.log2(deviation / ROUNDED_STEPS))
        return Encoding(
            32, min(_step_for(PATIENTS * reach, deviation, hospitals), coarsest), hospitals, released=True
        )

    @staticmethod
    def for_count(plan: PrivacyPlan, hospitals: int, fewest: int) -> Encoding:
        """For the one count of patients: one word, which is as wide as it has to be."""
        shares = fewest if plan.noise == "distributed" else 1
        return Encoding.for_noise(1.0, plan.count_noise_multiplier / math.sqrt(shares), hospitals)

    @staticmethod
    def for_plan(
        plan: PrivacyPlan, hospitals: int, fewest: int, *, counting: bool, values: int = 1
    ) -> Encoding:
        """What a private study's sums are encoded with: the count of patients, or vectors of `values` values.

        Both sides compute it from the study and the roster. Of vectors of local noise nothing is known here,
        so they get 64 bits at a step of 2⁻²⁴; for long ones of local training there is `for_released`.
        """
        if counting:
            return Encoding.for_count(plan, hospitals, fewest)
        if plan.noise == "local":
            return Encoding(64, 2.0**-24, hospitals)
        return Encoding.for_gradients(plan, hospitals, fewest, values)

    def for_metrics(self) -> Encoding:
        """Words of the same width for metrics: |values| ≤ 64, as precise as they can be."""
        step = METRIC / (1 << (self.most.bit_length() - 1))
        return Encoding(self.bits, step, self.hospitals)

    def for_weights(self) -> Encoding:
        """Words of the same width for a weight: at most 2¹⁷ patients, as precise as they can be."""
        return Encoding(self.bits, WEIGHT / (1 << (self.most.bit_length() - 1)), self.hospitals)

    def confine(self, values: Array) -> tuple[Array, int]:
        """The nearest values, shape (count,), in the box, and how many were outside it.

        The values are a sum before its noise, or, where `released`, a vector with all of it, whose weight is
        brought within 2¹⁷ first, and the others in proportion: that hospital counts as so many patients.
        """
        if self.released and values[-1] > WEIGHT:
            values = values * (WEIGHT / values[-1])
            values[-1] = WEIGHT
        free = values[:-1] if self.released else values
        limit = values.dtype.type(self.box)
        if float(limit) > self.box:  # a float32 beside it, on the wrong side
            limit = np.nextafter(limit, values.dtype.type(0.0))
        if -limit <= free.min(initial=0.0) and free.max(initial=0.0) <= limit:
            return values, 0  # as nearly always: no copy is made
        outside = int(np.count_nonzero(np.abs(free) > limit))
        confined = values.copy()
        np.clip(free, -limit, limit, out=confined[: free.size])
        return confined, outside

    def encode(self, values: Array, stream: Stream | None = None, *, into: Words | None = None) -> Words:
        """Words of the values, shape (count,); rounded to the nearest step, or at random by the stream.

        Random rounding goes up with the probability of the fraction, so that its mean is exact. Raises
        PrivacyError where a value is larger than one hospital may give: nothing is cut off in silence.
        They are written to `into` where that is given, which may be the beginning of the values' own memory
        (`room_in`): a word is no longer than a value, and each stretch is read before it is written.
        """
        words = np.empty(values.shape, dtype=self.dtype) if into is None else into
        for part, encoding in self._parts(values.size):
            encoding._fill(words[part], values[part], stream)
        return words

    def room_in(self, values: Array, count: int) -> Words | None:
        """The memory of the values as that many words, which overwrite them; None where they do not fit."""
        own = values.flags.c_contiguous and values.flags.writeable
        if not own or values.itemsize < self.dtype.itemsize or values.nbytes < count * self.dtype.itemsize:
            return None
        return values.view(self.dtype)[:count]

    def decode(self, total: Words) -> Floats:
        """The sum of the values, from the sum of the words; exact up to rounding to whole steps."""
        decoded = total.view(self.dtype.str.replace("u", "i")).astype(np.float64)
        for part, encoding in self._parts(total.size):
            decoded[part] *= encoding.step
        return decoded

    def _parts(self, count: int) -> list[tuple[slice, Encoding]]:
        """Which of so many values are encoded how."""
        if not self.released:
            return [(slice(0, count), self)]
        return [(slice(0, count - 1), self), (slice(count - 1, count), self.for_weights())]

    def _fill(self, words: Words, values: Array, stream: Stream | None) -> None:
        signed = words.view(self.dtype.str.replace("u", "i"))
        for start in range(0, values.size, STRETCH):
            stretch = slice(start, start + STRETCH)
            with np.errstate(over="ignore"):  # what becomes infinite is refused below
                steps = values[stretch].astype(np.float64) / self.step
            if stream is not None:
                steps = np.floor(steps + stream.uniform(steps.size))
            else:
                np.rint(steps, out=steps)
            if not np.abs(steps).max(initial=0.0) <= self.most:  # so written, NaN is refused too
                raise PrivacyError(
                    f"a value is beyond ±{self.bound:.3g}, the most that one of {self.hospitals} hospitals "
                    "may add to a secure sum: nothing was sent; lower the learning rate or the clip"
                )
            signed[stretch] = steps


def slack(plan: PrivacyPlan, encoding: Encoding, deviation: float, fewest: int, values: int) -> float:
    """By how much the lattice may exceed the plan's δ: (1 + e^ε) · releases · values · 10⁻³/(n·s⁴).

    It is to stay within `privacy.plan.LATTICE_SHARE`, for which the plan leaves room.
    """
    variation = 1e-3 / (fewest * (deviation / encoding.step) ** 4)
    return (1.0 + math.exp(plan.epsilon)) * (plan.steps + 1) * values * variation


def allowed(plan: PrivacyPlan) -> float:
    """The δ that the plan leaves to the lattice."""
    return LATTICE_SHARE / (1.0 - LATTICE_SHARE) * plan.delta


def _least_steps(plan: PrivacyPlan, fewest: int, values: int) -> float:
    """Of a share of the noise, for `slack` to be `allowed`, and no fewer than the proof asks for."""
    at_one = slack(plan, Encoding(32, 1.0, fewest), 1.0, fewest, values)
    return max(2.0, 1.01 * math.sqrt(math.sqrt(at_one / allowed(plan))))


def _finest(deviation: float) -> float:
    """The step beyond which a finer one brings nothing."""
    return 2.0 ** math.ceil(math.log2(deviation / MOST_STEPS))


def _step_for(most: float, deviation: float, hospitals: int) -> float:
    """The finest useful step at which 32 bits hold values up to `most` and their noise, of each hospital."""
    wide = (most + DEVIATIONS * deviation) * hospitals
    return max(_finest(deviation), 2.0 ** math.ceil(math.log2(wide / (2.0**31 - 1.0 - 2.0 * hospitals))))
