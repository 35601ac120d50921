from __future__ import annotations

from pathlib import Path

import pytest
import watched
from gallery import Visitor

from server.home import CoordinatorHome


@pytest.fixture
def home(tmp_path: Path) -> CoordinatorHome:
    """A coordinator's new home, with four members."""
    return watched.home_in(tmp_path)


@pytest.fixture
def launcher(home: CoordinatorHome) -> Visitor:
    """Somebody who may launch, inside."""
    return Visitor(home).enter(home.registry.people.add("anne", "launch"))


@pytest.fixture
def watcher(home: CoordinatorHome) -> Visitor:
    """Somebody who may only watch, inside."""
    return Visitor(home).enter(home.registry.people.add("bruno", "watch"))
