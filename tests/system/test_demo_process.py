from __future__ import annotations

import json
from pathlib import Path

import pytest
from processes import finish


@pytest.mark.slow
def test_the_demo_compares_four_ways_of_learning_on_four_digital_hospitals(tmp_path: Path) -> None:
    code, out, err = finish("demo", "--json", "--out", tmp_path)
    assert (code, err) == (0, "")
    result = json.loads(out)
    assert list(result["arms"]) == ["own", "federated", "federated_dp", "pooled"]
    assert {len(arm["hospitals"]) for arm in result["arms"].values()} == {4}
    assert result["arms"]["federated_dp"]["epsilon"] <= 1.0
    assert (tmp_path / "report.html").stat().st_size > 10_000


def test_wrong_use_is_one_line_of_a_real_process(tmp_path: Path) -> None:
    code, out, err = finish("run", tmp_path / "absent.toml")
    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    assert err.count("\n") == 1
