"""Joining a federation with an invitation: keys are made here and stay here, proofs of them are sent.

The node's key is a new one every time. It waits in HOME/federation until the coordinator has answered: a
joining that was interrupted goes on with the same key, for which the same invitation holds.
"""

from __future__ import annotations

from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, load_ssh_private_key
from cryptography.x509.oid import NameOID

from client.home import Home
from client.joining.door import Door
from client.joining.membership import FOLDER, Member, authority_file, folder_of, write_member
from client.journal import Journal
from client.journal.lines import private_of
from client.node.keys import node_key
from client.node.places import Places
from ground.errors import FederationError, UsageError
from ground.files import locked, write_atomically
from ground.membership.invitation import Invitation
from ground.membership.messages import JoinRequest, Membership
from ground.signing import sign


def join(home: Home, invitation: Invitation) -> Member:
    """Become a member: the invitation is used, certificate and addresses are written into the home.

    Raises UsageError where the invitation is for another hospital or the home has a coordinator already,
    StateError while its node runs, FederationError where the coordinator cannot be reached or refuses.
    """
    _check(home, invitation)
    places = Places(home.path / "node")
    places.make()
    busy = f"{home.name}: its node is running: stop it first, then join"
    with locked(places.lock, 0.0, busy):
        waiting = folder_of(home.path) / "joining.key"
        node_key(waiting)
        key = private_key(waiting)
        with Door(invitation.door, invitation.authority) as door:
            given = door.join(_request(home, invitation, key))
        member = checked(given, key.public_key(), invitation.authority, home.name)
        for suffix in ("", ".pub"):
            write_atomically(_beside(places.key, suffix), _beside(waiting, suffix).read_bytes())
        write_member(home.path, member, given.certificate, given.authority)
        for suffix in ("", ".pub"):
            _beside(waiting, suffix).unlink()
    Journal(home.path).write("person", "join", detail=f"{member.federation} at {member.door}")
    return member


def private_key(file: Path) -> ec.EllipticCurvePrivateKey:
    """The node's key in that file, in OpenSSH's format; `node_key` has checked it."""
    key = load_ssh_private_key(file.read_bytes(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)  # noqa: S101 - a node has no other
    return key


def checked(given: Membership, key: ec.EllipticCurvePublicKey, authority: str, name: str) -> Member:
    """What was given, where it is for this key and name, and from this authority.

    Raises FederationError where it is not: no coordinator of ours answers so.
    """
    try:
        read = x509.load_pem_x509_certificate(given.certificate.encode())
        root = x509.load_pem_x509_certificate(authority.encode())
        read.verify_directly_issued_by(root)
        fits = read.public_key() == key and given.hospital == name == name_in(read)
        fits = fits and x509.load_pem_x509_certificate(given.authority.encode()) == root
    except (ValueError, TypeError, InvalidSignature):
        fits = False
    if not fits:
        raise FederationError(
            "the coordinator gave a certificate that is not this node's: tell its administrator"
        )
    return Member(
        federation=given.federation,
        nodes=given.nodes,
        door=given.door,
        serial=format(read.serial_number, "x"),
        since=read.not_valid_before_utc.timestamp(),
        until=read.not_valid_after_utc.timestamp(),
    )


def name_in(certificate: x509.Certificate) -> str:
    """The common name of its subject; raises ValueError where it has none."""
    names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    if len(names) != 1:
        raise ValueError("one common name expected")
    return str(names[0].value)


def _check(home: Home, invitation: Invitation) -> None:
    if invitation.hospital != home.name:
        raise UsageError(
            f"this invitation is for {invitation.hospital}, and this home is {home.name}'s, whose books are "
            "under that name: ask for an invitation for it"
        )
    if home.written.coordinator is not None:
        raise UsageError(
            f"{home.path}: hospital.toml names a coordinator: take the lines coordinator and certificate out "
            "of it, then join"
        )
    before = authority_file(home.path)
    if before.is_file() and before.read_text(encoding="ascii") != invitation.authority:
        raise UsageError(
            f"{home.path}: is in another federation, and a home is in one: delete "
            f"{home.path / FOLDER} to leave that one"
        )


def _request(home: Home, invitation: Invitation, key: ec.EllipticCurvePrivateKey) -> JoinRequest:
    """The public halves of both keys, with a proof of each."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, home.name)])
    request = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA384())
    pem = request.public_bytes(Encoding.PEM).decode()
    return JoinRequest(
        number=invitation.number,
        token=invitation.token,
        request=pem,
        identity=home.public.hex(),
        signature=sign(private_of(home.path), "join", invitation.number, home.name, pem),
    )


def _beside(file: Path, suffix: str) -> Path:
    return file.with_name(f"{file.name}{suffix}")
