from __future__ import annotations

import os
from pathlib import Path
from typing import NoReturn

import pytest

from ground.files import write_atomically


def fail(*_: object) -> NoReturn:
    raise OSError("no space left on device")


def interrupt(*_: object) -> NoReturn:
    raise KeyboardInterrupt


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


@pytest.mark.parametrize("content", [b"", b"\x00\xff", "ε = 1\n"])
def test_what_is_written_is_what_is_read(tmp_path: Path, content: bytes | str) -> None:
    write_atomically(tmp_path / "state", content)
    expected = content.encode() if isinstance(content, str) else content
    assert (tmp_path / "state").read_bytes() == expected


def test_the_new_content_replaces_the_old_and_leaves_no_temporary_file(tmp_path: Path) -> None:
    write_atomically(tmp_path / "state", "a longer old content")
    write_atomically(tmp_path / "state", "new")
    assert (tmp_path / "state").read_text() == "new"
    assert names(tmp_path) == ["state"]


def test_missing_folders_are_made(tmp_path: Path) -> None:
    write_atomically(tmp_path / "home" / "studies" / "state", "new")
    assert (tmp_path / "home" / "studies" / "state").read_text() == "new"


@pytest.mark.parametrize("broken", [(os, "fsync"), (Path, "replace")], ids=["fsync", "replace"])
def test_a_failure_midway_leaves_the_old_content_and_no_temporary_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: tuple[object, str]
) -> None:
    write_atomically(tmp_path / "state", "old")
    with monkeypatch.context() as patch:
        patch.setattr(*broken, fail)
        with pytest.raises(OSError, match="no space left"):
            write_atomically(tmp_path / "state", "new")
    assert (tmp_path / "state").read_text() == "old"
    assert names(tmp_path) == ["state"]


def test_an_interruption_midway_leaves_the_old_content_and_no_temporary_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_atomically(tmp_path / "state", "old")
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", interrupt)
        with pytest.raises(KeyboardInterrupt):
            write_atomically(tmp_path / "state", "new")
    assert (tmp_path / "state").read_text() == "old"
    assert names(tmp_path) == ["state"]


def test_a_first_write_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", fail)
        with pytest.raises(OSError, match="no space left"):
            write_atomically(tmp_path / "state", "new")
    assert names(tmp_path) == []


def test_the_file_is_on_disk_before_it_takes_the_name_and_the_name_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    fsync, replace = os.fsync, Path.replace

    def watched_fsync(handle: int) -> None:
        calls.append("fsync")
        fsync(handle)

    def watched_replace(source: Path, target: Path) -> Path:
        calls.append("replace")
        return replace(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", watched_fsync)
        patch.setattr(Path, "replace", watched_replace)
        write_atomically(tmp_path / "state", "new")
    assert calls == ["fsync", "replace", "fsync"]
