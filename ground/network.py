"""What both sides need of this machine's network."""

from __future__ import annotations

import socket

LOOPBACK = "127.0.0.1"
ANY = ("0.0.0.0", "::", "localhost")  # noqa: S104 - is compared with
# Neither Flower's telemetry nor its look for updates leaves this machine.
SILENT = {"FLWR_TELEMETRY_ENABLED": "0", "FLWR_DISABLE_UPDATE_CHECK": "1"}


def free_port() -> int:
    """A port of this machine's loopback that nobody uses just now."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def reached_at(host: str) -> str:
    """Where this machine itself reaches what listens at that address."""
    return LOOPBACK if host in ANY else host
