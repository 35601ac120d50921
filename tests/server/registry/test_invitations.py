from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from ground.errors import UsageError
from server.authority import Authority
from server.registry import Registry, tokens

DAY = 86400.0
HERS, OTHER = "ab" * 32, "cd" * 32


@dataclass
class Office:
    """A registry whose clock the test sets, and the keys of those who join."""

    registry: Registry
    days: list[float] = field(default_factory=lambda: [0.0])
    authority: Authority = field(default_factory=lambda: Authority.new("alpes"))
    issued: int = 0

    def join(
        self, number: int, token: str, identity: str = HERS, key: ec.EllipticCurvePublicKey | None = None
    ) -> str:
        public = key or new_key()

        def issue(name: str) -> str:
            self.issued += 1
            lasts = timedelta(days=90 + self.days[0])
            return self.authority.for_hospital(name, identity, public, lasts).decode()

        return self.registry.invitations.use(number, token, identity, pem(public), issue)[1]


def new_key() -> ec.EllipticCurvePublicKey:
    return ec.generate_private_key(ec.SECP384R1()).public_key()


def pem(key: ec.EllipticCurvePublicKey) -> bytes:
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


@pytest.fixture
def office(tmp_path: Path) -> Office:
    made = Office(Registry.begin(tmp_path / "registry.sqlite"))
    real = made.registry.store.now
    made.registry.store.now = lambda: real() + made.days[0] * DAY
    return made


def invite(office: Office, name: str = "brest", days: float = 7.0, **more: bool) -> tuple[int, str]:
    return office.registry.invitations.make(name, days * DAY, **more)[:2]


def states(office: Office) -> list[str]:
    return [each.state for each in office.registry.invitations.all()]


def test_whoever_is_invited_becomes_a_member(office: Office) -> None:
    key = new_key()
    number, token = invite(office)
    assert office.registry.invitations.hospital_of(number, token) == "brest"
    assert states(office) == ["open"]
    certificate = office.join(number, token, HERS, key)
    [member] = office.registry.hospitals.members()
    assert (member.name, member.identity, member.key) == ("brest", HERS, pem(key))
    assert member.certificate == certificate
    assert states(office) == ["used"]


def test_a_token_works_once(office: Office) -> None:
    number, token = invite(office)
    office.join(number, token)
    for identity in (HERS, OTHER):
        with pytest.raises(UsageError, match="no such invitation"):
            office.join(number, token, identity)
    assert office.issued == 1


def test_an_answer_that_was_lost_is_given_again_to_the_same_keys_alone(office: Office) -> None:
    number, token = invite(office)
    key = new_key()
    first = office.join(number, token, HERS, key)
    assert office.join(number, token, HERS, key) == first
    assert office.issued == 1
    with pytest.raises(UsageError, match="no such invitation"):
        office.join(number, token, OTHER, key)
    office.registry.hospitals.revoke("brest")
    with pytest.raises(UsageError, match="no such invitation"):
        office.join(number, token, HERS, key)


def test_a_token_ends(office: Office) -> None:
    number, token = invite(office, days=7)
    office.days[0] = 6.9
    assert office.registry.invitations.hospital_of(number, token) == "brest"
    office.days[0] = 7.1
    assert states(office) == ["expired"]
    with pytest.raises(UsageError, match="this invitation has ended: ask for another"):
        office.join(number, token)
    assert office.registry.hospitals.all() == ()


@pytest.mark.parametrize("end", ["withdraw", "replace"])
def test_an_invitation_ends_when_it_is_withdrawn_or_replaced(office: Office, end: str) -> None:
    number, token = invite(office)
    if end == "withdraw":
        office.registry.invitations.withdraw("brest")
    else:
        invite(office)
    with pytest.raises(UsageError, match="no such invitation"):
        office.join(number, token)
    assert states(office)[0] == "withdrawn"


