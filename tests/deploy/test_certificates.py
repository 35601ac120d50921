from __future__ import annotations

import socket
import ssl
import stat
import threading
from pathlib import Path

import pytest

from deploy.certificates import Certificates, make
from ground.errors import UsageError


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
