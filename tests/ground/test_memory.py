from __future__ import annotations

import subprocess
import sys

import pytest

# Pieces below the size from which glibc asks the system for each, between others that stay in use.
KEPT_BETWEEN = """
import numpy as np
from pathlib import Path
from ground.memory import give_back

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

before = resident()
pieces = [np.ones(12_000) for _ in range(2000)]
full = resident()
del pieces[:1999]
kept = resident()
give_back()
print(full - before, kept - before, resident() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_freed_pieces_go_back_though_one_after_them_is_still_in_use():
    done = subprocess.run([sys.executable, "-c", KEPT_BETWEEN], capture_output=True, text=True, check=True)
    full, kept, after = map(int, done.stdout.split())
    assert full > 150e6
    assert kept > 150e6, "the C library gave it back by itself: this test shows nothing"
    assert after < 20e6