def test_a_wrong_token_and_a_wrong_number_are_refused_in_the_same_words(office: Office) -> None:
    number, token = invite(office)
    said = set()
    for asked in ((number, tokens.new_token()), (number + 1, token), (number, token[:-1] + "~")):
        with pytest.raises(UsageError) as error:
            office.join(*asked)
        said.add(str(error.value))
    assert len(said) == 1
    office.join(number, token)  # nothing was spent by the attempts


def test_tokens_are_compared_in_constant_time(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[tuple[bytes, bytes]] = []
    original: Callable[[bytes, bytes], bool] = tokens.hmac.compare_digest
    monkeypatch.setattr(tokens.hmac, "compare_digest", lambda *both: compared.append(both) or original(*both))
    number, token = invite(office)
    for asked in (number, number + 7):  # where there is no such number too
        with pytest.raises(UsageError):
            office.registry.invitations.hospital_of(asked, tokens.new_token())
    assert len(compared) == 2
    assert office.registry.invitations.hospital_of(number, token)
    assert len(compared) == 3


def holds(folder: Path, secret: str) -> bool:
    """Whether any file below the folder holds it."""
    return any(secret.encode() in file.read_bytes() for file in folder.rglob("*") if file.is_file())


def test_no_token_is_ever_on_the_disk(office: Office, tmp_path: Path) -> None:
    number, token = invite(office)
    hers = office.registry.people.add("ada", "watch")
    office.join(number, token)
    assert not holds(tmp_path, token)
    assert not holds(tmp_path, hers)
    with sqlite3.connect(tmp_path / "registry.sqlite") as connection:  # what the search would find
        connection.execute("UPDATE invitation SET hospital = ?", (token,))
    connection.close()
    assert holds(tmp_path, token)


def test_a_member_is_invited_again_only_on_purpose(office: Office) -> None:
    first = office.join(*invite(office))
    with pytest.raises(UsageError, match="brest: is a member already"):
        invite(office)
    number, token = invite(office, replaces=True)
    assert [each.certificate for each in office.registry.hospitals.members()] == [first]
    second = office.join(number, token)
    [member] = office.registry.hospitals.all()
    assert member.certificate == second
    assert member.state == "member"


def test_the_former_key_opens_nothing_once_a_hospital_joined_again(office: Office) -> None:
    office.join(*invite(office))
    before = office.registry.hospitals.get("brest").serial
    office.join(*invite(office, replaces=True))
    assert office.registry.hospitals.of_serial(before) is None
    assert office.registry.hospitals.of_serial(office.registry.hospitals.get("brest").serial) is not None


def test_a_key_that_served_once_never_serves_again(office: Office) -> None:
    key = new_key()
    office.join(*invite(office), key=key)
    office.registry.hospitals.revoke("brest")
    number, token = invite(office)
    with pytest.raises(UsageError, match="this node key served before: join with a new one"):
        office.join(number, token, key=key)
    office.join(number, token)  # the invitation is still good


def test_one_identity_is_one_member(office: Office) -> None:
    """Else one hospital could be two of those who sum."""
    office.join(*invite(office, "brest"), identity=HERS)
    number, token = invite(office, "lyon")
    with pytest.raises(UsageError, match="another member has this identity"):
        office.join(number, token, HERS)
    office.join(number, token, OTHER)


def test_names_that_differ_in_capitals_alone_are_refused(office: Office) -> None:
    office.join(*invite(office, "brest"))
    with pytest.raises(UsageError, match="there is a hospital brest already"):
        invite(office, "Brest")


def test_a_certificate_for_another_key_spends_nothing(office: Office) -> None:
    number, token = invite(office)
    wrong = office.authority.for_hospital("brest", HERS, new_key(), timedelta(days=1)).decode()
    with pytest.raises(ValueError, match="another key"):
        office.registry.invitations.use(number, token, HERS, pem(new_key()), lambda _: wrong)
    assert states(office) == ["open"]
    assert office.registry.hospitals.all() == ()
