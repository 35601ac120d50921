"""One node without a command line around it, as the one-machine engine starts it.

python -m client.node PARENT HOME FOLDER COORDINATOR CERTIFICATE SETTINGS NAME
"""

from __future__ import annotations

import sys
from pathlib import Path

from client.node import logs
from client.node.places import Places
from client.node.supervisor import Link, Supervisor, heed_signals
from ground.orphan import die_with


def main(arguments: list[str]) -> None:
    """Until it is ended."""
    parent, home, folder, coordinator, certificate, settings, name = arguments
    die_with(int(parent))
    places = Places(Path(folder))
    places.make()
    logs.write_to(places.log, "supervisor")
    node = Supervisor(
        Path(home),
        Link(coordinator, Path(certificate)),
        name=name,
        settings=Path(settings),
        folder=places.folder,
    )
    heed_signals(node)
    node.run()


if __name__ == "__main__":
    main(sys.argv[1:])
