from __future__ import annotations

from pathlib import Path

import pytest
import torch

# As at a hospital (client/app.py): sums in one order, and test processes that do not fight over processors.
torch.set_num_threads(1)


@pytest.fixture(scope="session")
def sunnybrook(data: Path) -> Path:
    folder = data / "sunnybrook-slices"
    if not folder.is_dir():
        pytest.skip(f"no real data: {folder} is absent; set LAENNEC_DATA to the folder that holds it")
    return folder
