"""What members and those who become one ask at the front door: who may have what.

Every refusal is a UsageError in one line, which is told to whoever asks and to nobody else.
"""

from __future__ import annotations

from datetime import timedelta

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

from ground.errors import UsageError
from ground.membership.messages import JoinRequest, MemberRequest, Membership, Peer, Peers
from ground.membership.proofs import is_proven
from ground.signing import is_signed
from server.door.moments import Moments
from server.home import CoordinatorHome
from server.registry.hospitals import Hospital

NOT_A_MEMBER = (
    "this certificate does not count here: it has ended, was revoked or replaced, or is of another "
    "coordinator: ask for an invitation and join again"
)


class Members:
    """Joining, renewal, introductions, over one home."""

    def __init__(self, home: CoordinatorHome, moments: Moments) -> None:
        self._home, self._moments = home, moments

    def join(self, asked: JoinRequest) -> Membership:
        """A hospital that was invited, with a key and an identity of its own, becomes a member."""
        invitations = self._home.registry.invitations
        hospital = invitations.hospital_of(asked.number, asked.token)
        key = _requested(asked.request)
        if not is_signed(
            bytes.fromhex(asked.identity), asked.signature, "join", asked.number, hospital, asked.request
        ):
            raise UsageError(
                f"the request is not signed with that identity for {hospital}: an invitation is for one name"
            )
        _, pem = invitations.use(
            asked.number,
            asked.token,
            asked.identity,
            _pem(key),
            lambda name: self._issue(name, asked.identity, key),
        )
        return self._membership(hospital, pem)

    def renew(self, asked: MemberRequest) -> Membership:
        """Another certificate for the same keys of a member."""
        hospital = self._known(asked, "renew")
        key = load_pem_public_key(hospital.key)
        assert isinstance(key, ec.EllipticCurvePublicKey)  # noqa: S101 - `_requested` let no other in
        pem = self._issue(hospital.name, hospital.identity, key)
        self._home.registry.hospitals.renew(hospital, pem)
        return self._membership(hospital.name, pem)

    def peers(self, asked: MemberRequest) -> Peers:
        """The other members."""
        me = self._known(asked, "peers")
        others = [each for each in self._home.registry.hospitals.members() if each.name != me.name]
        return Peers(
            peers=tuple(Peer(name=e.name, identity=e.identity, certificate=e.certificate) for e in others)
        )

    def _known(self, asked: MemberRequest, what: str) -> Hospital:
        """The member who asks."""
        if not self._moments.is_recent(asked.moment):
            raise UsageError("this request is too old: ask for the time again")
        hospital = self._home.registry.hospitals.of_serial(asked.serial)
        if hospital is None or not is_proven(hospital.key, asked.signature, what, asked.serial, asked.moment):
            raise UsageError(NOT_A_MEMBER)
        return hospital

    def _issue(self, hospital: str, identity: str, key: ec.EllipticCurvePublicKey) -> str:
        lasts = timedelta(days=self._home.written.hospital_days)
        return self._home.authority().for_hospital(hospital, identity, key, lasts).decode()

    def _membership(self, hospital: str, pem: str) -> Membership:
        home = self._home
        return Membership(
            federation=home.name,
            hospital=hospital,
            certificate=pem,
            authority=home.authority_pem.read_text(encoding="ascii"),
            nodes=home.written.nodes,
            door=home.written.door,
        )


def _requested(request: str) -> ec.EllipticCurvePublicKey:
    """The node's key of a signing request; of all else that a request may hold nothing is taken over."""
    try:
        read = x509.load_pem_x509_csr(request.encode("ascii"))
        key = read.public_key()
        is_good = read.is_signature_valid
    except ValueError:
        raise UsageError("the signing request cannot be read") from None
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP384R1):
        raise UsageError("the signing request is for another kind of key than a node has")
    if not is_good:
        raise UsageError("the signing request is not signed with the key that it is for")
    return key


def _pem(key: ec.EllipticCurvePublicKey) -> bytes:
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
