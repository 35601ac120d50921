"""Joining a federation through a real front door: TLS, sockets, and what goes over them."""

from __future__ import annotations

import base64
import stat
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, load_ssh_private_key
from cryptography.x509.oid import NameOID
from fronted import Front, begun, front

from client.home import Home
from client.joining import joining
from client.joining.door import Door, RefusedError
from client.joining.joining import join
from client.joining.membership import member_of
from client.journal import Journal
from client.node.keys import node_key
from client.node.places import Places
from ground.errors import FederationError, StateError, UsageError
from ground.files import locked
from ground.membership.invitation import Invitation
from ground.membership.messages import JoinRequest, Membership
from ground.signing import sign
from server.authority import Authority


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    with front(tmp_path_factory.mktemp("federation")) as made:
        yield made


@pytest.fixture
def door(opened: Front, tmp_path: Path) -> Front:
    """The door, with hospitals' homes in this test's own folder and a registry that tells the right time."""
    opened.heard.clear()
    opened.later(0)
    return replace(opened, folder=tmp_path)


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    """A hospital's name that no other test has."""
    return f"h{abs(hash(request.node.nodeid)) % 10**9}"


def test_a_hospital_that_was_invited_becomes_a_member(door: Front, name: str) -> None:
    hospital = door.hospital(name)
    member = join(hospital, door.invited(name))
    home, written = Home.open(hospital.path), door.home.written
    assert (home.coordinator, member.door, member.federation) == (written.nodes, written.door, "alpes")
    assert home.authority() == home.path / "federation" / "authority.pem"
    assert home.authority().read_bytes() == door.home.authority().pem
    key = home.path / "node" / "key"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    known = door.home.registry.hospitals.get(name)
    assert (known.identity, known.key, known.state) == (home.public.hex(), node_key(key), "member")
    assert sorted(each.name for each in (home.path / "federation").iterdir()) == [
        "authority.pem",
        "certificate.pem",
        "member.toml",
    ]
    assert [line.what for line in Journal(home.path).lines()] == ["init", "join"]


def test_the_certificate_holds_name_identity_and_node_key(door: Front, name: str) -> None:
    home = door.member(name)
    read = x509.load_pem_x509_certificate((home.path / "federation" / "certificate.pem").read_bytes())
    said = read.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert said.get_values_for_type(x509.UniformResourceIdentifier) == [
        f"urn:laennec:identity:{home.public.hex()}"
    ]
    assert read.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value == name
    days = read.not_valid_after_utc - read.not_valid_before_utc
    assert days.days == 90


# The private key never travels.


