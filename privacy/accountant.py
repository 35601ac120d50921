"""How much privacy a sequence of Gaussian releases has cost.

ε is computed from the privacy loss distribution (PLD; Koskela et al. 2020, Doroshenko et al. 2022, as
implemented by Google's dp-accounting), pessimistically discretised, under add-or-remove-one neighbours.
Rényi accounting (RDP; Mironov 2017) is kept as an independent, looser check.
"""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from functools import lru_cache

import dp_accounting
from dp_accounting.pld import PLDAccountant
from dp_accounting.rdp import RdpAccountant

from ground.errors import StateError

# RDP warns about the Rényi orders that it leaves out; leaving one out only loosens its bound.
logging.getLogger("absl").setLevel(logging.ERROR)


@dataclass(frozen=True)
class Event:
    """`times` releases of a sum in which one patient, present with `sampling_rate`, moves at most 1/σ noise.

    Attributes:
        sampling_rate: Poisson probability with which a patient takes part, in (0, 1].
        noise_multiplier: σ, standard deviation of the noise over the clip; 0 means no noise (ε = ∞).
        times: number of such releases.

    """

    sampling_rate: float
    noise_multiplier: float
    times: int = 1


@dataclass(frozen=True)
class Accountant:
    """The releases so far. Immutable: `spend` gives the next one, so a retried round cannot spend twice."""

    events: tuple[Event, ...] = ()

    def spend(self, event: Event) -> Accountant:
        """This history with one more event; like releases that follow one another are counted together."""
        if event.times < 0:
            raise ValueError(f"times must not be negative, got {event.times}")
        if event.times == 0:
            return self
        if self.events:
            last = self.events[-1]
            if (last.sampling_rate, last.noise_multiplier) == (event.sampling_rate, event.noise_multiplier):
                merged = Event(last.sampling_rate, last.noise_multiplier, last.times + event.times)
                return Accountant((*self.events[:-1], merged))
        return Accountant((*self.events, event))

    def epsilon(self, delta: float) -> float:
        """ε at δ of the whole history, by PLD; 0 for an empty history, ∞ where a release had no noise."""
        return epsilon(self.events, delta)

    def epsilon_rdp(self, delta: float) -> float:
        """The same by RDP: never below the truth, usually above PLD."""
        if not self.events or _noiseless(self.events):
            return math.inf if self.events else 0.0
        return float(RdpAccountant().compose(_compose(self.events)).get_epsilon(delta))

    def to_json(self) -> str:
        """Text that `from_json` reads back to an equal accountant."""
        return json.dumps([asdict(event) for event in self.events])

    @staticmethod
    def from_json(text: str) -> Accountant:
        """Raises StateError on anything but the output of `to_json`."""
        try:
            entries = json.loads(text)
            if not isinstance(entries, list):
                raise TypeError("not a list")
            return Accountant(tuple(_checked(Event(**entry)) for entry in entries))
        except (ValueError, TypeError) as error:
            raise StateError(
                "the accountant's saved history cannot be read: restore it from a backup"
            ) from error


@lru_cache(maxsize=4096)
def epsilon(events: tuple[Event, ...], delta: float, discretisation: float = 1e-4) -> float:
    """ε at δ of the events together, by PLD; a coarser discretisation is faster and never lower.

    It is made coarser in proportion where ε is beyond 10 (judged by RDP): the table of losses grows with ε.
    """
    if not events:
        return 0.0
    if _noiseless(events):
        return math.inf
    rough = float(RdpAccountant().compose(_compose(events)).get_epsilon(delta))
    accountant = PLDAccountant(value_discretization_interval=discretisation * max(1.0, rough / 10.0))
    return float(accountant.compose(_compose(events)).get_epsilon(delta))


def _checked(event: Event) -> Event:
    """The event, read from text; raises TypeError or ValueError where `to_json` cannot have written it."""
    if isinstance(event.times, bool) or not isinstance(event.times, int):
        raise TypeError("times is not an integer")
    if event.times < 1 or not (0.0 < event.sampling_rate <= 1.0 and 0.0 <= event.noise_multiplier < math.inf):
        raise ValueError("an event outside its ranges")
    return event


def _noiseless(events: Iterable[Event]) -> bool:
    return any(event.noise_multiplier == 0.0 for event in events)


def _compose(events: tuple[Event, ...]) -> dp_accounting.DpEvent:
    return dp_accounting.ComposedDpEvent(
        [dp_accounting.SelfComposedDpEvent(_release(event), event.times) for event in events]
    )


def _release(event: Event) -> dp_accounting.DpEvent:
    gaussian = dp_accounting.GaussianDpEvent(event.noise_multiplier)
    if event.sampling_rate >= 1.0:
        return gaussian
    return dp_accounting.PoissonSampledDpEvent(event.sampling_rate, gaussian)
