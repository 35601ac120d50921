"""Fixed secrets give fixed masks: a change of the format is noticed before two versions meet in a study.

What is expected is computed here from hashes and ciphers alone, and written down as well.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from privacy.secagg import HospitalSide, Identity, Roster, UnmaskRequest, keys, masks
from privacy.secagg.keys import agree, public_half

STUDY = hashlib.sha256(b"study").hexdigest()
NAMES = ("Cleveland", "Genève", "Zürich")
SECRET = bytes(range(16))
# RFC 7748, section 6.1
ALICE = bytes.fromhex("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a")
ALICE_PUBLIC = bytes.fromhex("8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a")
BOB = bytes.fromhex("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb")
BOB_PUBLIC = bytes.fromhex("de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f")
SHARED = bytes.fromhex("4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742")


def private_bytes(purpose: str, name: str) -> bytes:
    return hashlib.sha256(f"{purpose} of {name}".encode()).digest()


def roster() -> Roster:
    announcements = [
        HospitalSide(study=STUDY, hospital=name, sealing=private_bytes("sealing", name)).announce(
            Identity.from_bytes(private_bytes("identity", name))
        )
        for name in NAMES
    ]
    return Roster(study=STUDY, announcements=tuple(announcements), threshold=3, fewest=3)


def said(*parts: str | int) -> bytes:
    """What is signed or derived from: a list in JSON, its purpose first, without a letter beyond ASCII."""
    return json.dumps(["laennec secure aggregation 1", *parts], ensure_ascii=True).encode("ascii")


def hkdf(secret: bytes, info: bytes) -> bytes:
    """RFC 5869 with SHA-256, no salt and one block of output, written out."""
    return hmac.digest(hmac.digest(bytes(32), secret, "sha256"), info + b"\x01", "sha256")


def base64_of(text: bytes) -> str:
    return base64.urlsafe_b64encode(text).decode()


def expected_digest() -> str:
    announcements = []
    for name in NAMES:
        identity = Ed25519PrivateKey.from_private_bytes(private_bytes("identity", name))
        sealing = X25519PrivateKey.from_private_bytes(private_bytes("sealing", name)).public_key()
        signed = identity.sign(said("announcement", STUDY, name, sealing.public_bytes_raw().hex(), 1))
        announcements.append(
            {
                "hospital": name,
                "identity": base64_of(identity.public_key().public_bytes_raw()),
                "sealing": base64_of(sealing.public_bytes_raw()),
                "colluders": 1,
                "signature": base64_of(signed),
            }
        )
    terms = {"threshold": 3, "fewest": 3, "quorum": 0}
    listed = {"study": STUDY, "announcements": announcements} | terms
    return hashlib.sha256(json.dumps(listed, separators=(",", ":"), ensure_ascii=False).encode()).hexdigest()


def test_the_rosters_digest_is_the_hash_of_its_compact_json() -> None:
    assert roster().digest == expected_digest()
    assert roster().digest == "97e029e0a8413b8ad534bf42c96476816421d5b069ce5fe5ac2a3d6bdd8ae33b"


def test_the_agreement_is_x25519_as_in_its_rfc() -> None:
    alice, bob = (X25519PrivateKey.from_private_bytes(private) for private in (ALICE, BOB))
    assert public_half(alice) == ALICE_PUBLIC
    assert public_half(bob) == BOB_PUBLIC
    assert agree(alice, BOB_PUBLIC, "Bob") == agree(bob, ALICE_PUBLIC, "Alice") == SHARED


def test_keys_are_derived_by_hkdf_as_in_its_rfc() -> None:
    assert keys.derive(SECRET, "purpose", "a", 7) == hkdf(SECRET, said("purpose", "a", 7))


def test_the_self_key_is_that_of_its_secret_roster_round_and_hospital() -> None:
    expected = hkdf(SECRET, said("self mask", expected_digest(), 7, "Genève"))
    assert keys.self_key(roster(), 7, "Genève", SECRET) == expected
    assert expected.hex() == "a1b55cb0a43f3aa715bc632e7e7c8afb6e68098516b01d88ea7395e8fa4ecce3"


def test_the_pair_key_is_that_of_the_agreement_roster_round_and_both_names() -> None:
    private = X25519PrivateKey.from_private_bytes(hkdf(SECRET, said("mask key", expected_digest(), 7)))
    shared = private.exchange(X25519PublicKey.from_public_bytes(BOB_PUBLIC))
    expected = hkdf(shared, said("pair mask", expected_digest(), 7, "Cleveland", "Zürich"))
    mine = keys.mask_key(roster(), 7, SECRET)
    assert keys.pair_key(roster(), 7, "Zürich", "Cleveland", mine, BOB_PUBLIC) == expected
    bob = X25519PrivateKey.from_private_bytes(BOB)
    assert keys.pair_key(roster(), 7, "Cleveland", "Zürich", bob, public_half(mine)) == expected
    assert expected.hex() == "6e1eadcd0ca946ac748c97d8ff2cb21f9ec2bc2887e8ceeb1b465645dbe79aca"


def test_the_envelope_key_is_that_of_the_agreement_roster_and_both_names() -> None:
    expected = hkdf(SHARED, said("envelope", expected_digest(), "Cleveland", "Zürich"))
    alice = X25519PrivateKey.from_private_bytes(ALICE)
    assert keys.envelope_key(roster(), "Zürich", "Cleveland", alice, BOB_PUBLIC) == expected
    assert expected.hex() == "51da93eb0f29a0d07ee39d62d69d05dbd78b1f9a48e712e7d88ec3d5c6a8652d"


def test_the_commitment_is_that_of_the_self_mask_its_roster_round_and_hospital() -> None:
    expected = hkdf(SECRET, said("commitment to a self mask", expected_digest(), 7, "Genève"))
    assert keys.commitment(roster(), 7, "Genève", SECRET) == expected
    assert expected.hex() == "dc06076b5584590145d660c1c8f2292da8e30ffbf3f10a8499241324b927fecc"


def test_a_preparation_is_signed_over_roster_hospital_round_key_and_commitment() -> None:
    signer = Ed25519PrivateKey.from_private_bytes(private_bytes("identity", "Genève"))
    parts = (STUDY, expected_digest(), "Genève", 7, BOB_PUBLIC.hex(), SHARED.hex())
    identity = Identity.from_bytes(private_bytes("identity", "Genève"))
    signed = identity.sign_key(roster(), "Genève", 7, BOB_PUBLIC, SHARED)
    assert signed == signer.sign(said("round key", *parts))


def test_a_confirmation_is_signed_over_roster_round_and_the_requests_digest() -> None:
    asked = {"roster": expected_digest(), "round": 7, "active": ["Genève"], "dropped": ["Zürich"]}
    text = json.dumps(asked | {"confirmations": []}, separators=(",", ":"), ensure_ascii=False)
    digest = hashlib.sha256(text.encode()).hexdigest()
    signer = Ed25519PrivateKey.from_private_bytes(private_bytes("identity", "Genève"))
    identity = Identity.from_bytes(private_bytes("identity", "Genève"))
    confirmation = identity.confirm(UnmaskRequest.from_text(json.dumps(asked)), "Genève")
    assert confirmation.signature == signer.sign(said("unmask request", expected_digest(), 7, digest))


def test_keys_of_different_purposes_rounds_and_names_differ() -> None:
    one, alice = roster(), X25519PrivateKey.from_private_bytes(ALICE)
    made = [
        keys.self_key(one, 7, "Genève", SHARED),
        keys.self_key(one, 8, "Genève", SHARED),
        keys.self_key(one, 7, "Zürich", SHARED),
        keys.commitment(one, 7, "Genève", SHARED),
        keys.commitment(one, 8, "Genève", SHARED),
        keys.commitment(one, 7, "Zürich", SHARED),
        keys.pair_key(one, 7, "Genève", "Zürich", alice, BOB_PUBLIC),
        keys.pair_key(one, 8, "Genève", "Zürich", alice, BOB_PUBLIC),
        keys.pair_key(one, 7, "Genève", "Cleveland", alice, BOB_PUBLIC),
        keys.envelope_key(one, "Genève", "Zürich", alice, BOB_PUBLIC),
    ]
    assert len(set(made)) == len(made)


def test_the_words_of_a_mask_are_the_key_stream_in_little_endian_order() -> None:
    key = keys.self_key(roster(), 7, "Genève", SECRET)
    stream = Cipher(algorithms.AES(key), modes.CTR(bytes(16))).encryptor().update(bytes(16))
    wide, narrow = np.zeros(2, np.uint64), np.zeros(4, np.uint32)
    masks.apply(wide, key)
    masks.apply(narrow, key)
    assert (
        wide.tolist()
        == [int.from_bytes(stream[i : i + 8], "little") for i in (0, 8)]
        == [4506800692652976360, 2751417311182308844]
    )
    assert narrow.tolist() == [int.from_bytes(stream[i : i + 4], "little") for i in range(0, 16, 4)]
