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
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from ground.arrays import Array, Words
from ground.errors import PrivacyError
from privacy.plan import PrivacyPlan
from privacy.randomness import Floats, Stream

Bits = Literal[32, 64]
STRETCH = 1 << 16
# The most patients of one hospital for which a sum of their clipped gradients is sure to fit.
PATIENTS = 100_000
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

    """

    bits: Bits
    step: float
    hospitals: int

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
        most = patients * clip + DEVIATIONS * deviation
        fine = 2.0 ** math.ceil(math.log2(deviation / MOST_STEPS))
        narrow = 2.0 ** math.ceil(math.log2(most * hospitals / (2.0**31 - 1.0 - 2.0 * hospitals)))
        step = max(fine, narrow)
        if deviation / step >= FEWEST_STEPS:
            return Encoding(32, step, hospitals)
        return Encoding(64, fine, hospitals)

    @staticmethod
    def for_plan(plan: PrivacyPlan, hospitals: int, fewest: int, *, counting: bool) -> Encoding:
        """What a private study's sums are encoded with: the count of patients, or the gradients.

        Both sides compute it from the study and the roster. Local training's vectors have no bound of their
        own, so they get 64 bits at a step of 2⁻²⁴.
        """
        if plan.noise == "local" and not counting:
            return Encoding(64, 2.0**-24, hospitals)
        shares = fewest if plan.noise == "distributed" else 1
        clip, multiplier = (
            (1.0, plan.count_noise_multiplier) if counting else (plan.clip, plan.noise_multiplier)
        )
        return Encoding.for_noise(clip, multiplier * clip / math.sqrt(shares), hospitals)

    def for_metrics(self) -> Encoding:
        """Words of the same width for metrics: |values| ≤ 64, as precise as they can be."""
        step = METRIC / (1 << (self.most.bit_length() - 1))
        return Encoding(self.bits, step, self.hospitals)

    def encode(self, values: Array, stream: Stream | None = None) -> Words:
        """Words of the values, shape (count,); rounded to the nearest step, or at random by the stream.

        Random rounding goes up with the probability of the fraction, so that its mean is exact. Raises
        PrivacyError where a value is larger than one hospital may give: nothing is cut off in silence.
        """
        words = np.empty(values.shape, dtype=self.dtype)
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
        return words

    def decode(self, total: Words) -> Floats:
        """The sum of the values, from the sum of the words; exact up to rounding to whole steps."""
        signed = total.view(self.dtype.str.replace("u", "i"))
        return signed.astype(np.float64) * self.step


def slack(plan: PrivacyPlan, encoding: Encoding, deviation: float, fewest: int, values: int) -> float:
    """By how much the lattice may exceed the plan's δ: (1 + e^ε) · releases · values · 10⁻³/(n·s⁴).

    It is to stay within `privacy.plan.LATTICE_SHARE`, for which the plan leaves room.
    """
    variation = 1e-3 / (fewest * (deviation / encoding.step) ** 4)
    return (1.0 + math.exp(plan.epsilon)) * (plan.steps + 1) * values * variation
