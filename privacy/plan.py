"""One frozen value in which sampling, clip, noise and accounting travel together.

Nobody sets the noise apart from the accountant: a plan is designed from the ε that it may spend, and the
events that it hands to the accountant are those of the noise that it prescribes.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from ground.errors import PrivacyError
from privacy.accountant import Accountant, Event, epsilon

UNIT = "patient"
NEIGHBOURS = "add or remove one patient"
# Share of the budget (in squared signal to noise, as Gaussian releases compose) that buys the noisy count
# of patients, which is the public divisor of every later mean. 3 % costs the gradients 1.5 % more noise.
COUNT_SHARE = 0.03

# The part of δ that a secure sum in whole numbers may use up (`privacy.secagg.encoding.slack`).
LATTICE_SHARE = 0.01

Noise = Literal["local", "distributed"]


@dataclass(frozen=True)
class PrivacyPlan:
    """What is released, how often, and with which noise. Protects the patient, add-or-remove-one.

    Attributes:
        epsilon: the most that the whole study may cost, at `delta`.
        delta: probability with which the guarantee may fail; of a secure sum, without the lattice's share.
        clip: L2 bound of one patient's gradient.
        sampling_rate: Poisson probability with which a patient takes part in a step.
        steps: noisy gradient releases over the whole study.
        noise: "local", each hospital adds all of it; "distributed", the sum carries it.
        noise_multiplier: standard deviation of a gradient sum's noise, in units of the clip.
        count_noise_multiplier: standard deviation of the noise of the one count of patients, or of each
            number where those of every stratum are counted.

    """

    epsilon: float
    delta: float
    clip: float
    sampling_rate: float
    steps: int
    noise: Noise
    noise_multiplier: float
    count_noise_multiplier: float

    @staticmethod
    def design(
        *,
        epsilon: float,
        delta: float,
        clip: float,
        sampling_rate: float,
        steps: int,
        noise: Noise,
        secure: bool = False,
        count_epsilon: float | None = None,
    ) -> PrivacyPlan:
        """The plan with the least noise whose whole cost stays within (ε, δ), by PLD.

        For a secure sum within (ε, 99 % of δ), since its noise is only nearly Gaussian. The count costs
        `count_epsilon` by itself where that is given, and the steps get what it leaves. Raises PrivacyError
        where it leaves nothing.
        """
        if secure:
            delta *= 1.0 - LATTICE_SHARE
        if count_epsilon is None:
            count = _least_noise(epsilon, delta, 1.0, 1, None) / COUNT_SHARE**0.5
        elif count_epsilon < epsilon:
            count = _least_noise(count_epsilon, delta, 1.0, 1, None)
        else:
            raise PrivacyError(
                f"counting at epsilon {count_epsilon:g} leaves nothing of epsilon {epsilon:g} to learn with: "
                "lower it"
            )
        multiplier = _least_noise(epsilon, delta, sampling_rate, steps, count)
        return PrivacyPlan(epsilon, delta, clip, sampling_rate, steps, noise, multiplier, count)

    def count_event(self) -> Event:
        """The release of the number of patients, or of those of each stratum: each patient counts one."""
        return Event(1.0, self.count_noise_multiplier)

    def step_event(self, steps: int) -> Event:
        """The release of `steps` gradient sums."""
        return Event(self.sampling_rate, self.noise_multiplier, steps)

    def cost(self) -> Accountant:
        """The history of a study that was run to its end."""
        return Accountant().spend(self.count_event()).spend(self.step_event(self.steps))

    def epsilon_against_a_participant(self, hospitals: int, together: int = 1) -> float:
        """ε towards another hospital of the study, which can subtract its own share of distributed noise.

        With K shares the rest of the sum holds (K−1)/K of the variance, or (K−c)/K where c hospitals do so
        `together`. Local noise is not shared, so nothing can be subtracted from it.
        """
        if self.noise == "local":
            return self.cost().epsilon(self.delta)
        if hospitals <= together:
            return float("inf")
        left = ((hospitals - together) / hospitals) ** 0.5
        events = tuple(
            Event(event.sampling_rate, event.noise_multiplier * left, event.times)
            for event in self.cost().events
        )
        return epsilon(events, self.delta)


@lru_cache(maxsize=256)
def _least_noise(target: float, delta: float, sampling_rate: float, steps: int, count: float | None) -> float:
    """The smallest noise multiplier, to one part in 10⁴, whose cost is at most `target`; by bisection.

    The coarse discretisation used on the way is pessimistic, so the finer one that reports cannot exceed it.
    """

    def affordable(multiplier: float) -> bool:
        steps_event = Event(sampling_rate, multiplier, steps)
        events = (steps_event,) if count is None else (Event(1.0, count), steps_event)
        return epsilon(events, delta, 1e-3) <= target

    low, high = 0.0, 1.0
    while not affordable(high):
        low, high = high, high * 2.0
        if high > 1e6:
            raise PrivacyError(
                f"no noise reaches epsilon {target:g} at delta {delta:g} over {steps} steps: raise epsilon, "
                "or ask for fewer rounds"
            )
    while high - low > 1e-4 * high:
        middle = (low + high) / 2.0
        low, high = (low, middle) if affordable(middle) else (middle, high)
    return high
