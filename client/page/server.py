"""Serves the page on this machine alone: the socket, the link's file, the browser.

HOME/page/link holds the link that works next, and HOME/page/open.html leads a browser there, so that the
token stands in no command line that others on the machine could read. Both are the owner's alone.
"""

from __future__ import annotations

import ipaddress
import os
import signal
import socket
import sys
import webbrowser
from collections.abc import Callable
from contextlib import ExitStack, nullcontext
from pathlib import Path

from ground.errors import StateError, UsageError
from ground.files import locked, write_atomically

LOOPBACK = "127.0.0.1"
FOLDER = "page"
_LEAD = """<!DOCTYPE html>
<html lang="en"><meta charset="utf-8"><title>Laennec</title><meta name="referrer" content="no-referrer">
<meta http-equiv="refresh" content="0; url={link}"><a href="{link}">Open the hospital's page</a></html>
"""


def listening(host: str = LOOPBACK, port: int = 0) -> socket.socket:
    """A socket on a loopback address; port 0 is any free one. Raises UsageError for any other address."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        address = None
    if address is None or not address.is_loopback:
        raise UsageError(
            f"{host}: the page is for this machine alone, at {LOOPBACK}: from another one, use "
            "`ssh -L PORT:127.0.0.1:PORT` with the same port on both sides"
        )
    made = socket.socket(socket.AF_INET6 if address.version == 6 else socket.AF_INET)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((host, port))
        made.listen(64)
    except (OSError, OverflowError) as error:
        made.close()
        raise UsageError(f"port {port} of this machine cannot be used: give another --port") from error
    return made


def link_of(home: Path) -> str | None:
    """The link of the page that runs for this home; None where none runs."""
    try:
        with locked(home / FOLDER / ".lock", 0.0, "runs"):
            return None
    except StateError:
        try:
            return (home / FOLDER / "link").read_text(encoding="utf-8").strip() or None
        except OSError:
            return None


def serve(home: Path, port: int = 0, linked: Callable[[str], None] = lambda _: None) -> None:
    """Serve the page of that home until SIGTERM or Ctrl-C; `linked` is told each link that works next.

    Raises UsageError where there is no home or the port cannot be used, StateError where it runs already.
    """
    import uvicorn

    from client.home import Home
    from client.page.app import make_app
    from client.page.visits import Visits

    opened = Home.open(home)
    folder = home / FOLDER
    folder.mkdir(mode=0o700, exist_ok=True)
    folder.chmod(0o700)
    with ExitStack() as stack:
        stack.enter_context(locked(folder / ".lock", 0.0, f"{home}: its page is open already: use its link"))
        _forget(folder)  # what a killed one left
        bound = stack.enter_context(listening(LOOPBACK, port))
        root = f"http://{LOOPBACK}:{bound.getsockname()[1]}"
        stack.callback(_forget, folder)

        def note(token: str) -> None:
            link = f"{root}/enter?token={token}"
            write_atomically(folder / "open.html", _LEAD.format(link=link))
            write_atomically(folder / "link", f"{link}\n")
            linked(link)

        visits = Visits(note)
        app = make_app(opened, visits, bound.getsockname()[1])
        settings = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            lifespan="off",
            ws="none",
            http="h11",
            limit_concurrency=64,
            timeout_keep_alive=5,
            timeout_graceful_shutdown=3,
        )
        server = uvicorn.Server(settings)
        # Its own handlers would end the process before the link is taken away.
        server.capture_signals = nullcontext  # type: ignore[method-assign, assignment]
        for each in (signal.SIGINT, signal.SIGTERM):
            signal.signal(each, lambda *_: setattr(server, "should_exit", True))
        note(visits.token)  # who reads the link may well end it at once
        server.run(sockets=[bound])


def show(home: Path) -> bool:
    """Open the running page in this person's browser; False where there is no screen to open one on."""
    if sys.platform == "linux" and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        return False  # what would open is a text browser, over this very terminal
    return webbrowser.open((home / FOLDER / "open.html").absolute().as_uri())


def _forget(folder: Path) -> None:
    for name in ("link", "open.html"):
        (folder / name).unlink(missing_ok=True)
