from __future__ import annotations

import multiprocessing
import os
import signal
import sqlite3
import stat
import threading
import time
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from ground.errors import StateError, UsageError
from server.authority import Authority
from server.registry import Registry, schema, store

DAY = 86400.0
AUTHORITY = Authority.new("alpes")


def joined(registry: Registry, name: str, days: float = 90.0) -> None:
    key = ec.generate_private_key(ec.SECP384R1()).public_key()
    identity = name.encode().hex().ljust(64, "0")
    number, token, _ = registry.invitations.make(name, DAY)
    pem = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    lasts = timedelta(days=days)
    registry.invitations.use(
        number, token, identity, pem, lambda _: AUTHORITY.for_hospital(name, identity, key, lasts).decode()
    )


def again(registry: Registry, name: str, days: float) -> None:
    """Another certificate for the same key."""
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    hospital = registry.hospitals.get(name)
    key = load_pem_public_key(hospital.key)
    assert isinstance(key, ec.EllipticCurvePublicKey)
    made = AUTHORITY.for_hospital(name, hospital.identity, key, timedelta(days=days)).decode()
    registry.hospitals.renew(hospital, made)


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry.begin(tmp_path / "registry.sqlite")


def members(registry: Registry) -> list[str]:
    return [each.name for each in registry.hospitals.members()]


def test_a_member_is_one_until_its_certificate_ends(registry: Registry) -> None:
    joined(registry, "brest", days=30)
    joined(registry, "lyon", days=90)
    assert members(registry) == ["brest", "lyon"]
    registry.store.now = lambda: time.time() + 31 * DAY
    assert members(registry) == ["lyon"]
    assert [each.state for each in registry.hospitals.all()] == ["expired", "member"]
    assert registry.hospitals.of_serial(registry.hospitals.get("brest").serial) is None


def test_a_renewed_certificate_carries_the_membership_on(registry: Registry) -> None:
    joined(registry, "brest", days=30)
    old = registry.hospitals.get("brest").serial
    again(registry, "brest", days=60)
    assert registry.hospitals.of_serial(old) is not None  # until its own end: the answer may have been lost
    registry.store.now = lambda: time.time() + 31 * DAY
    assert members(registry) == ["brest"]
    assert registry.hospitals.of_serial(old) is None


def test_revoking_one_ends_all_its_certificates_and_touches_nobody_else(registry: Registry) -> None:
    for name in ("brest", "lyon"):
        joined(registry, name)
    before = registry.hospitals.get("lyon")
    again(registry, "brest", days=60)
    serial = registry.hospitals.get("brest").serial
    ended = registry.hospitals.revoke("brest", "left the study")
    assert (ended.state, ended.why) == ("revoked", "left the study")
    assert registry.hospitals.of_serial(serial) is None
    assert members(registry) == ["lyon"]
    assert registry.hospitals.get("lyon") == before
    with pytest.raises(UsageError, match="brest: was revoked already"):
        registry.hospitals.revoke("brest")


def test_a_renewal_under_way_does_not_undo_a_revocation(registry: Registry) -> None:
    joined(registry, "brest")
    hospital = registry.hospitals.get("brest")  # as the renewal has read it
    registry.hospitals.revoke("brest")
    with pytest.raises(UsageError, match="brest: was revoked"):
        registry.hospitals.renew(hospital, hospital.certificate)
    assert members(registry) == []


def test_an_invitation_ends_with_the_membership(registry: Registry) -> None:
    joined(registry, "brest")
    number, token, _ = registry.invitations.make("brest", DAY, replaces=True)
    registry.hospitals.revoke("brest")
    with pytest.raises(UsageError, match="no such invitation"):
        registry.invitations.hospital_of(number, token)


def test_nobody_is_no_hospital(registry: Registry) -> None:
    with pytest.raises(UsageError, match="no such hospital: `laennec coordinator hospitals` lists them"):
        registry.hospitals.revoke("nobody")


def test_people_have_a_role_by_their_token(registry: Registry) -> None:
    tokens = {role: registry.people.add(f"may {role}", role) for role in ("launch", "watch")}
    for role, token in tokens.items():
        assert registry.people.role_of(token) == role
    assert registry.people.role_of("") is None
    assert registry.people.role_of(tokens["watch"] + "x") is None
    assert registry.people.of(tokens["watch"]).name == "may watch"


