from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from ground.membership.lifetimes import EARLIER, is_due, pause
from ground.membership.proofs import is_proven, prove

DAY = 86400.0
MADE = datetime(2026, 1, 1).timestamp()


@pytest.mark.parametrize(("days", "due"), [(0, False), (59.9, False), (60.1, True), (90.1, True)])
def test_a_certificate_is_renewed_with_a_third_of_its_days_left(days: float, due: bool) -> None:
    since = MADE - EARLIER.total_seconds()
    assert is_due(since, MADE + 90 * DAY, MADE + days * DAY) == due


@pytest.mark.parametrize("lasts", [timedelta(seconds=30), timedelta(days=1), timedelta(days=90)])
def test_there_are_many_attempts_before_the_end(lasts: timedelta) -> None:
    seconds = lasts.total_seconds()
    left = seconds / 3
    assert left / pause(MADE - EARLIER.total_seconds(), MADE + seconds) >= 20


def test_a_proof_is_of_one_key_and_one_question() -> None:
    key, other = (ec.generate_private_key(ec.SECP384R1()) for _ in range(2))
    public, stranger = (
        each.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        for each in (key, other)
    )
    proof = prove(key, "renew", "ab", 3)
    assert is_proven(public, proof, "renew", "ab", 3)
    assert not is_proven(stranger, proof, "renew", "ab", 3)
    assert not is_proven(public, proof, "peers", "ab", 3)
    assert not is_proven(public, proof, "renew", "ab", 4)
    assert not is_proven(public, proof, "renewab", 3)
    assert not is_proven(public, "zz", "renew", "ab", 3)
    assert not is_proven(b"no key", proof, "renew", "ab", 3)
