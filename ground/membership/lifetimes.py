"""When a certificate is renewed: with a third of its time left, and how often one looks."""

from __future__ import annotations

from datetime import timedelta

EARLIER = timedelta(minutes=5)  # by which a certificate begins before it was made, for clocks that are behind
LEFT = 1 / 3
LOOKS = 100  # in the whole time
SHORTEST, LONGEST = 0.5, 6 * 3600.0  # seconds between two looks


def is_due(since: float, until: float, now: float) -> bool:
    """Whether a certificate that is valid from and to these seconds should be renewed."""
    return until - now < LEFT * _lasts(since, until)


def pause(since: float, until: float) -> float:
    """Seconds between two looks at it: some thirty before it ends, the first of which renews it."""
    return min(LONGEST, max(SHORTEST, _lasts(since, until) / LOOKS))


def _lasts(since: float, until: float) -> float:
    return until - since - EARLIER.total_seconds()
