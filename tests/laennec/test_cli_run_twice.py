from __future__ import annotations

from pathlib import Path

from calls import STUDY, Laennec, write

from ground.files import locked


def test_a_second_run_in_a_folder_exits_with_one_in_one_line(laennec: Laennec, tmp_path: Path) -> None:
    study, out = write(tmp_path / "short.toml", STUDY), tmp_path / "out"
    with locked(out / "hospitals" / ".lock", 0.0, "busy"):
        finished = laennec("run", study, "--out", out)
    assert (finished.code, finished.out) == (1, "")
    assert finished.err.endswith(f"error: {out}: another run is using this folder: choose another --out\n")
    assert not (out / "result.json").exists()
