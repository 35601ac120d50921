"""One file that holds a whole home: a tar with a manifest, made while the home is in use, put back whole.

Databases are copied by SQLite's own backup, so that a copy is of one moment. What is hidden (locks, files
that are being written) stays behind. The manifest comes last and holds the digest of every other file, and
its own digest follows it: what was cut off, or damaged, is refused before anything is put back.

A backup holds private keys. It is readable by its owner alone, and not encrypted.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import sqlite3
import tarfile
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

from ground.errors import StateError, UsageError
from ground.files import sync

MANIFEST, SEAL = "manifest.json", "manifest.sha256"
FORMAT = 1
DATABASES = (".sqlite", ".db")
SIDE_FILES = ("-wal", "-shm", "-journal")  # SQLite's own; the copy needs none
CHUNK = 1 << 20


@dataclass(frozen=True)
class Manifest:
    """What a backup holds.

    Attributes:
        kind: "hospital" or "coordinator".
        name: of whom.
        made: when, ISO 8601 in UTC.
        version: of Laennec.
        facts: what whoever made it wants to know later.
        files: path below the home → (bytes, SHA-256).

    """

    kind: str
    name: str
    made: str
    version: str
    facts: dict[str, object]
    files: dict[str, tuple[int, str]]
    format: int = FORMAT


def save(
    home: Path,
    out: Path,
    *,
    kind: str,
    name: str,
    version: str,
    leave: Callable[[PurePosixPath], bool],
    plant: Callable[[Path], Mapping[str, object]],
) -> Manifest:
    """Write the backup of `home` to `out`, which must not exist yet; whole or not at all.

    `leave` says what stays behind; a folder that does is not looked into. `plant` is called at the end with
    an empty folder: the files that it puts there are added at the top, and what it returns are the manifest's
    facts. Raises UsageError where `out` exists or lies in the home, OSError where the disk refuses.
    """
    if out.exists():
        raise UsageError(f"{out}: exists already: a backup replaces nothing, give another name")
    if out.resolve().is_relative_to(home.resolve()):
        raise UsageError(f"{out}: lies in the home itself: a backup belongs elsewhere, on another disk")
    out.parent.mkdir(parents=True, exist_ok=True)
    handle, beside = tempfile.mkstemp(dir=out.parent, prefix=f".{out.name}.")
    try:
        with os.fdopen(handle, "wb") as stream, tempfile.TemporaryDirectory(dir=out.parent) as spare:
            copies, planted = Path(spare), Path(spare, "planted")
            planted.mkdir()
            with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as tar:
                files = {path: _add(tar, home, path, copies) for path in _paths(home, leave)}
                facts = dict(plant(planted))
                for each in sorted(planted.iterdir()):
                    files[each.name] = _put(tar, each.name, each.read_bytes())
                now = datetime.now(UTC).isoformat(timespec="seconds")
                manifest = Manifest(kind, name, now, version, facts, files)
                _, digest = _put(tar, MANIFEST, json.dumps(asdict(manifest), indent=1).encode())
                _put(tar, SEAL, digest.encode())
            stream.flush()
            os.fsync(stream.fileno())
        Path(beside).replace(out)
        sync(out.parent)
    except BaseException:
        Path(beside).unlink(missing_ok=True)
        raise
    return manifest


def look(file: Path, kind: str) -> Manifest:
    """What that backup holds; raises StateError where it is none, is cut off, or of something else."""
    with _read(file) as tar:
        return _manifest(tar, file, kind)


@contextmanager
def restored(file: Path, home: Path, kind: str) -> Iterator[tuple[Path, Manifest]]:
    """The backup unpacked beside `home`, every file checked; it becomes `home` where the block ends well.

    Raises UsageError where `home` exists, StateError where the backup is damaged; then nothing is left.
    """
    if home.exists() and (not home.is_dir() or any(home.iterdir())):
        raise UsageError(f"{home}: is there already: restore into a folder that does not exist yet")
    home.parent.mkdir(parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(dir=home.parent, prefix=f".{home.name}."))
    try:
        with _read(file) as tar:
            manifest = _manifest(tar, file, kind)
            for path, (size, digest) in manifest.files.items():
                _take(tar, file, path, size, digest, beside)
        yield beside, manifest
        if home.exists():
            home.rmdir()
        beside.rename(home)
        sync(home.parent)
    except BaseException:
        shutil.rmtree(beside, ignore_errors=True)
        raise


def _paths(home: Path, leave: Callable[[PurePosixPath], bool]) -> list[str]:
    """What is copied, in its order."""
    found = []
    for folder, names, files in os.walk(home):
        at = PurePosixPath(Path(folder).relative_to(home).as_posix())
        names[:] = sorted(name for name in names if not name.startswith(".") and not leave(at / name))
        for name in files:
            path = Path(folder, name)
            if name.startswith(".") or name.endswith(SIDE_FILES) or leave(at / name):
                continue
            if path.is_file() and not path.is_symlink():
                found.append(str(at / name))
    # Indexes before what they name: files are made durable first and only then named.
    return sorted(found, key=lambda path: (not path.endswith(DATABASES), path))


def _add(tar: tarfile.TarFile, home: Path, path: str, copies: Path) -> tuple[int, str]:
    source = home / path
    if path.endswith(DATABASES):
        copy = copies / path.replace("/", "_")
        copy_database(source, copy)
        source = copy
    with source.open("rb") as stream:
        size = os.fstat(stream.fileno()).st_size  # what is appended meanwhile is left
        hashing = _Hashing(stream, size)
        tar.addfile(_info(path, size), hashing)
        return size, hashing.digest.hexdigest()


def copy_database(source: Path, copy: Path) -> None:
    """The database as it is at one moment, whoever writes into it; raises StateError where it is damaged."""
    try:
        # Read and write: a reader may have to finish what a crash left in the write-ahead log.
        before = sqlite3.connect(f"{source.absolute().as_uri()}?mode=rw", uri=True, timeout=60.0)
        after = sqlite3.connect(copy)
        try:
            before.backup(after)
            sound = after.execute("PRAGMA integrity_check(1)").fetchone() == ("ok",)
        finally:
            after.close()
            before.close()
    except sqlite3.DatabaseError as error:
        raise StateError(f"{source}: cannot be copied: it is damaged, or held by another process") from error
    if not sound:
        raise StateError(f"{source}: damaged: a backup of it would be of no use; restore an earlier one")


class _Hashing(io.RawIOBase):
    """At most `size` bytes of a stream, their digest taken on the way."""

    def __init__(self, stream: io.BufferedReader, size: int) -> None:
        self._stream, self._left = stream, size
        self.digest = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        data = self._stream.read(self._left if size < 0 else min(size, self._left))
        self._left -= len(data)
        self.digest.update(data)
        return data


def _put(tar: tarfile.TarFile, name: str, data: bytes) -> tuple[int, str]:
    tar.addfile(_info(name, len(data)), io.BytesIO(data))
    return len(data), hashlib.sha256(data).hexdigest()


def _info(name: str, size: int) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.size, info.mode = size, 0o600
    return info


@contextmanager
def _read(file: Path) -> Iterator[tarfile.TarFile]:
    try:
        with tarfile.open(file, "r:") as tar:
            yield tar
    except FileNotFoundError:
        raise UsageError(f"{file}: there is no such backup") from None
    except (tarfile.TarError, EOFError) as error:
        raise _damaged(file) from error


def _manifest(tar: tarfile.TarFile, file: Path, kind: str) -> Manifest:
    try:
        stream, seal = tar.extractfile(MANIFEST), tar.extractfile(SEAL)
        text = b"" if stream is None else stream.read()
        if seal is None or hashlib.sha256(text).hexdigest().encode() != seal.read():
            raise _damaged(file)
        values = json.loads(text)
        known = int(values["format"])
        manifest = Manifest(**values)
        files = {str(path): (int(size), str(digest)) for path, (size, digest) in manifest.files.items()}
    except (KeyError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise _damaged(file) from error
    if known > FORMAT:
        raise StateError(f"{file}: was made by Laennec {manifest.version}: restore it with that version")
    if manifest.kind != kind:
        raise UsageError(
            f"{file}: is the backup of a {manifest.kind}: restore it with `laennec {manifest.kind}`"
        )
    if any(PurePosixPath(path).is_absolute() or ".." in PurePosixPath(path).parts for path in files):
        raise _damaged(file)
    return Manifest(**(asdict(manifest) | {"files": files}))


def _take(tar: tarfile.TarFile, file: Path, path: str, size: int, digest: str, target: Path) -> None:
    """One file, written for its owner alone, durable."""
    place = target / path
    for folder in reversed(place.relative_to(target).parents[:-1]):
        (target / folder).mkdir(mode=0o700, exist_ok=True)
    try:
        stream = tar.extractfile(path)
    except KeyError as error:
        raise _damaged(file) from error
    if stream is None:
        raise _damaged(file)
    found, count = hashlib.sha256(), 0
    with os.fdopen(os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as copy:
        while data := stream.read(CHUNK):
            found.update(data)
            count += len(data)
            copy.write(data)
        copy.flush()
        os.fsync(copy.fileno())
    sync(place.parent)
    if (count, found.hexdigest()) != (size, digest):
        raise _damaged(file)


def _damaged(file: Path) -> StateError:
    return StateError(f"{file}: is no whole backup of Laennec, or was changed: use another one")
