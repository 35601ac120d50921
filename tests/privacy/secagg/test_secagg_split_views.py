"""A coordinator that tells hospitals different stories about one of them, with hospitals that help it.

Each of the n − c honest hospitals gives one share of a peer's two secrets, each of c colluders both: together
n + c shares, of which 2t would be needed.
"""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from federation import STUDY, Federation, federation, values

from ground.arrays import Words
from ground.errors import PrivacyError
from privacy.secagg import UnmaskRequest, keys, masks, sharing
from privacy.secagg.graph import least_threshold

CASES = [(count, colluders) for count in range(3, 13) for colluders in range(min(3, count - 1))]


def opened(count: int, threshold: int, fewest: int = 1) -> Federation:
    """A round in which everybody takes part and has masked."""
    hospitals = federation(count, threshold=threshold, fewest=fewest, study=STUDY)
    hospitals.begin_round(1)
    return hospitals


def shares_of(
    hospitals: Federation, victim: str, colluders: tuple[str, ...], told_dropped: tuple[str, ...]
) -> tuple[dict[str, bytes], dict[str, bytes]]:
    """By holder, the shares of the victim's self mask and of its mask key that the coordinator collects."""
    self_masks: dict[str, bytes] = {}
    mask_keys: dict[str, bytes] = {}
    for name, side in hospitals.sides.items():
        if name in colluders:
            assert side.open is not None
            self_masks[name] = side.open.held[victim].self_mask
            mask_keys[name] = side.open.held[victim].mask_key
            continue
        dropped = (victim,) if name in told_dropped else ()
        active = tuple(other for other in hospitals.names if other not in dropped)
        try:
            _, answer = side.unmask(
                UnmaskRequest(roster=hospitals.roster.digest, round=1, active=active, dropped=dropped)
            )
        except PrivacyError:
            continue
        for collected, given in ((self_masks, answer.self_masks), (mask_keys, answer.mask_keys)):
            if victim in given:
                collected[name] = given[victim]
    return self_masks, mask_keys


def revealed(hospitals: Federation, colluders: int) -> list[Words]:
    """What the coordinator makes of the first hospital's words, by each split that gives it both secrets."""
    victim, names = hospitals.names[0], hospitals.names
    helpers = names[len(names) - colluders :]
    honest = [name for name in names[1:] if name not in helpers]
    threshold, found = hospitals.roster.threshold, []
    for split in range(len(honest) + 1):
        self_masks, mask_keys = shares_of(hospitals, victim, helpers, tuple(honest[:split]))
        if min(len(self_masks), len(mask_keys)) >= threshold:
            self_mask = sharing.combine(self_masks, threshold, names, victim)
            mask_key = sharing.combine(mask_keys, threshold, names, victim)
            found.append(unmasked(hospitals, victim, self_mask, mask_key))
    return found


def unmasked(hospitals: Federation, victim: str, self_mask: bytes, mask_key: bytes) -> Words:
    """A hospital's words, from its two secrets."""
    roster, opening = hospitals.roster, hospitals.coordinator.opening
    assert opening is not None
    words = hospitals.sent[victim].copy()
    masks.apply(words, keys.self_key(roster, 1, victim, self_mask), subtract=True)
    private = keys.mask_key(roster, 1, mask_key)
    for each in opening.preparations:
        if each.hospital != victim:
            key = keys.pair_key(roster, 1, victim, each.hospital, private, each.public)
            masks.apply(words, key, subtract=victim < each.hospital)
    return words


@pytest.mark.parametrize(("count", "colluders"), CASES)
def test_no_split_of_the_views_collects_both_secrets_of_a_hospital(count: int, colluders: int) -> None:
    assert revealed(opened(count, least_threshold(count, colluders)), colluders) == []


@pytest.mark.parametrize(("count", "colluders"), CASES)
def test_with_a_threshold_one_lower_a_split_reveals_the_hospital(count: int, colluders: int) -> None:
    hospitals = opened(count, least_threshold(count, colluders) - 1)
    found = revealed(hospitals, colluders)
    assert found
    for words in found:
        np.testing.assert_array_equal(words, values(hospitals.names[0]))


def test_among_the_shares_collected_none_but_the_threshold_restores_a_secret() -> None:
    hospitals = opened(5, 4)
    self_masks, _ = shares_of(hospitals, hospitals.names[0], (), ())
    secrets = {
        sharing.combine({name: self_masks[name] for name in chosen}, 4, hospitals.names, "x")
        for chosen in combinations(hospitals.names, 4)
    }
    assert len(secrets) == 1
