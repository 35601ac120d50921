"""What the tests of images, chart and units share: files, tools, and whether a command line exists."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

import click
import pytest
import typer

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
DOCKERFILE = DEPLOY / "containers" / "Dockerfile"
COMPOSE = DEPLOY / "containers" / "compose.yaml"
CHART = DEPLOY / "helm" / "laennec"
UNITS = DEPLOY / "systemd"


def tool(name: str) -> str:
    """The program of that name; skips, with the way to have it, where there is none."""
    beside = Path(sys.executable).with_name(name)
    found = str(beside) if beside.exists() else shutil.which(name)
    if found is None:
        pytest.skip(f"no {name} here: pip install -e '.[deployment]' brings it, or the system's packages")
    return found


def accept(arguments: Sequence[str]) -> str:
    """The name of the command that `laennec` would run; raises click.UsageError where there is none such.

    Every option and argument is read as the command line reads it; nothing is run.
    """
    from laennec.cli import app

    command: click.Command = typer.main.get_command(app)
    context, left, names = click.Context(command, info_name="laennec"), list(arguments), []
    while isinstance(command, click.Group):
        if not left:
            raise click.UsageError("a command is missing")
        name, found, left = command.resolve_command(context, left)
        assert found is not None
        names.append(str(name))
        command = found
        if isinstance(command, click.Group):
            context = click.Context(command, parent=context, info_name=name)
    command.make_context(names[-1], left, parent=context)
    return " ".join(names)
