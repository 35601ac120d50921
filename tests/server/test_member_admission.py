"""SuperLink's list of nodes follows the registry; the link is played by the test."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from server.admission import Changes, reconcile
from server.authority import Authority
from server.registry import Registry

AUTHORITY = Authority.new("alpes")


@dataclass
class PlayedNode:
    node_id: int
    public_key: bytes


@dataclass
class PlayedLink:
    """A SuperLink: it knows each key once, for ever."""

    known: dict[bytes, int] = field(default_factory=dict)
    ever: set[bytes] = field(default_factory=set)
    calls: list[tuple[str, object]] = field(default_factory=list)
    refuses: bytes = b""

    def nodes(self) -> list[PlayedNode]:
        return [PlayedNode(number, key) for key, number in self.known.items()]

    def register(self, key: bytes, name: str) -> int:
        self.calls.append(("register", name))
        if key in self.ever or key == self.refuses:
            raise RuntimeError("Public key already in use.")
        self.ever.add(key)
        self.known[key] = len(self.ever)
        return self.known[key]

    def unregister(self, number: int) -> None:
        self.calls.append(("unregister", number))
        if self.refuses in self.known and self.known[self.refuses] == number:
            raise RuntimeError("no")
        self.known = {key: each for key, each in self.known.items() if each != number}


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    made = Registry.begin(tmp_path / "registry.sqlite")
    for name in ("brest", "lyon", "nancy"):
        joined(made, name)
    return made


def joined(registry: Registry, name: str, days: float = 90.0) -> bytes:
    key = ec.generate_private_key(ec.SECP384R1()).public_key()
    pem = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    identity = name.encode().hex().ljust(64, "0")
    number, token, _ = registry.invitations.make(name, 60.0)

    def issue(_: str) -> str:
        return AUTHORITY.for_hospital(name, identity, key, timedelta(days=days)).decode()

    registry.invitations.use(number, token, identity, pem, issue)
    return pem


def names(registry: Registry, link: PlayedLink) -> set[str]:
    by_key = {each.key: each.name for each in registry.hospitals.all()}
    return {by_key[key] for key in link.known}


def test_members_are_let_in_once(registry: Registry) -> None:
    link = PlayedLink()
    assert set(reconcile(registry, link).let_in) == {"brest", "lyon", "nancy"}
    link.calls.clear()
    assert reconcile(registry, link) == Changes()
    assert link.calls == []


@pytest.mark.parametrize("how", ["revoked", "expired"])
def test_one_hospital_s_end_touches_nobody_else(registry: Registry, how: str) -> None:
    link = PlayedLink()
    if how == "expired":
        joined(registry, "caen", days=30)
    reconcile(registry, link)
    link.calls.clear()
    gone = "brest"
    if how == "revoked":
        registry.hospitals.revoke("brest")
    else:
        gone = "caen"
        registry.store.now = lambda: time.time() + 31 * 86400
    number = link.known[registry.hospitals.get(gone).key]
    assert reconcile(registry, link) == Changes(shut_out=(gone,))
    assert link.calls == [("unregister", number)]
    assert gone not in names(registry, link)


def test_who_was_invited_is_not_yet_let_in(registry: Registry) -> None:
    registry.invitations.make("rennes", 60.0)
    link = PlayedLink()
    assert "rennes" not in reconcile(registry, link).let_in


def test_a_key_that_nobody_of_the_registry_has_is_shut_out(
    registry: Registry, caplog: pytest.LogCaptureFixture
) -> None:
    """Whoever got at SuperLink's own commands is a member for a second at the most."""
    link = PlayedLink()
    link.register(b"a stranger's", "brest")
    with caplog.at_level(logging.WARNING, logger="coordinator"):
        assert reconcile(registry, link).shut_out == ("",)
    assert b"a stranger's" not in link.known
    assert "a node of no member is shut out" in caplog.text


def test_who_joins_again_comes_in_with_the_new_key_as_the_old_one_goes(registry: Registry) -> None:
    link = PlayedLink()
    reconcile(registry, link)
    old = registry.hospitals.get("brest").key
    registry.hospitals.revoke("brest")
    new = joined(registry, "brest")
    assert reconcile(registry, link) == Changes(("brest",), ("brest",))
    assert old not in link.known
    assert new in link.known


def test_a_link_that_lost_its_list_gets_it_again(registry: Registry) -> None:
    reconcile(registry, PlayedLink())
    assert len(reconcile(registry, PlayedLink()).let_in) == 3


@pytest.mark.parametrize("fails", ["register", "unregister"])
def test_a_failure_at_one_hospital_holds_up_nobody_else(registry: Registry, fails: str) -> None:
    link = PlayedLink()
    if fails == "unregister":
        reconcile(registry, link)
        for name in ("brest", "lyon"):
            registry.hospitals.revoke(name)
    link.refuses = registry.hospitals.get("brest").key
    with pytest.raises(RuntimeError):
        reconcile(registry, link)
    assert names(registry, link) == ({"lyon", "nancy"} if fails == "register" else {"brest", "nancy"})
    link.refuses = b""
    reconcile(registry, link)  # and is made good by the next
    assert names(registry, link) == ({"brest", "lyon", "nancy"} if fails == "register" else {"nancy"})
