"""What the node of a home is doing, for `laennec hospital status` and the hospital's page."""

from __future__ import annotations

import json
from pathlib import Path

from client.node.places import Places
from ground.errors import StateError
from ground.files import locked


def read_status(home: Path) -> dict[str, object] | None:
    """What HOME/node/status.json says; None where no node ever ran.

    Its keys: pid, state ("connecting", "connected", "working", "stopped"; "dead" of one that was killed),
    since, coordinator, health (host:port for probes), supernode and executor (process numbers), study
    (digest), phase, round, working_since, last_contact. Times are ISO 8601 in UTC; what there is not is None.
    """
    places = Places(home / "node")
    try:
        said: dict[str, object] = json.loads(places.status.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if said.get("pid") is not None and not _is_running(places.lock):
        said |= dict.fromkeys(("pid", "health", "supernode", "executor", "study", "phase", "round"))
        said["state"] = "dead"
    return said


def _is_running(lock: Path) -> bool:
    try:
        with locked(lock, 0.0, "running"):
            return False
    except StateError:
        return True
