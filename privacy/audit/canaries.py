"""Which canaries were put in: the attacker's side of a one-run audit.

A canary is a patient who is put in or left out by a fair coin b ∈ {0, 1}. The attacker knows every other
patient and every canary's clipped gradient, so that a released sum, less what the others gave, is

    y = Σ_i b_i c_i + noise,

one equation for each value of each round. He estimates b by the linear rule of least mean square error, which
keeps canaries that point into each other's directions apart (Verdú, "Multiuser detection", 1998, chapter 6).
Guesses are then counted as Steinke, Nasr and Jagielski (NeurIPS 2023, algorithm 1) ask: so many of the
highest scores for present, as many of the lowest for absent, no guess about the others; how many is fixed
before anybody looks.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

PRIOR_VARIANCE = 0.25  # of a fair coin
# Without noise the equations are solved exactly; this share of their scale keeps them solvable.
LEAST_RIDGE = 1e-9


@dataclass(frozen=True, eq=False)
class Evidence:
    """What was seen so far, as the sums that an estimate needs.

    Attributes:
        gram: Σ c_i·c_j over all rounds, shape (canary, canary).
        matched: Σ y·c_i over all rounds, shape (canary,).

    """

    gram: Floats
    matched: Floats

    @staticmethod
    def none(canaries: int) -> Evidence:
        """Before the first round."""
        return Evidence(np.zeros((canaries, canaries)), np.zeros(canaries))

    def add(self, observed: Floats, gradients: Floats) -> Evidence:
        """With one round more: `observed` has shape (value,), `gradients` (canary, value)."""
        return Evidence(self.gram + gradients @ gradients.T, self.matched + gradients @ observed)

    def scores(self, noise: float, sampling_rate: float = 1.0) -> Floats:
        """How much each canary seems to be present, shape (canary,): higher is likelier.

        `noise` is the standard deviation in each value. A canary that is present takes part in a round with
        probability q, so that its column is q·c on average; what sampling scatters is left to the noise.
        """
        q, canaries = sampling_rate, len(self.matched)
        matched = q * (self.matched - q * self.gram.sum(axis=1) / 2.0)
        ridge = noise**2 / PRIOR_VARIANCE
        least = LEAST_RIDGE * max(float(np.trace(self.gram)) / max(1, canaries), np.finfo(float).tiny)
        return np.asarray(
            np.linalg.solve(q**2 * self.gram + max(ridge, least) * np.eye(canaries), matched),
            dtype=np.float64,
        )


def guesses_right(scores: Floats, present: Bools, share: float = 1 / 3) -> tuple[int, int]:
    """How many guesses were made and how many were right.

    The `share` of canaries with the highest scores is called present, the same share with the lowest absent.
    """
    side = int(len(scores) * share)
    if side == 0:
        return 0, 0
    order = np.argsort(scores, kind="stable")
    right = int(present[order[-side:]].sum() + (~present[order[:side]]).sum())
    return 2 * side, right
