"""The archive under SIGKILL at every step, under a disk that ends, and when its own files are damaged."""

from __future__ import annotations

import itertools
import json
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from drawn_dicom import series

from client.archive import Archive, batch, import_folder
from ground.errors import StateError

ROOT = Path(__file__).resolve().parents[3]


# What runs in the other process: for each order a forked child imports, and dies where it is told to.


def child(order: dict[str, str | int]) -> str:
    batch.FILES = int(order["batch"])
    points = itertools.count(1)

    def fault(_: str) -> None:
        if next(points) == order.get("kill_at"):
            os.kill(os.getpid(), signal.SIGKILL)

    if "limit" in order:
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(order["limit"]), int(order["limit"])))
    try:
        report = import_folder(Path(str(order["home"])), Path(str(order["source"])), fault=fault, workers=0)
    except StateError as error:
        return f"refused: {error}"
    return f"done: {report.stored} {report.known} {next(points) - 1}"


def serve() -> None:
    for line in sys.stdin:
        reader, writer = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.write(writer, child(json.loads(line)).encode())
            os._exit(0)
        os.close(writer)
        with os.fdopen(reader) as stream:
            said = stream.read()
        os.waitpid(pid, 0)
        sys.stdout.write(json.dumps(said) + "\n")
        sys.stdout.flush()


class Other:
    """Gives orders to the other process."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": f"{ROOT}:{Path(__file__).parent}", "OPENBLAS_NUM_THREADS": "1"},
        )

    def asked(self, home: Path, source: Path, **order: int) -> str:
        text = json.dumps({"home": str(home), "source": str(source), "batch": 4, **order})
        self.process.stdin.write(text + "\n")
        self.process.stdin.flush()
        said: str = json.loads(self.process.stdout.readline())
        return said


@pytest.fixture(scope="module")
def other() -> Other:
    started = Other()
    yield started
    started.process.communicate()


@pytest.fixture
def source(tmp_path: Path) -> Path:
    series(tmp_path / "in" / "a", "a", range(3), 2)
    series(tmp_path / "in" / "b", "b", range(2), 2)
    return tmp_path / "in"


def content(home: Path) -> list[tuple[str, int, float]]:
    """Every series of every patient: shape and sum; pseudonyms differ from home to home."""
    with Archive(home) as archive:
        assert archive.check(thorough=True) == 10
        return sorted(
            (str(each.shape), each.stack.phases, float(archive.volume(patient, each.name).values.sum()))
            for patient in archive.patients()
            for each in archive.series(patient)
        )


@pytest.mark.slow
def test_an_import_killed_at_any_file_goes_on_and_loses_or_doubles_nothing(
    other: Other, tmp_path: Path, source: Path
) -> None:
    import_folder(tmp_path / "whole", source, workers=0)
    expected = content(tmp_path / "whole")
    done = other.asked(tmp_path / "counted", source)
    assert done.startswith("done: 10 0")
    points = int(done.split()[-1])
    assert points > 20
    for kill_at in range(1, points + 1):
        home = tmp_path / f"home{kill_at}"
        assert other.asked(home, source, kill_at=kill_at) == ""
        with Archive(home) as archive:  # what is visible is whole, whenever the kill came
            archive.check(thorough=True)
            for patient in archive.patients():
                assert {each.shape for each in archive.series(patient)} <= {(16, 12, 3, 2), (16, 12, 2, 2)}
        again = other.asked(home, source)
        stored, known = (int(each) for each in again.split()[1:3])
        assert stored + known == 10
        assert content(home) == expected


def test_a_disk_that_ends_is_said_plainly_and_the_import_goes_on_later(
    other: Other, tmp_path: Path, source: Path
) -> None:
    for limit in (200, 1_500, 60_000):
        home = tmp_path / f"home{limit}"
        said = other.asked(home, source, limit=limit)
        assert said.startswith("refused"), said
        assert "the disk refuses (is it full?)" in said
        assert "run the same command again" in said
        assert other.asked(home, source).startswith("done")
        assert len(content(home)) == 2


@pytest.mark.parametrize("damage", ["short", "gone", "changed"])
def test_a_damaged_store_is_said_plainly(tmp_path: Path, source: Path, damage: str) -> None:
    home = tmp_path / "home"
    import_folder(home, source, workers=0)
    file = next((home / "archive" / "patients").rglob("*.dcm"))
    raw = file.read_bytes()
    if damage == "short":
        file.write_bytes(raw[:100])
    if damage == "gone":
        file.unlink()
    if damage == "changed":
        file.write_bytes(raw[:-1] + bytes([raw[-1] ^ 1]))
    with Archive(home) as archive:
        with pytest.raises(StateError, match="1 of 10 stored files are gone, short or changed: restore"):
            archive.check(thorough=True)
        all_ = [(patient, each.name) for patient in archive.patients() for each in archive.series(patient)]
        with pytest.raises(StateError, match="a stored file"):
            [archive.volume(*each) for each in all_]


@pytest.mark.parametrize("damage", ["gone", "empty", "half", "noise"])
def test_a_damaged_index_is_said_plainly_and_nothing_begins_anew(
    tmp_path: Path, source: Path, damage: str
) -> None:
    home = tmp_path / "home"
    import_folder(home, source, workers=0)
    file = home / "archive" / "index.sqlite"
    raw = file.read_bytes()
    for side in ("-wal", "-shm"):
        (file.parent / (file.name + side)).unlink(missing_ok=True)
    if damage == "gone":
        file.unlink()
    else:
        file.write_bytes({"empty": b"", "half": raw[: len(raw) // 2], "noise": b"x" * 4096}[damage])
    for attempt in (lambda: Archive(home), lambda: import_folder(home, source, workers=0)):
        with pytest.raises(StateError, match="restore HOME/archive"):
            attempt()


def test_two_imports_at_once_are_refused(tmp_path: Path, source: Path) -> None:
    from ground.files import locked

    (tmp_path / "home" / "archive").mkdir(parents=True)
    with (
        locked(tmp_path / "home" / "archive" / ".lock", 1.0, ""),
        pytest.raises(StateError, match="another import"),
    ):
        import_folder(tmp_path / "home", source, workers=0)


def test_imported_again_or_from_elsewhere_nothing_is_doubled(tmp_path: Path, source: Path) -> None:
    home = tmp_path / "home"
    import_folder(home, source, workers=0)
    with Archive(home) as archive:
        before = archive.revision()
    again = import_folder(home, source, workers=0)
    assert (again.stored, again.known) == (0, 10)
    with Archive(home) as archive:
        assert archive.revision() == before
    source.rename(tmp_path / "moved")
    moved = import_folder(home, tmp_path / "moved", workers=0)
    assert (moved.stored, moved.known) == (0, 10)
    content(home)


if __name__ == "__main__":
    serve()
