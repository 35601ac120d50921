"""The page as a process: where it listens, what it leaves on the disk, how it ends."""

from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from client.home import Home
from client.page.server import link_of, listening, show
from ground.errors import UsageError

LAENNEC = str(Path(sys.executable).parent / "laennec")


EVERYWHERE = "0.0.0.0"  # noqa: S104 - to see it refused


@pytest.mark.parametrize(
    "host", [EVERYWHERE, "::", "10.0.0.1", "192.168.1.4", "169.254.1.1", "example.org", "localhost", ""]
)
def test_another_address_than_loopback_is_refused(host: str):
    with pytest.raises(UsageError, match="for this machine alone"):
        listening(host)


def test_loopback_is_listened_on():
    with listening() as bound:
        assert bound.getsockname()[0] == "127.0.0.1"
        with pytest.raises(UsageError, match="give another --port"):
            listening(port=bound.getsockname()[1])


@contextmanager
def served(home: Path, *options: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    command = [LAENNEC, "hospital", "page", "--home", str(home), "--no-open", *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        until = time.monotonic() + 120
        while (link := link_of(home)) is None and process.poll() is None and time.monotonic() < until:
            time.sleep(0.1)
        assert link is not None, process.communicate()[0]
        yield process, link
    finally:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def other_addresses() -> list[str]:
    """Those of this machine that are not loopback."""
    found = {info[4][0] for info in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)}
    return sorted(str(each) for each in found if not str(each).startswith("127."))


@pytest.mark.slow
def test_it_is_served_on_this_machine_alone_and_ends_cleanly(home: Home):
    with served(home.path) as (process, link):
        folder = home.path / "page"
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        for name in ("link", "open.html"):
            assert stat.S_IMODE((folder / name).stat().st_mode) == 0o600
        assert link in (folder / "open.html").read_text()
        arguments = Path(f"/proc/{process.pid}/cmdline")
        if arguments.exists():
            assert "token" not in arguments.read_text()
        root, port = link.partition("/enter")[0], int(link.split(":")[2].partition("/")[0])
        for address in other_addresses():
            with pytest.raises((ConnectionError, TimeoutError)):
                socket.create_connection((address, port), 1).close()
        with httpx.Client(base_url=root) as client:
            assert client.get("/").status_code == 403
            assert client.get(link).status_code == 200
            answer = client.get("/")
            assert answer.status_code == 200
            assert home.name in answer.text
            assert "server" not in answer.headers
        assert link_of(home.path) not in (None, link)
        again = subprocess.run(
            [LAENNEC, "hospital", "page", "--home", str(home.path), "--no-open"],
            capture_output=True, text=True, timeout=60, check=True,
        )  # fmt: skip
        assert str(link_of(home.path)) in again.stdout
        ended(process, signal.SIGTERM, folder)
    assert link_of(home.path) is None


def ended(process: subprocess.Popen[str], how: signal.Signals, folder: Path) -> None:
    process.send_signal(how)
    shown = process.communicate(timeout=30)[0]
    assert process.returncode == 0
    assert "The page is closed." in shown
    assert "Traceback" not in shown
    assert sorted(each.name for each in folder.iterdir()) == [".lock"]


@pytest.mark.slow
def test_after_a_kill_it_opens_again_under_another_link_and_ctrl_c_ends_it(home: Home):
    with served(home.path) as (process, link):
        process.kill()
        process.communicate()
    assert link_of(home.path) is None
    with served(home.path) as (process, fresh):
        assert fresh != link
        ended(process, signal.SIGINT, home.path / "page")


def test_where_there_is_no_home_it_says_so(tmp_path: Path):
    command = [LAENNEC, "hospital", "page", "--home", str(tmp_path), "--no-open"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert "is no hospital's home" in done.stderr


def test_without_a_screen_no_browser_is_opened(home: Home, monkeypatch: pytest.MonkeyPatch):
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", lambda link: opened.append(link) or True)
    monkeypatch.setattr(sys, "platform", "linux")
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    assert not show(home.path)
    monkeypatch.setenv("DISPLAY", ":0")
    assert show(home.path)
    assert opened == [(home.path / "page" / "open.html").as_uri()]
    assert os.environ["DISPLAY"] == ":0"
