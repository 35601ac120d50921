"""`laennec hospital start`: the node of this hospital, until it is stopped."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from ground.errors import UsageError
from laennec import screen
from laennec.hospital.app import HomeOption, hospital, opened

if TYPE_CHECKING:
    from client.node.health import Health

Probes = Annotated[
    str,
    typer.Option(
        "--health",
        metavar="HOST:PORT",
        envvar="LAENNEC_HEALTH",
        help="Where gRPC health probes are answered; port 0 takes any that is free, which `status` shows.",
    ),
]


@hospital.command()
def start(home: HomeOption = None, health: Probes = "127.0.0.1:0") -> None:
    """Run this hospital's node: connect to the coordinator, answer for studies that were approved here.

    It runs until Ctrl-C or SIGTERM, starts its processes again when they end,
    and connects again, for ever, when the coordinator is away. It listens
    to nobody but health probes and speaks with nobody but the coordinator.
    """
    from client import backup
    from client.journal import Journal
    from client.node import logs
    from client.node.supervisor import Link, Supervisor, heed_signals

    dwelling = opened(home)
    coordinator = dwelling.coordinator
    if coordinator is None:
        raise UsageError(
            f"{dwelling.path}: is in no federation: ask a coordinator for an invitation, then "
            "`laennec hospital join INVITATION`"
        )
    certificate = dwelling.authority()
    backup.check(dwelling.path)
    journal = Journal(dwelling.path)

    def started(probes: Health) -> None:
        logs.write_to(node.places.log, "supervisor")
        journal.write("node", "start", detail=f"coordinator {coordinator}")
        screen.err.print(
            f"The node of {dwelling.name} runs: coordinator {coordinator}, health probes at "
            f"{probes.address}, log in {node.places.log}. Ctrl-C stops it.",
            soft_wrap=True,
            highlight=False,
        )

    node = Supervisor(dwelling.path, Link(coordinator, certificate), name=dwelling.name, health=health)
    heed_signals(node)
    node.run(started)
    journal.write("node", "stop")
