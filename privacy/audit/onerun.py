"""A lower bound on ε from one run (Steinke, Nasr and Jagielski, "Privacy auditing with one (1) training run",
NeurIPS 2023).

m canaries are each put in or left out by a fair coin; an attacker guesses the coins from what was released.
Under (ε, δ)-DP he is right about each with probability at most e^ε/(1+e^ε), up to δ; guessing better than
that is evidence of a larger ε.
"""

from __future__ import annotations

import numpy as np
from scipy.stats import binom


def p_value(canaries: int, guesses: int, correct: int, epsilon: float, delta: float) -> float:
    """Bound on the probability of `correct` or more right guesses under (ε, δ)-DP (theorem 5.2).

    β = P[B ≥ v] and α = max_i P[v > B ≥ v−i]/i for B ~ Binomial(guesses, e^ε/(1+e^ε)); the bound is
    β + 2·m·δ·α, at most 1.
    """
    if correct <= 0:
        return 1.0
    rate = 1.0 / (1.0 + np.exp(-epsilon))
    beta = float(binom.sf(correct - 1, guesses, rate))
    steps = np.arange(1, correct + 1)
    alpha = float(np.max(np.cumsum(binom.pmf(correct - steps, guesses, rate)) / steps))
    return min(1.0, beta + 2.0 * canaries * delta * alpha)


def epsilon_lower_bound(
    canaries: int, guesses: int, correct: int, delta: float, confidence: float = 0.95
) -> float:
    """The largest ε that the guesses rule out at this confidence; 0 where they rule out none."""
    if p_value(canaries, guesses, correct, 0.0, delta) > 1.0 - confidence:
        return 0.0
    low, high = 0.0, 1.0
    while high < 64.0 and p_value(canaries, guesses, correct, high, delta) <= 1.0 - confidence:
        low, high = high, high * 2.0
    while high - low > 1e-4:
        middle = (low + high) / 2.0
        ruled_out = p_value(canaries, guesses, correct, middle, delta) <= 1.0 - confidence
        low, high = (middle, high) if ruled_out else (low, middle)
    return low
