"""The command line in this process: as a person calls it, without the seconds that a new process takes."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from calls import NAMES, PRIVATE, STUDY, Finished, Laennec, write

from deploy.digital import digital_hospitals
from laennec.cli import main


@pytest.fixture
def laennec(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Laennec:
    """Calling it with arguments gives the exit status and what was printed."""

    def call(*arguments: object) -> Finished:
        monkeypatch.setattr(sys, "argv", ["laennec", *map(str, arguments)])
        with pytest.raises(SystemExit) as caught:
            main()
        printed = capsys.readouterr()
        code = caught.value.code
        return Finished(code if isinstance(code, int) else int(code is not None), printed.out, printed.err)

    return call


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three digital hospitals."""
    return digital_hospitals(
        "heart-disease", dict.fromkeys(NAMES, 60), 1, tmp_path_factory.mktemp("hospitals")
    )


@pytest.fixture
def short(tmp_path: Path) -> Path:
    """A study without privacy."""
    return write(tmp_path / "short.toml", STUDY)


@pytest.fixture
def private(tmp_path: Path) -> Path:
    """The same under differential privacy."""
    return write(tmp_path / "private.toml", PRIVATE)
