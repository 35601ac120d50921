"""The coordinator's Flower ServerApp: unpack, call. The same object runs on every engine."""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path

from flwr.app import Context
from flwr.serverapp import Grid, ServerApp

from ground.errors import UsageError
from server.driver import Terms, drive
from tasks.study import parse

# Flower's simulation passes a ServerApp no settings: they then stand in this variable, as JSON.
COORDINATOR_VARIABLE = "LAENNEC_COORDINATOR"
app = ServerApp()
# Flower's strategies report at every round how many replies they averaged: here always one, the mean.
logging.getLogger("flwr").setLevel(logging.WARNING)


@app.main()
def main(grid: Grid, context: Context) -> None:
    """Drive the study that the run's configuration names: its text, its home folder, how many hospitals."""
    settings = dict(context.run_config) or json.loads(os.environ.get(COORDINATOR_VARIABLE, "{}"))
    if "study" not in settings:
        raise UsageError("this coordinator was not told which study to run")
    home = str(settings.get("home", ""))
    terms = Terms(
        hospitals=int(settings["hospitals"]),
        reply_seconds=float(settings["reply-seconds"]),
        join_seconds=float(settings.get("join-seconds", Terms.join_seconds)),
        later_seconds=float(settings.get("later-seconds", Terms.later_seconds)),
        approval_seconds=float(settings.get("approval-seconds", Terms.approval_seconds)),
    )
    drive(grid, parse(str(settings["study"])), terms, Path(home) if home else None)
