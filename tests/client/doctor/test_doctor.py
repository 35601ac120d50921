"""Each check on a home in which just that is wrong."""

from __future__ import annotations

import re
import shutil
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from client import approval
from client.doctor import CHECKS, Check, examine, machine, network
from client.home import FILE, Home
from client.journal import Journal
from client.ledger import BOOK, Ledger
from ground.signing import new_private
from privacy.accountant import Event
from tasks.study import parse

STUDY = parse('name = "short"\ntask = "heart-disease"\nrounds = 2\n')


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return Home.begin(tmp_path / "home", "brest").path


def check(home: Path, name: str) -> Check:
    found = CHECKS[name](Home.open(home))
    assert found.name == name
    assert found.good or found.todo
    assert "\n" not in found.text + found.todo
    return found


def write(home: Path, *lines: str) -> None:
    (home / FILE).write_text("\n".join(['name = "brest"', *lines]) + "\n")


def test_a_new_home_lacks_only_what_nobody_could_have_guessed(home: Path) -> None:
    found = {each.name: each.good for each in examine(home)}
    assert set(found) == {"settings", *CHECKS}
    assert {name for name, good in found.items() if not good} == {
        "archive",
        "budget",
        "certificate",
        "coordinator",
    }


def test_examining_changes_nothing(home: Path) -> None:
    def seen() -> dict[str, bytes]:
        return {file.name: file.read_bytes() for file in home.iterdir() if file.is_file()}

    before = seen()
    examine(home)
    assert seen() == before


def test_where_settings_are_wrong_nothing_else_is_asked(home: Path) -> None:
    (home / FILE).write_text("nam = 1")
    [found] = examine(home)
    assert (found.name, found.good) == ("settings", False)


def test_a_check_that_falls_over_is_bad_news_and_stops_no_other(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: Home) -> Check:
        raise RuntimeError("M. Dupont, 1 rue de Siam")

    monkeypatch.setitem(CHECKS, "disk", broken)
    found = {each.name: each for each in examine(home)}
    assert found["disk"].good is False
    assert "Dupont" not in found["disk"].text
    assert found["journal"].good


@pytest.mark.parametrize(("name", "mode"), [("", 0o755), ("identity", 0o644), ("identity", 0o640)])
def test_a_home_that_others_may_read_is_bad(home: Path, name: str, mode: int) -> None:
    assert check(home, "permissions").good
    (home / name).chmod(mode)
    assert check(home, "permissions").todo.startswith("chmod ")


def test_another_identity_than_the_journal_s_is_bad(home: Path) -> None:
    assert check(home, "identity").good
    (home / "identity").write_bytes(new_private())
    assert "not the one with which this home was made" in check(home, "identity").text


def test_versions_are_held_against_what_is_asked_for(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert check(home, "versions").good
    real = machine._installed
    monkeypatch.setattr(machine, "_installed", lambda name: "0.1" if name == "flwr" else real(name))
    assert "flwr 0.1" in check(home, "versions").text
    monkeypatch.setattr(machine, "_installed", lambda name: None if name == "opacus" else real(name))
    assert "opacus is missing" in check(home, "versions").text


def test_a_disk_that_is_nearly_full_is_bad(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        machine.shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**12, 10**12, 10**9)
    )
    assert check(home, "disk").good is False


def test_a_budget_is_asked_for_and_bad_once_it_is_used_up(home: Path) -> None:
    assert "no limit" in check(home, "budget").text
    with Ledger(home / BOOK) as ledger:
        ledger.set_budget("brest", 1.0, 1e-5)
    assert check(home, "budget").good
    with Ledger(home / BOOK) as ledger:
        ledger.reserve("brest", STUDY.digest, 0, Event(1.0, 6.0))
        ledger.set_budget("brest", 0.1, 1e-5)
    assert "nothing more fits" in check(home, "budget").todo


