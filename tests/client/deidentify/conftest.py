"""Pseudonyms whose key is always the same, and the folder of planted identifiers."""

from pathlib import Path

import pytest

from client.deidentify import Pseudonyms


@pytest.fixture
def pseudonyms() -> Pseudonyms:
    return Pseudonyms(bytes(range(32)))


@pytest.fixture
def pseudo_phi(data: Path) -> Path:
    folder = data / "dicom-pseudo-phi"
    if not folder.is_dir():
        pytest.skip(f"no real data: {folder} is absent")
    return folder
