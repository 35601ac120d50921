from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from drawn_dicom import series

from client.archive import Archive, import_folder, workers
from client.archive.reading import Read
from client.deidentify import Pseudonyms

ROOT = Path(__file__).resolve().parents[3]


def begun(home: Path, source: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("import_process.py")), str(home), str(source)],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )


def alive(group: int) -> bool:
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                state, _, number = (entry / "stat").read_text().rpartition(")")[2].split()[:3]
            except OSError:
                continue
            if int(number) == group and state != "Z":
                return True
    return False


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_an_import_that_is_ended_leaves_no_process_and_goes_on(tmp_path: Path, how: signal.Signals) -> None:
    series(tmp_path / "in", "a", range(40), 5)
    process = begun(tmp_path / "home", tmp_path / "in")
    assert int(process.stdout.readline()) == 1
    os.kill(process.pid, how)
    process.communicate(timeout=50)
    until = time.monotonic() + 20
    while alive(process.pid):
        assert time.monotonic() < until
        time.sleep(0.05)
    report = import_folder(tmp_path / "home", tmp_path / "in", workers=0)
    assert report.stored + report.known == 200
    with Archive(tmp_path / "home") as archive:
        assert archive.check(thorough=True) == 200
        assert archive.series(archive.patients()[0])[0].shape == (16, 12, 40, 5)


def crashing(path: Path) -> Read:
    """What a decoder that a hostile file crashes does."""
    if path.name == "im0001.dcm":
        os.kill(os.getpid(), signal.SIGSEGV)
    return workers.read_dicom(path, workers._own[0])


@pytest.mark.slow
def test_a_file_that_crashes_its_reader_sets_its_patient_aside_and_nobody_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    series(tmp_path / "in" / "hers", "a", range(3), 2)
    series(tmp_path / "in" / "his", "b", range(3), 2)
    (tmp_path / "in" / "his" / "im0001.dcm").rename(tmp_path / "in" / "his" / "other.dcm")
    monkeypatch.setattr(workers, "_read", crashing)
    report = import_folder(tmp_path / "home", tmp_path / "in", workers=2)
    assert (report.stored, report.damaged, report.quarantined) == (11, 1, 1)
    with Archive(tmp_path / "home") as archive:
        [held] = archive.quarantine()
        assert "a file makes its decoder crash" in [each.text for each in held.reasons]
        assert held.patient == Pseudonyms.of(tmp_path / "home").patient("a")
