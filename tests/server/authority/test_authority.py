from __future__ import annotations

import socket
import ssl
import stat
import threading
import time
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from ground.errors import StateError, UsageError
from server.authority import Authority, Certificates, Leaf, facts_of, make
from server.authority.authority import private_pem


def shake_hands(served: Certificates, trusted: Path, name: str) -> None:
    """One TLS handshake over a pair of sockets; raises SSLError where the client does not believe."""
    server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context(cafile=str(trusted))
    server.load_cert_chain(served.certificate, served.key)
    left, right = socket.socketpair()

    def serve() -> None:
        try:
            server.wrap_socket(left, server_side=True).close()
        except OSError:
            left.close()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        client.wrap_socket(right, server_hostname=name).close()
    finally:
        right.close()
        thread.join()


def test_a_node_believes_its_own_coordinator_and_no_other(tmp_path: Path) -> None:
    mine = make(tmp_path / "mine", ["127.0.0.1", "localhost"], days=1)
    other = make(tmp_path / "other", ["127.0.0.1"], days=1)
    for name in ("127.0.0.1", "localhost"):
        shake_hands(mine, mine.authority, name)
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(other, mine.authority, "127.0.0.1")
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(mine, mine.authority, "elsewhere.example.org")


def test_the_private_key_is_the_owners_alone(tmp_path: Path) -> None:
    made = make(tmp_path, ["localhost"], days=1)
    assert stat.S_IMODE(made.key.stat().st_mode) == 0o600


@pytest.mark.parametrize(("names", "days"), [([], 1), (["localhost"], 0)])
def test_a_certificate_for_nobody_or_for_no_time_is_wrong_use(
    tmp_path: Path, names: list[str], days: int
) -> None:
    with pytest.raises(UsageError):
        make(tmp_path, names, days)


def test_the_authority_is_made_once_and_read_again(tmp_path: Path) -> None:
    made = Authority.begin(tmp_path, "alpes")
    assert Authority.begin(tmp_path, "alpes").fingerprint == made.fingerprint
    assert Authority.open(tmp_path).fingerprint == made.fingerprint
    assert stat.S_IMODE((tmp_path / "authority.key").stat().st_mode) == 0o600


@pytest.mark.parametrize("file", ["authority.key", "authority.pem"])
def test_a_damaged_authority_is_said_to_be_damaged(tmp_path: Path, file: str) -> None:
    Authority.begin(tmp_path, "alpes")
    (tmp_path / file).write_text("no more")
    with pytest.raises(StateError, match="restore this folder from a backup"):
        Authority.open(tmp_path)


def test_key_and_certificate_of_two_authorities_are_noticed(tmp_path: Path) -> None:
    Authority.begin(tmp_path / "one", "alpes")
    Authority.begin(tmp_path / "two", "alpes")
    (tmp_path / "one" / "authority.pem").write_bytes((tmp_path / "two" / "authority.pem").read_bytes())
    with pytest.raises(StateError, match="not of one authority"):
        Authority.open(tmp_path / "one")


def test_a_hospital_s_certificate_serves_no_server(tmp_path: Path) -> None:
    """Else a member could pass for the coordinator before the others."""
    authority = Authority.begin(tmp_path / "authority", "alpes")
    key = ec.generate_private_key(ec.SECP384R1())
    made = Certificates(tmp_path / "authority" / "authority.pem", tmp_path / "its.pem", tmp_path / "its.key")
    made.key.write_bytes(private_pem(key))
    made.certificate.write_bytes(
        authority.for_hospital("localhost", "ab" * 32, key.public_key(), timedelta(days=1))
    )
    with pytest.raises(ssl.SSLCertVerificationError, match="unsuitable certificate purpose"):
        shake_hands(made, made.authority, "localhost")
    made.certificate.write_bytes(
        authority.for_coordinator(["localhost"], key.public_key(), timedelta(days=1))
    )
    shake_hands(made, made.authority, "localhost")  # the purpose alone was in the way


def test_nothing_that_is_signed_outlives_the_authority() -> None:
    authority = Authority.new("alpes", timedelta(days=3))
    key = ec.generate_private_key(ec.SECP384R1()).public_key()
    assert facts_of(authority.for_coordinator(["localhost"], key, timedelta(days=90))).until == pytest.approx(
        facts_of(authority.pem).until
    )


def leaf(folder: Path) -> Leaf:
    return Leaf(folder / "certificates", folder / "authority.pem")


@pytest.mark.parametrize(("days", "renewed"), [(0, False), (59, False), (61, True), (400, True)])
def test_the_coordinator_s_own_certificate_is_renewed_in_time(
    tmp_path: Path, days: int, renewed: bool
) -> None:
    authority, names, lasts = (
        Authority.begin(tmp_path, "alpes"),
        ["localhost", "127.0.0.1"],
        timedelta(days=90),
    )
    mine = leaf(tmp_path)
    assert mine.renew(lambda: authority, names, lasts)
    before, key = mine.files.certificate.read_bytes(), mine.files.key.read_bytes()
    assert mine.renew(lambda: authority, names, lasts, now=time.time() + days * 86400) == renewed
    assert (mine.files.certificate.read_bytes() != before) == renewed
    assert mine.files.key.read_bytes() == key
    shake_hands(mine.files, mine.files.authority, "localhost")


def test_another_host_name_is_taken_up_at_once(tmp_path: Path) -> None:
    authority, lasts = Authority.begin(tmp_path, "alpes"), timedelta(days=90)
    assert leaf(tmp_path).renew(lambda: authority, ["localhost"], lasts)
    assert leaf(tmp_path).renew(lambda: authority, ["localhost", "127.0.0.1"], lasts)
    assert not leaf(tmp_path).renew(lambda: authority, ["127.0.0.1", "localhost"], lasts)
    shake_hands(leaf(tmp_path).files, tmp_path / "authority.pem", "127.0.0.1")
