"""The hospital's own settings for one message, as its home holds them at that moment."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from client.home import Home
from client.hospital import forget_cohorts

log = logging.getLogger("node")
Config = Mapping[str, str | bool | int]


def config_of(home: Path) -> Callable[[], Config]:
    """Gives the settings for the next message; patients are read anew once the archive changed."""
    Home.open(home)  # raises UsageError now and not at the first message
    seen: list[str] = []

    def config() -> Config:
        revision = _revision(home)
        if seen and seen[-1] != revision:
            log.info("the archive has changed: patients are read anew")
            forget_cohorts()
        seen[:] = [revision]
        # Which patients are meant depends on the task: `client.admission` finds their sources.
        return replace(Home.open(home).settings(), sources=()).to_config()

    return config


def _revision(home: Path) -> str:
    if not (home / "archive").is_dir():
        return ""
    from client.archive import Archive

    with Archive(home) as archive:
        return str(archive.revision())