def secrets_of(home: Home) -> list[bytes]:
    """Both private keys, in the forms in which they lie on the disk or could be sent."""
    file = home.path / "node" / "key"
    key = load_ssh_private_key(file.read_bytes(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    scalar = key.private_numbers().private_value
    body = b"".join(file.read_bytes().splitlines()[1:-1])
    return [
        *forms(scalar.to_bytes(48, "big")),
        *forms(scalar.to_bytes(48, "little")),
        str(scalar).encode(),
        body[-64:],
        *forms((home.path / "identity").read_bytes()),
    ]


def forms(raw: bytes) -> list[bytes]:
    """The bytes as they are, as hexadecimal, and as base64 wherever in a text they begin."""
    inside = []
    for before in range(3):
        text = base64.b64encode(b"\0" * before + raw)
        inside.append(text[4 : len(text) // 4 * 4 - 4])  # what does not depend on the neighbours
        inside.append(inside[-1].replace(b"+", b"-").replace(b"/", b"_"))
    return [raw, raw.hex().encode(), raw.hex().upper().encode(), *inside]


def leaked(heard: list[bytes], home: Home) -> bool:
    everything = b"".join(heard)
    for line_end in (b"\r\n", b"\n", b"\\n", b"\\r\\n"):
        everything += everything.replace(line_end, b"")
    return any(secret in everything for secret in secrets_of(home))


def test_no_private_key_ever_leaves(door: Front, name: str) -> None:
    from client.joining.peers import introductions
    from client.joining.renewal import renew

    home = door.member(name)
    introductions(home)
    (home.path / "federation" / "member.toml").write_text(
        (home.path / "federation" / "member.toml").read_text().replace("since = 1", "since = -900")
    )
    assert renew(home.path) is not None
    heard = b"".join(door.heard)
    for path in (b"/federation/join", b"/federation/peers", b"/federation/renew"):
        assert path in heard
    assert home.public.hex().encode() in heard  # what is public is there, so the door heard it all
    assert not leaked(door.heard, home)


@pytest.mark.parametrize(
    "send",
    [
        lambda home: (home.path / "node" / "key").read_bytes(),
        lambda home: b"x" + base64.b64encode(b"ab" + (home.path / "identity").read_bytes() + b"cd"),
        lambda home: (home.path / "identity").read_bytes().hex().encode(),
    ],
    ids=["the node's key as its file", "the identity in base64", "the identity in hexadecimal"],
)
def test_a_key_that_did_leave_would_be_noticed(door: Front, name: str, send: object) -> None:
    home = door.member(name)
    with Door(door.home.written.door, door.home.authority().pem.decode()) as spoken:
        spoken._client.post("/federation/join", content=send(home))  # type: ignore[operator]
    assert leaked(door.heard, home)


# One token, one hospital, once.


def test_an_invitation_lets_one_hospital_in_once(door: Front, name: str, tmp_path: Path) -> None:
    invitation = door.invited(name)
    join(door.hospital(name), invitation)
    thief = Home.begin(tmp_path / "thief", name)
    with pytest.raises(RefusedError, match="the coordinator refuses: no such invitation"):
        join(thief, invitation)
    assert member_of(thief.path) is None
    assert Home.open(thief.path).coordinator is None


def test_an_invitation_that_has_ended_lets_nobody_in(door: Front, name: str) -> None:
    invitation = door.invited(name)
    door.later(7.1)
    with pytest.raises(RefusedError, match="this invitation has ended: ask for another"):
        join(door.hospital(name), invitation)


def test_a_joining_whose_answer_was_lost_goes_on_with_the_same_key(
    door: Front, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, invitation = door.hospital(name), door.invited(name)

    def lost(*_: object) -> None:
        raise FederationError("cut")

    with monkeypatch.context() as patch:
        patch.setattr(joining, "checked", lost)
        with pytest.raises(FederationError, match="cut"):
            join(home, invitation)
    assert member_of(home.path) is None
    join(home, invitation)
    assert door.home.registry.hospitals.get(name).key == node_key(home.path / "node" / "key")


def test_an_invitation_is_for_one_name(door: Front, name: str, tmp_path: Path) -> None:
    invitation = door.invited(name)
    with pytest.raises(UsageError, match=f"this invitation is for {name}, and this home is other's"):
        join(Home.begin(tmp_path / "other", "other"), invitation)
    assert door.heard == []


def test_a_hospital_comes_back_after_a_revocation_with_another_key_and_the_same_identity(
    door: Front, name: str
) -> None:
    home = door.member(name)
    before = door.home.registry.hospitals.get(name)
    door.home.registry.hospitals.revoke(name)
    join(Home.open(home.path), door.invited(name))
    after = door.home.registry.hospitals.get(name)
    assert after.state == "member"
    assert after.key != before.key
    assert after.identity == before.identity


# Proofs of both keys.


def asked(home: Home, invitation: Invitation, key: ec.EllipticCurvePrivateKey, **changes: str) -> JoinRequest:
    """What a hospital sends, changed afterwards."""
    request = joining._request(home, invitation, key)
    if "request" in changes:
        changes.setdefault(
            "signature",
            sign(
                (home.path / "identity").read_bytes(),
                "join",
                invitation.number,
                home.name,
                changes["request"],
            ),
        )
    return request.model_copy(update=changes)


def csr(key: ec.EllipticCurvePrivateKey) -> bytes:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "any")])
    return (
        x509.CertificateSigningRequestBuilder()
        .subject_name(name)
        .sign(key, hashes.SHA384())
        .public_bytes(Encoding.PEM)
    )


def broken(key: ec.EllipticCurvePrivateKey) -> str:
    """A signing request for a key that did not sign it."""
    other = ec.generate_private_key(ec.SECP384R1())
    mine, its = csr(key), csr(other)

    def raw(pem: bytes) -> bytes:
        return x509.load_pem_x509_csr(pem).public_bytes(Encoding.DER)

    def point(k: ec.EllipticCurvePrivateKey) -> bytes:
        from cryptography.hazmat.primitives.serialization import PublicFormat

        return k.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)

    forged = raw(its).replace(point(other), point(key))
    assert forged != raw(mine)
    body = base64.encodebytes(forged).decode()
    return f"-----BEGIN CERTIFICATE REQUEST-----\n{body}-----END CERTIFICATE REQUEST-----\n"


def wrong_requests(home: Home, invitation: Invitation) -> dict[str, JoinRequest]:
    key = ec.generate_private_key(ec.SECP384R1())
    stranger = Home.begin(home.path.with_name("stranger"), "stranger")
    signed_for_another = sign(
        (home.path / "identity").read_bytes(), "join", invitation.number, "another", csr(key).decode()
    )
    small = csr(ec.generate_private_key(ec.SECP256R1())).decode()
    return {
        "is not signed with that identity": asked(home, invitation, key, identity=stranger.public.hex()),
        "an invitation is for one name": asked(
            home, invitation, key, request=csr(key).decode(), signature=signed_for_another
        ),
        "another kind of key": asked(home, invitation, key, request=small),
        "is not signed with the key": asked(home, invitation, key, request=broken(key)),
        "cannot be read": asked(home, invitation, key, request="-----BEGIN"),
    }


def test_without_a_proof_of_both_keys_nobody_becomes_a_member(door: Front, name: str) -> None:
    home, invitation = door.hospital(name), door.invited(name)
    with Door(invitation.door, invitation.authority) as spoken:
        for why, request in wrong_requests(home, invitation).items():
            with pytest.raises(RefusedError, match=why):
                spoken.join(request)
        assert name not in [each.name for each in door.home.registry.hospitals.all()]
        key = ec.generate_private_key(ec.SECP384R1())
        spoken.join(asked(home, invitation, key))  # nothing of it spent the invitation


# The coordinator of the invitation and nobody else.


def test_another_coordinator_at_that_address_hears_nothing(door: Front, name: str, tmp_path: Path) -> None:
    invitation = door.invited(name)
    with front(tmp_path / "false") as other:
        false = invitation.model_copy(update={"door": other.home.written.door})
        with pytest.raises(FederationError, match="is not the coordinator of this federation"):
            join(door.hospital(name), false)
        assert other.heard == []


def test_a_certificate_for_another_address_is_not_believed(door: Front, name: str) -> None:
    invitation = door.invited(name)
    port = invitation.door.rpartition(":")[2]
    elsewhere = invitation.model_copy(update={"door": f"127.0.0.2:{port}"})
    with pytest.raises(FederationError):
        join(door.hospital(name), elsewhere)
    assert b"join" not in b"".join(door.heard)


def test_a_door_that_does_not_open_is_one_line(door: Front, name: str) -> None:
    invitation = door.invited(name).model_copy(update={"door": "127.0.0.1:1"})
    with pytest.raises(
        FederationError, match=r"cannot be reached at 127.0.0.1:1: check the network"
    ) as error:
        join(door.hospital(name), invitation)
    assert len(str(error.value).splitlines()) == 1


def given_wrongly(given: Membership, how: str) -> Membership:
    """What a coordinator should not answer."""
    if how == "another key":
        key = ec.generate_private_key(ec.SECP384R1()).public_key()
        from datetime import timedelta

        return given.model_copy(
            update={
                "certificate": Authority.new("alpes").for_hospital("x", "00", key, timedelta(days=1)).decode()
            }
        )
    if how == "another authority":
        return given.model_copy(update={"authority": Authority.new("alpes").pem.decode()})
    if how == "another name":
        return given.model_copy(update={"hospital": "somebody"})
    return given.model_copy(update={"certificate": "none"})


@pytest.mark.parametrize("how", ["another key", "another authority", "another name", "no certificate"])
def test_a_wrong_answer_changes_nothing_here(
    door: Front, name: str, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, invitation = door.hospital(name), door.invited(name)
    right = Door.join
    monkeypatch.setattr(Door, "join", lambda self, request: given_wrongly(right(self, request), how))
    with pytest.raises(FederationError, match="gave a certificate that is not this node's"):
        join(home, invitation)
    assert member_of(home.path) is None
    assert not Places(home.path / "node").key.exists()


# What stands in the way at the hospital.


def test_a_node_that_runs_is_not_given_another_key(door: Front, name: str) -> None:
    home = door.hospital(name)
    places = Places(home.path / "node")
    places.make()
    with locked(places.lock, 0.0, "runs"), pytest.raises(StateError, match="its node is running: stop it"):
        join(home, door.invited(name))
    assert door.heard == []


def test_a_coordinator_written_by_hand_is_not_passed_over(door: Front, name: str) -> None:
    home = door.hospital(name)
    file = home.path / "hospital.toml"
    file.write_text(f'coordinator = "elsewhere:9092"\n{file.read_text()}')
    with pytest.raises(UsageError, match=r"hospital.toml names a coordinator"):
        join(Home.open(home.path), door.invited(name))


def test_a_home_is_in_one_federation(door: Front, name: str, tmp_path: Path) -> None:
    home = door.member(name)
    other = begun(tmp_path / "other").invite(name)
    with pytest.raises(
        UsageError, match=r"is in another federation, and a home is in one: delete .*federation to leave"
    ):
        join(Home.open(home.path), other)


def test_a_damaged_membership_is_one_line_and_joining_again_mends_it(door: Front, name: str) -> None:
    home = door.member(name)
    (home.path / "federation" / "member.toml").write_text("federation = 3")
    with pytest.raises(StateError, match="restore it from a backup, or join again"):
        _ = Home.open(home.path).coordinator
    invitation = Invitation.from_text(door.home.invite(name, replaces=True).to_text())
    join(Home.open(home.path), invitation)
    assert Home.open(home.path).coordinator == door.home.written.nodes


# The door itself.


@pytest.mark.parametrize(
    "body", [b"", b"{}", b"[", b'{"number":1}', b"\xff" * 50, b'"' + b"x" * 100_000 + b'"'], ids=range(6)
)
def test_the_door_reads_nothing_but_what_it_knows(door: Front, body: bytes) -> None:
    with Door(door.home.written.door, door.home.authority().pem.decode()) as spoken:
        for path in ("join", "renew", "peers"):
            answer = spoken._client.post(f"/federation/{path}", content=body)
            assert answer.status_code == 400
            assert list(answer.json()) == ["error"]


def test_the_door_speaks_tls_alone(door: Front) -> None:
    with pytest.raises(httpx.TransportError):
        httpx.get(f"http://{door.home.written.door}/federation/moment")


def test_the_clock_is_vouched_for(door: Front) -> None:
    with Door(door.home.written.door, door.home.authority().pem.decode()) as spoken:
        first, second = spoken.clock(), spoken.clock()
    assert second.time >= first.time
    assert first.moment.startswith(str(int(first.time)))
