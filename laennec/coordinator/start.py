"""`laennec coordinator start`: the coordinator of this home, until it is stopped."""

from __future__ import annotations

from typing import Annotated

import typer

from laennec import screen
from laennec.coordinator.app import HomeOption, coordinator, opened

Probes = Annotated[
    str,
    typer.Option(
        "--health",
        metavar="HOST:PORT",
        envvar="LAENNEC_HEALTH",
        help="Where gRPC health probes are answered; port 0 takes any that is free, which `status` shows.",
    ),
]


@coordinator.command()
def start(home: HomeOption = None, health: Probes = "127.0.0.1:0") -> None:
    """Run this federation's coordinator: SuperLink, front door, and every study that is under way.

    It runs until Ctrl-C or SIGTERM, starts its processes again when they end,
    and goes on by itself with studies that a former run left unfinished.
    """
    from server.coordinating.daemon import Coordinator, heed_signals

    place = opened(home)

    def started(probes: str) -> None:
        written = place.written
        screen.err.print(
            f"The coordinator of {place.name} runs: nodes at {written.nodes}, door at "
            f"https://{written.door}, health probes at {probes}, log in {place.log}. Ctrl-C stops it; "
            "studies go on when it is started again.",
            soft_wrap=True,
            highlight=False,
            markup=False,
        )

    running = Coordinator(place, health)
    heed_signals(running)
    running.run(started)
