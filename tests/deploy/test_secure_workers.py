"""A masked study in several processes, each of which takes seconds to start."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import masked
import pytest

from deploy.engines.faults import Drop
from deploy.federation import Machine, federate
from server import checkpoint


@pytest.mark.slow
def test_the_model_is_the_same_bit_for_bit_in_one_process_and_in_two(tmp_path: Path) -> None:
    hospitals = masked.hospitals(tmp_path / "data")
    drops = (Drop("hungary", 1), Drop("cleveland", 2, late=True))
    ends = []
    for workers in (1, 2):
        settled = [replace(each, home=tmp_path / str(workers) / each.name) for each in hospitals]
        outcome = federate(masked.study(), settled, Machine(workers=workers, drops=drops))
        ends.append(checkpoint.to_bytes(replace(outcome.progress, secure=None)))
    assert ends[0] == ends[1]
