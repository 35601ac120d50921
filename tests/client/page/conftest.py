from __future__ import annotations

from pathlib import Path

import pytest
import ward
from ward import Browser

from client.home import Home


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A hospital's new home."""
    return ward.home_in(tmp_path)


@pytest.fixture
def browser(home: Home) -> Browser:
    """A browser that has followed the link."""
    return Browser(home).enter()
