"""What goes through the coordinator's front door, as JSON: shapes, bounds, addresses of the requests."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from ground.membership.invitation import Address, Name

MOMENT, JOIN, RENEW, PEERS = (f"/federation/{name}" for name in ("moment", "join", "renew", "peers"))
IDENTITY = "urn:laennec:identity:"  # begins the name under which a certificate holds a hospital's identity
BIGGEST = 64 * 1024  # bytes of one request or answer, but for the list of peers
BIGGEST_LIST = 4 * 1024 * 1024
Pem = Annotated[str, Field(max_length=8192)]
Identity = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Signature = Annotated[str, Field(max_length=512, pattern=r"^[0-9a-f]+$")]
Moment = Annotated[str, Field(max_length=128, pattern=r"^[0-9]{1,12}\.[0-9a-f]{64}$")]
Serial = Annotated[str, Field(max_length=48, pattern=r"^[0-9a-f]+$")]


class Said(BaseModel):
    """A message: frozen, and nothing in it that is not known."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Clock(Said):
    """The coordinator's clock.

    Attributes:
        time: seconds since 1970.
        moment: the same, vouched for by the coordinator: a proof that holds it is not from yesterday.

    """

    time: float
    moment: Moment


class JoinRequest(Said):
    """A hospital that was invited asks for its certificate.

    Attributes:
        number, token: the invitation's.
        request: PKCS#10 signing request (PEM) for the node's key, which signed it.
        identity: the hospital's public identity (Ed25519, 32 bytes).
        signature: with that identity, over purpose "join", the invitation's number, hospital and request.

    """

    number: Annotated[int, Field(ge=1)]
    token: Annotated[str, Field(min_length=43, max_length=128, repr=False)]
    request: Pem
    identity: Identity
    signature: Signature


class MemberRequest(Said):
    """A member asks for another certificate (RENEW) or for the others (PEERS).

    Attributes:
        serial: of its certificate, in hexadecimal.
        moment: as the coordinator gave it a moment ago.
        signature: with the node's key, over what is asked, serial and moment.

    """

    serial: Serial
    moment: Moment
    signature: Signature


class Membership(Said):
    """What a member is given.

    Attributes:
        federation: the coordinator's name.
        hospital: the hospital's name here.
        certificate: of the hospital's node key, as PEM: name, identity and the days it is valid.
        authority: the certificate (PEM) that vouches for coordinator and members.
        nodes: host:port to which the node connects.
        door: host:port of the front door.

    """

    federation: Name
    hospital: Name
    certificate: Pem
    authority: Pem
    nodes: Address
    door: Address


class Peer(Said):
    """Another member, as the coordinator knows it.

    Attributes:
        name: in the federation.
        identity: the public one, in hexadecimal; the hospital itself tells the same one by telephone.
        certificate: in which the authority vouches for both, as PEM.

    """

    name: Name
    identity: Identity
    certificate: Pem


class Peers(Said):
    """All other members."""

    peers: tuple[Peer, ...]


class Refusal(Said):
    """Why nothing was done: one line."""

    error: Annotated[str, Field(max_length=500)]
