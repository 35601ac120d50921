"""A running server takes up a renewed certificate: those who connect from then on are shown the new one.

OpenSSL reads the files into a context once; loading them again into the same context changes what the next
connection is shown, and leaves those that are open alone.
"""

from __future__ import annotations

import logging
import ssl
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from uvicorn import Config

log = logging.getLogger("coordinator")
LOOK_EVERY = 1.0  # seconds


class Reloading(threading.Thread):
    """Watches the files of one context until `stop`; daemonic."""

    def __init__(
        self, context: ssl.SSLContext, certificate: Path, key: Path, every: float = LOOK_EVERY
    ) -> None:
        super().__init__(name="certificates", daemon=True)
        self._context, self._certificate, self._key, self._every = context, certificate, key, every
        self._seen = self._stamp()
        self._stopping = threading.Event()

    def run(self) -> None:
        """Look once in a while."""
        while not self._stopping.wait(self._every):
            self.look()

    def look(self) -> bool:
        """Take up the files where they changed; whether they did. A pair that does not fit stays unused."""
        stamp = self._stamp()
        if stamp is None or stamp == self._seen:
            return False
        try:
            self._context.load_cert_chain(self._certificate, self._key)
        except (ssl.SSLError, OSError) as error:
            log.warning("the renewed certificate cannot be used yet: %s", type(error).__name__)
            return False
        self._seen = stamp
        log.info("the renewed certificate is in use")
        return True

    def stop(self) -> None:
        """End the thread."""
        self._stopping.set()

    def _stamp(self) -> tuple[int, ...] | None:
        try:
            stats = [file.stat() for file in (self._certificate, self._key)]
        except OSError:
            return None
        return tuple(value for each in stats for value in (each.st_mtime_ns, each.st_ino))


def reloading_context(
    config: Config, default: Callable[[], ssl.SSLContext], every: float = LOOK_EVERY
) -> ssl.SSLContext:
    """A `ssl_context_factory` for `uvicorn.Config`: the context it would make, with its files watched."""
    context = default()
    Reloading(context, Path(str(config.ssl_certfile)), Path(str(config.ssl_keyfile)), every).start()
    return context
