"""The way to the coordinator: certificate, connection, clock."""

from __future__ import annotations

import socket
import ssl
import time
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http.client import HTTPException, HTTPSConnection

from client.doctor.check import Check
from client.home import FILE, SYSTEM, Home
from client.journal import Journal
from client.journal.lines import CLOCK_TOLERANCE
from ground.errors import UsageError

PATIENCE = 5.0  # seconds for a connection
FEW_DAYS = 21
JOIN = "`laennec hospital join INVITATION`"
# No clock that is right shows a time before this: when this module was written.
EARLIEST = datetime(2026, 11, 1, tzinfo=UTC)


def certificate(home: Home) -> Check:
    """Whether the coordinator's root certificate is there, and for how many days."""
    from cryptography import x509

    file = home.certificate
    if home.is_proven and file is None:
        said = f'"{SYSTEM}": whoever has a certificate of any authority that this machine trusts'
        return Check("certificate", True, f"{said} may vouch for the coordinator's name")
    if file is None:
        return Check(
            "certificate",
            False,
            "none is set: any machine could pass for the coordinator",
            f'put its PEM file into the home and set certificate = "FILE" in {FILE}, or {JOIN}',
        )
    try:
        found = x509.load_pem_x509_certificates(file.read_bytes())
    except (OSError, ValueError):
        return Check(
            "certificate", False, f"{file} is no certificate (PEM)", "ask the coordinator for it again"
        )
    return _days("certificate", min(each.not_valid_after_utc for each in found))


def coordinator(home: Home) -> Check:
    """Whether the coordinator answers, and proves who it is."""
    address = home.coordinator
    if address is None:
        return Check(
            "coordinator", False, "none is set", f'set coordinator = "HOST:PORT" in {FILE}, or {JOIN}'
        )
    host, port = _place(address)
    try:
        with socket.create_connection((host, port), PATIENCE) as plain:
            if not home.is_proven:
                return Check(
                    "coordinator",
                    False,
                    f"{address} answers, and nothing shows whose machine that is",
                    "set a certificate, as above: without one the node does not start",
                )
            with _context(home).wrap_socket(plain, server_hostname=host) as secured:
                version = secured.version()
    except ssl.SSLCertVerificationError as error:
        return Check(
            "coordinator",
            False,
            f"{address} shows a certificate that {_voucher(home)} not vouch for ({error.verify_message})",
            "ask the coordinator for its present certificate; until then nothing is sent",
        )
    except ssl.SSLError:
        return Check(
            "coordinator", False, f"{address} answers without TLS", "check the port, and ask the coordinator"
        )
    except OSError as error:
        return Check(
            "coordinator",
            False,
            f"{address} does not answer ({error.strerror or type(error).__name__})",
            "check the address, the firewall (outgoing TCP), and whether the coordinator runs",
        )
    proved = "proves who it is" if home.certificate else "is whom the system's authorities vouch for"
    return Check("coordinator", True, f"{address} answers and {proved} ({version})")


def clock(home: Home) -> Check:
    """Whether this machine's clock can be right: against the coordinator's certificate, else the journal."""
    now = datetime.now(UTC)
    if now < EARLIEST:
        return Check("clock", False, f"it is not {now:%Y-%m-%d}", "put the clock right (NTP)")
    last = max((line.time for line in Journal(home.path).last()), default=0.0)
    if time.time() < last - CLOCK_TOLERANCE:
        behind = last - time.time()
        return Check(
            "clock", False, f"{behind:.0f} s behind the journal's last line", "put the clock right (NTP)"
        )
    ahead = _ahead(home)
    if ahead is not None and abs(ahead) > CLOCK_TOLERANCE:
        where = "ahead of" if ahead > 0 else "behind"
        text = f"{abs(ahead):.0f} s {where} the coordinator's"
        return Check("clock", False, text, "put the clock right (NTP); if it is right, tell the coordinator")
    begins = _begins(home)
    if begins is not None and now < begins:
        return Check(
            "clock",
            False,
            f"by it the coordinator's certificate begins only at {begins:%Y-%m-%d %H:%M}",
            "put the clock right (NTP)",
        )
    beside = "the journal"
    if begins is not None:
        beside += " and the coordinator's " + ("certificate" if ahead is None else "clock")
    return Check("clock", True, f"{now:%Y-%m-%d %H:%M:%S} UTC, which agrees with {beside}")


def _ahead(home: Home) -> float | None:
    """How many seconds this clock is ahead of the coordinator's; None where it cannot be asked."""
    if home.coordinator is None or not home.is_proven:
        return None
    host, port = _place(home.coordinator)
    asked = HTTPSConnection(host, port, timeout=PATIENCE, context=_context(home))
    try:
        asked.request("HEAD", "/")
        said = asked.getresponse().headers["date"]
        return time.time() - parsedate_to_datetime(said).timestamp()
    except (OSError, HTTPException, ValueError, TypeError, UsageError):
        return None
    finally:
        asked.close()


def _begins(home: Home) -> datetime | None:
    """From when on the certificate that the coordinator shows is valid; None where it shows none."""
    from cryptography import x509

    if home.coordinator is None or not home.is_proven:
        return None
    context = _context(home)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # only read here; `coordinator` holds it against the root
    host, port = _place(home.coordinator)
    try:
        with socket.create_connection((host, port), PATIENCE) as plain, context.wrap_socket(plain) as secured:
            shown = secured.getpeercert(binary_form=True)
    except OSError:
        return None
    return None if shown is None else x509.load_der_x509_certificate(shown).not_valid_before_utc


def _context(home: Home) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=home.certificate)
    except (OSError, ssl.SSLError):
        raise UsageError("its root certificate cannot be read: see the line above") from None
    return context


def _voucher(home: Home) -> str:
    return "yours does" if home.certificate else "the system's authorities do"


def _place(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)


def _days(name: str, until: datetime) -> Check:
    left = (until - datetime.now(UTC)).days
    text = f"valid until {until:%Y-%m-%d}, {left} days left" if left >= 0 else f"expired on {until:%Y-%m-%d}"
    todo = (
        "" if left >= FEW_DAYS else "ask the coordinator for its next certificate now; put it into the home"
    )
    return Check(name, left >= FEW_DAYS, text, todo)
