"""`flower-superlink` as a process that ends with whoever started it.

python -m deploy.engines.superlink PARENT [arguments of flower-superlink]
"""

from __future__ import annotations

import sys

from client.node.orphan import die_with


def main(arguments: list[str]) -> None:
    """Run it with the remaining arguments until it is ended."""
    parent, *passed = arguments
    die_with(int(parent))
    from flwr.superlink.cli import flower_superlink

    sys.argv = ["flower-superlink", *passed]
    flower_superlink()


if __name__ == "__main__":
    main(sys.argv[1:])
