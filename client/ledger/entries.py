"""One entry of the book, its canonical form, and the chain in which every entry vouches for the one before.

digest(n) = SHA-256 of the canonical JSON of [digest(n−1), number, time, account, kind, study, round, body].
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Literal, get_args

from ground.errors import UsageError
from privacy.accountant import Event

Kind = Literal["budget", "reserve", "settle", "disclose", "close", "lost", "open"]
_KINDS: dict[object, Kind] = {kind: kind for kind in get_args(Kind)}
# These concern no study; a loss may concern one or not.
_OF_NO_STUDY = ("budget", "close", "open")
# number, time, account, kind, study, round, body: what a digest covers, beside the digest before it.
Row = tuple[object, object, object, object, object, object, object]


@dataclass(frozen=True)
class Budget:
    """The most that an account may spend: ε over all its studies, at δ.

    Raises UsageError unless 0 < ε < ∞ and 0 < δ ≤ 0.01.
    """

    epsilon: float
    delta: float

    def __post_init__(self) -> None:
        if not 0.0 < self.epsilon < math.inf:  # so written, NaN is refused too
            raise UsageError(f"a budget's epsilon is above 0 and finite, got {self.epsilon:g}: give another")
        if not 0.0 < self.delta <= 0.01:
            raise UsageError(
                f"a budget's delta is above 0 and at most 0.01, got {self.delta:g}: give another"
            )


@dataclass(frozen=True)
class Entry:
    """One line of the book.

    Attributes:
        number: its place, from 1.
        time: seconds since 1970 by this machine's clock.
        account: the cohort whose patients it concerns.
        kind: "budget", "reserve", "settle" or "disclose"; of a book that was restored from a backup "close",
            "lost" for what may have been released since it was made, "open" for a person's word on it.
        study: hex digest of the study; None for what concerns none.
        round: round of the study; None for what concerns none.
        content: the Budget that was set, the Event that was reserved or may be lost, what was disclosed, why
            the book was closed, how it was opened; None for "settle".
        digest: of this entry and, through the chain, of all before it.

    """

    number: int
    time: float
    account: str
    kind: Kind
    study: str | None
    round: int | None
    content: Budget | Event | str | None
    digest: str


class BrokenChainError(ValueError):
    """Rows that no book has written; the message names the first entry at fault and carries no location."""


def to_body(content: Budget | Event | str | None) -> str:
    """An entry's content as canonical JSON: sorted keys, no white space."""
    values = asdict(content) if isinstance(content, Budget | Event) else content
    return json.dumps(values, sort_keys=True, separators=(",", ":"), allow_nan=False)


def digest_of(previous: str, row: Row) -> str:
    """The digest of a row that follows the entry with digest `previous`; raises TypeError on other types."""
    canonical = json.dumps([previous, *row], separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def follow(rows: Iterable[tuple[object, ...]], number: int, digest: str) -> list[Entry]:
    """The entries that follow entry `number` with that digest (0 and BEGINNING: from the first).

    Each row is (number, time, account, kind, study, round, body, previous, digest). Raises BrokenChainError
    at the first that is missing, was changed, or does not follow the one before it.
    """
    entries: list[Entry] = []
    for found, moment, account, kind, study, round_number, body, previous, own in rows:
        number += 1
        row: Row = (found, moment, account, kind, study, round_number, body)
        if found != number:
            raise BrokenChainError(f"entry {number} is missing")
        if previous != digest:
            raise BrokenChainError(f"entry {number} does not follow the entry before it")
        entries.append(_entry(number, row, digest, own))
        digest = entries[-1].digest
    return entries


def _entry(number: int, row: Row, previous: str, own: object) -> Entry:
    """The row as an entry, once its digest is right and its values are such as a book writes."""
    try:
        digest = digest_of(previous, row)
    except (TypeError, ValueError):
        digest = ""
    if digest != own:
        raise BrokenChainError(f"entry {number} was changed after it was written")
    _, moment, account, kind, study, round_number, body = row
    try:
        if not (isinstance(moment, float) and isinstance(account, str) and isinstance(body, str)):
            raise TypeError("values of other types")
        if not isinstance(study, str | None) or not isinstance(round_number, int | None):
            raise TypeError("values of other types")
        known = _KINDS[kind]
        if known != "lost" and (known in _OF_NO_STUDY) != (study is None):
            raise ValueError("a budget names no study, and a release does")
        if (study is None) != (round_number is None):
            raise ValueError("a study and its round are named together")
        content = _content(known, json.loads(body))
    except (KeyError, TypeError, ValueError, UsageError) as error:
        raise BrokenChainError(f"entry {number} is not one that a ledger writes") from error
    return Entry(number, moment, account, known, study, round_number, content, digest)


def _content(kind: Kind, values: object) -> Budget | Event | str | None:
    """Raises TypeError, ValueError or UsageError where `values` are not what an entry of that kind holds."""
    if kind == "budget" and isinstance(values, dict):
        return Budget(**values)
    if kind in ("reserve", "lost") and isinstance(values, dict):
        return checked_event(Event(**values))
    if kind in ("disclose", "close", "open") and isinstance(values, str):
        return values
    if kind == "settle" and values is None:
        return None
    raise TypeError("content of another kind")


def checked_event(event: Event) -> Event:
    """The event in canonical types; raises ValueError where it is no release, or outside its ranges."""
    rate, noise = float(event.sampling_rate), float(event.noise_multiplier)
    if isinstance(event.times, bool) or not isinstance(event.times, int) or event.times < 1:
        raise ValueError(f"times must be an integer from 1, got {event.times}")
    if not (0.0 < rate <= 1.0 and 0.0 <= noise < math.inf):
        raise ValueError(f"a sampling rate of {rate:g} with noise {noise:g} is no release")
    return Event(rate, noise, event.times)
