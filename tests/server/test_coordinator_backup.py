"""A coordinator put back from a backup lets nobody in who was shut out since."""

from __future__ import annotations

import shutil
import tarfile
from pathlib import Path

import pytest

from ground.errors import StateError, UsageError
from server import backup
from server.home import CoordinatorHome


@pytest.fixture
def home(tmp_path: Path) -> CoordinatorHome:
    made = CoordinatorHome.begin(tmp_path / "home", "west", ["localhost"])
    made.invite("brest")
    made.registry.people.add("ada", "launch")
    return made


def put_back(home: CoordinatorHome, tmp_path: Path) -> CoordinatorHome:
    backup.save(home, tmp_path / "b.tar")
    shutil.rmtree(home.path)
    backup.restore(tmp_path / "b.tar", home.path)
    return CoordinatorHome.open(home.path)


def test_keys_registry_and_studies_come_back(home: CoordinatorHome, tmp_path: Path) -> None:
    (home.studies / "ab").mkdir()
    (home.studies / "ab" / "result.json").write_text("{}")
    (home.studies / "ab" / "run").write_text("7")
    (home.superlink / "state.db").write_bytes(b"")
    fingerprint = home.authority().fingerprint
    again = put_back(home, tmp_path)
    assert again.authority().fingerprint == fingerprint
    assert [each.hospital for each in again.registry.invitations.all()] == ["brest"]
    assert [each.name for each in (again.studies / "ab").iterdir()] == ["result.json"]
    assert list(again.superlink.iterdir()) == []  # messages under way are of another time


def test_it_does_not_start_until_somebody_speaks(home: CoordinatorHome, tmp_path: Path) -> None:
    backup.check(home.path)
    again = put_back(home, tmp_path)
    with pytest.raises(StateError, match="reopen"):
        backup.check(again.path)
    done = backup.reopen(again, ())
    backup.check(again.path)
    assert (done.withdrawn, done.people) == (("brest",), ("ada",))
    with pytest.raises(UsageError, match="is open"):
        backup.assess(again, ())


def test_unpacked_by_hand_it_does_not_start_either(home: CoordinatorHome, tmp_path: Path) -> None:
    backup.save(home, tmp_path / "b.tar")
    with tarfile.open(tmp_path / "b.tar") as tar:
        tar.extractall(tmp_path / "by-hand", filter="data")
    with pytest.raises(StateError, match="reopen"):
        backup.check(tmp_path / "by-hand")


def test_what_was_open_in_the_backup_is_not_open_again(home: CoordinatorHome, tmp_path: Path) -> None:
    """An invitation that was used since, and a token that was withdrawn since, open nothing."""
    invitation = home.invite("lyon")
    token = home.registry.people.add("ben", "watch")
    again = put_back(home, tmp_path)
    assert again.registry.invitations.hospital_of(invitation.number, invitation.token) == "lyon"
    assert again.registry.people.role_of(token) == "watch"
    backup.reopen(again, ())
    with pytest.raises(UsageError):
        again.registry.invitations.hospital_of(invitation.number, invitation.token)
    assert again.registry.people.role_of(token) is None


def test_killed_while_it_is_opened_it_is_closed_still(
    home: CoordinatorHome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    again = put_back(home, tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr(Path, "unlink", _killed)
        with pytest.raises(KeyboardInterrupt):
            backup.reopen(again, ())
    with pytest.raises(StateError):
        backup.check(again.path)
    backup.reopen(again, ())
    backup.check(again.path)


def _killed(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


def test_whom_nobody_knows_is_not_revoked(home: CoordinatorHome, tmp_path: Path) -> None:
    again = put_back(home, tmp_path)
    with pytest.raises(UsageError, match="no such hospital"):
        backup.assess(again, ("nobody",))


def test_backups_in_a_folder_are_dated_and_thinned(tmp_path: Path) -> None:
    from ground.dated import named, thin

    assert named(tmp_path / "b.tar", "hospital") == tmp_path / "b.tar"
    first = named(tmp_path, "hospital")
    assert first.parent == tmp_path
    assert first.name.startswith("hospital-20")
    dated = [tmp_path / f"hospital-2026-11-{day}T00-00-00Z.tar" for day in ("01", "02", "03")]
    for each in (*dated, tmp_path / "hospital-notes.tar", tmp_path / "coordinator-2026-11-01T00-00-00Z.tar"):
        each.touch()
    assert thin(tmp_path, "hospital", 2) == dated[:1]
    assert len(list(tmp_path.iterdir())) == 4