def test_another_token_ends_the_one_before_and_a_person_can_be_taken_out(registry: Registry) -> None:
    first = registry.people.add("ada", "launch")
    second = registry.people.add("ada", "watch")
    assert registry.people.role_of(first) is None
    assert registry.people.role_of(second) == "watch"
    assert [(each.name, each.role) for each in registry.people.all()] == [("ada", "watch")]
    registry.people.remove("ada")
    assert registry.people.role_of(second) is None
    with pytest.raises(UsageError, match="ada: no such person"):
        registry.people.remove("ada")


@pytest.mark.parametrize(
    ("name", "role"), [("", "watch"), ("a\nb", "watch"), ("x" * 65, "watch"), ("ada", "admin")]
)
def test_a_person_without_a_name_or_with_a_role_that_there_is_not_is_refused(
    registry: Registry, name: str, role: str
) -> None:
    with pytest.raises(UsageError):
        registry.people.add(name, role)  # type: ignore[arg-type]


def test_the_file_is_its_owner_s_alone_and_durable(registry: Registry) -> None:
    assert stat.S_IMODE(registry.store.path.stat().st_mode) == 0o600
    with registry.store.writing() as connection:
        assert connection.execute("PRAGMA synchronous").fetchone()[0] == 2  # FULL
        assert connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal"


def test_a_change_is_whole_or_not_at_all(registry: Registry) -> None:
    def breaks() -> None:
        with registry.store.writing() as connection:
            connection.execute("INSERT INTO person VALUES ('ada', 'watch', x'00', 0)")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        breaks()
    assert registry.people.all() == ()


def add_for_ever(path: str, ready: object) -> None:
    registry = Registry.open(Path(path))
    for number in range(10_000):
        registry.people.add(f"person {number}", "watch")
        ready.set()  # type: ignore[attr-defined]


def test_a_process_that_is_killed_while_it_writes_leaves_a_whole_registry(registry: Registry) -> None:
    spawn = multiprocessing.get_context("spawn")
    ready = spawn.Event()
    writer = spawn.Process(target=add_for_ever, args=(str(registry.store.path), ready))
    writer.start()
    assert ready.wait(60)
    time.sleep(0.2)
    assert writer.pid is not None
    os.kill(writer.pid, signal.SIGKILL)
    writer.join()
    people = registry.people.all()
    assert people
    with registry.store.reading() as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
    assert registry.people.add("one more", "watch")


def test_writers_wait_for_each_other(registry: Registry) -> None:
    threads = [
        threading.Thread(target=registry.people.add, args=(f"person {number}", "watch"))
        for number in range(12)
    ]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert len(registry.people.all()) == 12


def test_a_registry_of_a_later_version_is_left_alone(registry: Registry) -> None:
    with sqlite3.connect(registry.store.path) as connection:
        connection.execute(f"PRAGMA user_version = {len(schema.STEPS) + 1}")
    connection.close()
    with pytest.raises(StateError, match="written by a later version of Laennec"):
        registry.people.all()


def test_a_registry_of_an_earlier_version_takes_the_steps_that_it_lacks(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry.people.add("ada", "watch")
    more = "CREATE TABLE more (name TEXT) STRICT; -- why\nINSERT INTO more VALUES ('new');"
    monkeypatch.setattr(store, "STEPS", (*schema.STEPS, more))
    with registry.store.reading() as connection:
        assert connection.execute("SELECT name FROM more").fetchone()[0] == "new"
    assert [each.name for each in registry.people.all()] == ["ada"]


def test_a_step_that_fails_leaves_the_file_as_it_was(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(
            store,
            "STEPS",
            (*schema.STEPS, "CREATE TABLE more (name TEXT) STRICT;\nINSERT INTO none VALUES (1);"),
        )
        with pytest.raises(StateError, match="no such table"):
            registry.people.all()
    with registry.store.reading() as connection:
        tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_master")}
    assert "more" not in tables


@pytest.mark.parametrize("content", [b"not a database at all", b""])
def test_a_damaged_or_missing_registry_is_one_line(registry: Registry, content: bytes) -> None:
    for beside in registry.store.path.parent.glob("registry.sqlite-*"):
        beside.unlink()
    if content:
        registry.store.path.write_bytes(content * 100)
    else:
        registry.store.path.unlink()
    with pytest.raises((StateError, UsageError)) as error:
        registry.people.all()
    assert len(str(error.value).splitlines()) == 1
