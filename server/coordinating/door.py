"""The front door in a thread of the coordinator's process."""

from __future__ import annotations

import logging
import socket
import threading
import time

from ground.errors import UsageError
from server.home import CoordinatorHome

log = logging.getLogger("coordinator")
FREE_WITHIN = 15.0  # seconds: a coordinator that was killed has just left the port
AGAIN = 5.0
ENDS_WITHIN = 10.0


class Door:
    """Serves from when it is made until `stop`; raises UsageError where its port is taken."""

    def __init__(self, home: CoordinatorHome) -> None:
        import uvicorn

        from server.door.serving import config

        self._home, self._config = home, config(home)
        self._socket = listen(home.written.listen, self._config.port, "door")
        self._server = uvicorn.Server(self._config)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="door", daemon=True)
        self._thread.start()

    @property
    def open(self) -> bool:
        """Whether it lets people in."""
        return self._server.started and self._thread.is_alive()

    def stop(self) -> None:
        """Close it."""
        self._stopping.set()
        self._server.should_exit = True
        self._thread.join(ENDS_WITHIN)
        self._socket.close()

    def _serve(self) -> None:
        import uvicorn

        while not self._stopping.is_set():
            try:
                self._server.run(sockets=[self._socket.dup()])
            except Exception:
                log.exception("the front door closed and is opened again")
            if not self._stopping.wait(AGAIN):
                self._server = uvicorn.Server(self._config)


def listen(host: str, port: int, which: str) -> socket.socket:
    """A socket that listens there; raises UsageError where somebody else does, for longer than a moment."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    until = time.monotonic() + FREE_WITHIN
    while True:
        try:
            return socket.create_server((host, port), family=family, backlog=512)
        except OSError as error:
            if time.monotonic() > until:
                raise UsageError(
                    f"{host}:{port}: {error.strerror}: stop what uses it, or give another port as `{which}` "
                    "in coordinator.toml"
                ) from error
            time.sleep(0.1)
