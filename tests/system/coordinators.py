"""Coordinators for tests: a home with members, and studies' processes that die where a file orders it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import nodes

from ground.network import free_port
from server.coordinating.daemon import Coordinator
from server.home import CoordinatorHome
from server.registry.studies import Launched

# Between the steps of a study's process, in the order in which they come; most come once a round.
STUDY = ("running", "run", "save", "push", "take", "results", "finished")
LASTS = timedelta(days=90)


def home_in(folder: Path) -> CoordinatorHome:
    made = CoordinatorHome.begin(folder, "alpes", ["127.0.0.1"], nodes=free_port(), door=free_port())
    return CoordinatorHome.open(made.path)


def join(home: CoordinatorHome, known: Sequence[Any]) -> None:
    """Make these hospitals' nodes (`deploy.engines.flower.Node`) members, as if each had been invited."""
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    authority = home.authority()
    for node in known:
        name, pem = node.settings.name, node.key()
        key = load_pem_public_key(pem)
        assert isinstance(key, ec.EllipticCurvePublicKey)
        identity = name.encode().hex().ljust(64, "0")
        number, token, _ = home.registry.invitations.make(name, 3600.0)
        home.registry.invitations.use(
            number,
            token,
            identity,
            pem,
            lambda _, n=name, i=identity, k=key: authority.for_hospital(n, i, k, LASTS).decode(),  # type: ignore[misc]
        )


def link_to(home: CoordinatorHome) -> Any:
    """What `nodes.running` needs to know of a coordinator."""
    return SimpleNamespace(address=home.written.nodes, certificates=home.certificates)


def be_study(path: str, digest: str, order: str) -> None:
    """The process of one study; dies at the point that the file names."""
    from server import checkpoint, driver, gathering
    from server.coordinating import study
    from server.link import SuperLink
    from server.link.grid import NodeGrid
    from server.registry.studies import Studies

    die = nodes.kill_at(Path(order))
    nodes.after(SuperLink, "launch", lambda: die("study after run"))
    nodes.after(NodeGrid, "push_messages", lambda: die("study after push"))
    nodes.after(gathering.Gathering, "take", lambda: die("study after take"))
    save, move = checkpoint.save, Studies.move

    def saves(*arguments: Any) -> None:
        save(*arguments)
        die("study after save")

    def moves(self: Studies, digest: str, state: Any, why: str = "") -> Launched:
        die("study after results" if state == "finished" else "")
        made = move(self, digest, state, why)
        die(f"study after {state}")
        return made

    vars(driver)["checkpoint"].save = saves
    Studies.move = moves  # type: ignore[method-assign]
    import os

    study.main([str(os.getppid()), path, digest])


class Killable(Coordinator):
    """A coordinator whose studies are forked from what imported all, and can be ordered to die."""

    def _child(self, launched: Launched) -> Any:
        order = str(self._home.path / "order")
        where = str(self._home.path)
        return nodes.Forked("study", be_study, lambda: (where, launched.digest, order))


def order(home: CoordinatorHome, point: str) -> Path:
    """Let the study's process die at that point; the file goes when it did."""
    file = home.path / "order"
    beside = file.with_name("order.new")
    beside.write_text(point)
    beside.replace(file)
    return file


def state_of(home: CoordinatorHome, digest: str) -> str:
    return home.registry.studies.get(digest).state


def result_of(home: CoordinatorHome, digest: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((home.studies / digest / "result.json").read_text())
    return found


def model_in(home: CoordinatorHome, digest: str) -> bytes:
    return (home.studies / digest / "model.safetensors").read_bytes()
