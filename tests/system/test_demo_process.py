from __future__ import annotations

from pathlib import Path

from processes import finish


def test_wrong_use_is_one_line_of_a_real_process(tmp_path: Path) -> None:
    code, out, err = finish("run", tmp_path / "absent.toml")
    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    assert err.count("\n") == 1
