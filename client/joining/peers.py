"""Introductions: the coordinator names the other hospitals, and a person here accepts them one by one.

A coordinator could name an identity of its own under a hospital's name, and with it read what that hospital's
masks hide. So nothing is accepted before a person compared the identity with what the other hospital itself
says, on a way that the coordinator does not control.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from cryptography import x509
from cryptography.exceptions import InvalidSignature

from client.home import Home
from client.joining.asking import asking
from client.joining.joining import name_in
from client.joining.membership import accepted, authority_file, write_accepted
from client.journal import Journal
from ground.errors import FederationError, UsageError
from ground.membership.messages import IDENTITY, Peer


@dataclass(frozen=True)
class Introduction:
    """Another hospital, as the coordinator names it and as this hospital knows it.

    Attributes:
        name: in the federation.
        identity: that the coordinator says, in hexadecimal; "" where it names it no more.
        accepted: the identity that a person here accepted; "" where nobody did.

    """

    name: str
    identity: str
    accepted: str

    @property
    def state(self) -> Literal["new", "accepted", "changed", "gone"]:
        """Where it stands; "changed": the coordinator says another identity than was accepted."""
        if not self.accepted:
            return "new"
        if not self.identity:
            return "gone"
        return "accepted" if self.identity == self.accepted else "changed"


def introductions(home: Home) -> tuple[Introduction, ...]:
    """Whom the coordinator names, and whom this hospital accepted, by name.

    Raises UsageError where the home is in no federation, FederationError where the coordinator cannot be
    reached, refuses, or introduces somebody without the certificate that says so.
    """
    with asking(home.path) as asked:
        given = asked.door.peers(asked.request("peers", asked.door.clock())).peers
    authority = authority_file(home.path).read_text(encoding="ascii")
    named = {each.name: _proven(each, authority) for each in given if each.name != home.name}
    known = dict(home.peers)
    return tuple(
        Introduction(name, named.get(name, ""), known.get(name, "")) for name in sorted({*named, *known})
    )


def accept(home: Home, introduction: Introduction, by: str) -> None:
    """A person compared the identity: from now on this hospital sums with that one.

    Raises UsageError where the coordinator names no identity to accept.
    """
    if not introduction.identity:
        raise UsageError(f"{introduction.name}: the coordinator names no such hospital")
    if introduction.name in home.written.peers:
        raise UsageError(f"{introduction.name}: stands in hospital.toml under [peers]: change it there")
    peers = accepted(home.path) | {introduction.name: introduction.identity}
    Journal(home.path).write(
        "person", "accept", detail=f"by {by}: {introduction.name}, identity {introduction.identity}"
    )
    write_accepted(home.path, peers)


def remove(home: Home, name: str, by: str) -> None:
    """This hospital sums with that one no more; raises UsageError where it did not."""
    peers = accepted(home.path)
    if name not in peers:
        raise UsageError(f"{name}: was not accepted here: `laennec hospital peers` lists them")
    Journal(home.path).write("person", "accept", detail=f"by {by}: {name} no more")
    write_accepted(home.path, {each: key for each, key in peers.items() if each != name})


def _proven(peer: Peer, authority: str) -> str:
    """The identity in the certificate, where the authority vouches for just this name and identity."""
    try:
        read = x509.load_pem_x509_certificate(peer.certificate.encode())
        read.verify_directly_issued_by(x509.load_pem_x509_certificate(authority.encode()))
        names = read.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        said = names.get_values_for_type(x509.UniformResourceIdentifier)
        fits = name_in(read) == peer.name and said == [f"{IDENTITY}{peer.identity}"]
    except (ValueError, TypeError, InvalidSignature, x509.ExtensionNotFound):
        fits = False
    if not fits:
        raise FederationError(
            "the coordinator introduces a hospital without a certificate that says so: refused"
        )
    return peer.identity
