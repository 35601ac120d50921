from __future__ import annotations

from pathlib import Path

import clinic
import pytest
import torch
from clinic import Clinic

# As at a hospital (client/app.py): sums in one order, and test processes that do not fight over processors.
torch.set_num_threads(1)


@pytest.fixture(scope="session")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One hospital's digital patients, in a file."""
    return clinic.export(tmp_path_factory.mktemp("clinic"), "brest", "cleveland")


@pytest.fixture(params=["home", "context"])
def brest(request: pytest.FixtureRequest, table: Path, tmp_path: Path) -> Clinic:
    """A hospital that keeps its memory in a file of its own, or in Flower's context."""
    return Clinic(table, tmp_path / "home" if request.param == "home" else None)


@pytest.fixture
def hospital(table: Path, tmp_path: Path) -> Clinic:
    """A hospital with a home."""
    return Clinic(table, tmp_path / "home")
