"""Secure aggregation: a sum over hospitals of which nobody sees a term.

Bonawitz et al., "Practical Secure Aggregation for Privacy-Preserving Machine Learning" (CCS 2017), with
double masking and recovery from dropouts, over the sparse graph of Bell et al. (CCS 2020) beyond 50
hospitals. Two pure state machines, `HospitalSide` and `CoordinatorSide`, exchange plain values (`wire`)::

    set-up, once a study    hospital  ── Announcement ──>  coordinator      keys, signed
                            hospital  <──── Roster ──────  coordinator      everybody's keys
                            hospital  ─── Endorsement ──>  coordinator      the roster's digest, signed
                                      + Preparation                        shares for the first round, sealed
    each round              hospital  <──── Opening ─────  coordinator      who takes part, sealed shares
                            hospital  ── masked words ──>  coordinator      one term of the sum, masked
                                      + Preparation                        shares for the next round, sealed
                            hospital  <─ UnmaskRequest ──  coordinator      who is in the sum, who is not
                            hospital  ──── Unmasking ───>  coordinator      a share of each mask to remove
"""

from privacy.secagg.coordinator import CoordinatorSide
from privacy.secagg.encoding import Encoding
from privacy.secagg.hospital import HospitalSide
from privacy.secagg.identity import Identity
from privacy.secagg.wire import (
    Announcement,
    Endorsement,
    Floor,
    Opening,
    Preparation,
    Roster,
    Unmasking,
    UnmaskRequest,
)

__all__ = [
    "Announcement",
    "CoordinatorSide",
    "Encoding",
    "Endorsement",
    "Floor",
    "HospitalSide",
    "Identity",
    "Opening",
    "Preparation",
    "Roster",
    "UnmaskRequest",
    "Unmasking",
]
