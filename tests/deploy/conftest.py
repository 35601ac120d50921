"""Three small digital hospitals, and what every test here asks of them."""

from __future__ import annotations

from pathlib import Path

import pytest
from studies import NAMES

from client.hospital import Settings
from deploy.digital import digital_hospitals
from deploy.federation import hospitals_in


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return digital_hospitals(
        "heart-disease", dict.fromkeys(NAMES, 60), 1, tmp_path_factory.mktemp("hospitals")
    )


@pytest.fixture(scope="session")
def hospitals(folder: Path) -> tuple[Settings, ...]:
    return tuple(hospitals_in("heart-disease", folder, None, secret_noise=False))
