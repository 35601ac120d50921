"""What every test may ask for: the real data, which lies beside the repository and is never in it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder of real data: LAENNEC_DATA where it is set, else the one beside the repository."""
    return Path(os.environ.get("LAENNEC_DATA") or ROOT.parent / "shared" / "data").resolve()


@pytest.fixture(scope="session")
def uci(data: Path) -> Path:
    """The four hospitals of the UCI Heart Disease data; without them CI fails, and anybody else skips."""
    folder = data / "uci-heart-disease"
    if not folder.is_dir():
        reason = f"no real data: {folder} is absent; set LAENNEC_DATA to the folder that holds it"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return folder
