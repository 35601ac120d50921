"""Keeps SuperLink's list of nodes the same as the registry's list of members.

SuperLink looks a node's key up in that list for every request, so a hospital that is taken off it is refused
with its next one, in the middle of a round: it can neither fetch a message nor send a reply. A key that was
taken off never comes back: SuperLink knows each key once. Who joins again does so with a new key.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from server.registry.store import Registry

log = logging.getLogger("coordinator")


class Node(Protocol):
    """A node that SuperLink lets in."""

    node_id: int
    public_key: bytes


class Link(Protocol):
    """What is needed of a SuperLink; `server.link.SuperLink` is one."""

    def nodes(self) -> Sequence[Node]:
        """Every node that it lets in, connected or not."""

    def register(self, key: bytes, name: str) -> object:
        """Let the node in that has this public key (PEM)."""

    def unregister(self, number: int) -> None:
        """Let that node in no more."""


@dataclass(frozen=True)
class Changes:
    """Names of the hospitals whose nodes were let in, and of those shut out ("" of a key of nobody)."""

    let_in: tuple[str, ...] = ()
    shut_out: tuple[str, ...] = ()


def reconcile(registry: Registry, link: Link) -> Changes:
    """Make the link's nodes those of the members; what did not change is not touched.

    Shutting out goes first. Where the link fails at one hospital, the others' turn comes all the same, and
    the failure is raised at the end: the next call tries again.
    """
    known = {node.public_key: node.node_id for node in link.nodes()}
    members = {each.key: each.name for each in registry.hospitals.members()}
    names = registry.hospitals.names()
    failures: list[Exception] = []
    shut_out = tuple(
        names.get(key, "")
        for key, number in known.items()
        if key not in members and _done(failures, link.unregister, number)
    )
    let_in = tuple(
        name
        for key, name in members.items()
        if key not in known and _done(failures, link.register, key, name)
    )
    for name in shut_out:
        log.warning("%s is shut out", name or "a node of no member")
    for name in let_in:
        log.info("%s is let in", name)
    if failures:
        raise failures[0]
    return Changes(let_in, shut_out)


def _done(failures: list[Exception], act: Callable[..., object], *arguments: object) -> bool:
    try:
        act(*arguments)
    except Exception as error:
        failures.append(error)
        return False
    return True