@pytest.mark.parametrize(("name", "file"), [("ledger", BOOK), ("journal", "journal.jsonl")])
def test_a_book_that_was_damaged_is_bad(home: Path, name: str, file: str) -> None:
    with Ledger(home / BOOK) as ledger:
        ledger.set_budget("brest", 1.0, 1e-5)
    assert {each.name: each.good for each in examine(home)}[name]
    content = bytearray((home / file).read_bytes())
    content[len(content) // 2] ^= 255
    content[-3] ^= 1
    (home / file).write_bytes(content)
    found = {each.name: each for each in examine(home)}[name]
    assert found.good is False
    assert "backup" in found.todo + found.text


def test_a_clock_that_was_set_back_is_said_of_the_journal(home: Path) -> None:
    Journal(home, now=lambda: time.time() + 5000).write("node", "start")
    assert check(home, "clock").good is False
    Journal(home).write("node", "stop")
    assert "the clock was set back before line 4" in check(home, "journal").text


def test_a_clock_of_the_last_century_is_bad(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network, "EARLIEST", datetime.now(UTC) + timedelta(days=1))
    assert "put the clock right" in check(home, "clock").todo


def test_a_changed_approval_is_bad(home: Path) -> None:
    approval.approve(Home.open(home), STUDY, "ada")
    assert check(home, "approvals").text.startswith("1 in force")
    file = home / "approvals" / f"{STUDY.digest}.json"
    file.write_text(file.read_text().replace("ada", "eve"))
    assert "approves nothing" in check(home, "approvals").text


def test_an_archive_that_was_damaged_is_bad(home: Path) -> None:
    (home / "archive").mkdir()
    (home / "archive" / "index.sqlite").write_bytes(b"no database" * 100)
    assert {each.name: each.good for each in examine(home)}["archive"] is False


# The coordinator.


def certificate(folder: Path, name: str, *, begins: timedelta, days: int) -> Path:
    """A self-signed certificate for localhost, and its key beside it."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now + begins)
        .not_valid_after(now + begins + timedelta(days=days, minutes=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / f"{name}.key").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    (folder / f"{name}.pem").write_bytes(made.public_bytes(Encoding.PEM))
    return folder / f"{name}.pem"


class Listening:
    """A coordinator that shakes hands and says no more; with None for a certificate it does not even that."""

    def __init__(self, shown: Path | None) -> None:
        self.socket = socket.create_server(("localhost", 0))
        self.port = self.socket.getsockname()[1]
        self.date = "Content-Length: 0"
        self.context: ssl.SSLContext | None = None
        if shown is not None:
            self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.context.load_cert_chain(shown, shown.with_suffix(".key"))
        self.thread = threading.Thread(target=self.serve, daemon=True)  # a test that fails ends all the same
        self.thread.start()

    def serve(self) -> None:
        while True:
            try:
                accepted, _ = self.socket.accept()
            except OSError:
                return
            with accepted:
                try:
                    if self.context is None:
                        accepted.sendall(b"220 hello\r\n")
                        accepted.recv(1000)
                    else:
                        with self.context.wrap_socket(accepted, server_side=True) as secured:
                            if secured.recv(1000):
                                secured.sendall(f"HTTP/1.1 404 No\r\n{self.date}\r\n\r\n".encode())
                except OSError:
                    pass

    def close(self) -> None:
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
        self.thread.join()


@pytest.fixture
def listening(home: Path) -> Iterator[Listening]:
    coordinator = Listening(certificate(home, "root", begins=timedelta(days=-1), days=90))
    write(home, f'coordinator = "localhost:{coordinator.port}"', 'certificate = "root.pem"')
    yield coordinator
    coordinator.close()


def test_a_coordinator_that_proves_who_it_is_is_good(home: Path, listening: Listening) -> None:
    found = {name: check(home, name) for name in ("certificate", "coordinator", "clock")}
    assert all(each.good for each in found.values())
    assert "89 days left" in found["certificate"].text
    assert f"localhost:{listening.port} answers and proves who it is" in found["coordinator"].text
    assert "the coordinator's certificate" in found["clock"].text


@pytest.mark.parametrize(("seconds", "said"), [(0, ""), (900, "900 s behind"), (-900, "900 s ahead of")])
def test_a_clock_is_held_against_the_coordinator_s(
    home: Path, listening: Listening, seconds: int, said: str
) -> None:
    listening.date = f"Date: {format_datetime(datetime.now(UTC) + timedelta(seconds=seconds), usegmt=True)}"
    found = check(home, "clock")
    assert found.good == (seconds == 0)
    assert said[4:] in found.text
    assert (
        abs(int(re.sub(r" s .*", "", found.text)) - 900) < 5 if said else "coordinator's clock" in found.text
    )


@pytest.mark.usefixtures("listening")
def test_a_coordinator_with_another_certificate_is_bad(home: Path) -> None:
    certificate(home, "root", begins=timedelta(days=-1), days=90)
    assert "shows a certificate that yours does not vouch for" in check(home, "coordinator").text


def test_a_coordinator_without_tls_is_bad(home: Path) -> None:
    certificate(home, "root", begins=timedelta(days=-1), days=90)
    plain = Listening(None)
    write(home, f'coordinator = "localhost:{plain.port}"', 'certificate = "root.pem"')
    assert "answers without TLS" in check(home, "coordinator").text
    write(home, f'coordinator = "localhost:{plain.port}"')
    found = check(home, "coordinator")
    assert (found.good, "nothing shows whose machine that is" in found.text) == (False, True)
    plain.close()


@pytest.mark.usefixtures("listening")
def test_the_system_s_authorities_are_trusted_only_where_that_is_spelled_out(home: Path) -> None:
    assert "any machine could pass" in check(Home.begin(home / "other", "lyon").path, "certificate").text
    write(home, *(home / FILE).read_text().splitlines()[1:2], 'certificate = "system"')
    found = check(home, "certificate")
    assert (found.good, "any authority that this machine trusts" in found.text) == (True, True)
    found = check(home, "coordinator")  # which shows a certificate of its own making
    assert (found.good, "the system's authorities do not vouch for" in found.text) == (False, True)


def test_a_coordinator_that_is_away_is_bad(home: Path) -> None:
    with socket.create_server(("localhost", 0)) as free:
        port = free.getsockname()[1]
    write(home, f'coordinator = "localhost:{port}"')
    assert "does not answer" in check(home, "coordinator").text


@pytest.mark.parametrize(
    ("days", "good", "said"), [(30, True, "30 days"), (10, False, "10 days"), (-5, False, "expired")]
)
def test_a_certificate_that_ends_soon_is_bad_while_there_is_time(
    home: Path, days: int, good: bool, said: str
) -> None:
    certificate(home, "root", begins=timedelta(days=-40), days=40 + days)
    write(home, 'certificate = "root.pem"')
    found = check(home, "certificate")
    assert (found.good, said in found.text) == (good, True)


@pytest.mark.parametrize("text", [None, "no certificate"])
def test_a_certificate_that_is_none_is_bad(home: Path, text: str | None) -> None:
    write(home, 'certificate = "root.pem"')
    if text is not None:
        (home / "root.pem").write_text(text)
    assert "is no certificate" in check(home, "certificate").text


def test_a_clock_before_the_coordinator_s_certificate_is_bad(home: Path) -> None:
    ahead = Listening(certificate(home, "root", begins=timedelta(days=2), days=90))
    write(home, f'coordinator = "localhost:{ahead.port}"', 'certificate = "root.pem"')
    assert "begins only at" in check(home, "clock").text
    ahead.close()
