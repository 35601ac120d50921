"""A TCP proxy on this machine that delays, throttles, stalls, cuts and loses: a bad link for a test."""

from __future__ import annotations

import random
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

RESET = struct.pack("ii", 1, 0)  # SO_LINGER: closed at once, which sends RST
CHUNK = 16_384
POLL = 0.02


@dataclass
class Weather:
    """What the link is like; may be changed at any time.

    Attributes:
        delay: seconds that each chunk needs in each direction.
        rate: bytes a second in each direction of each connection; 0 for any.
        loss: the chance that a chunk is lost and sent again, which holds up all behind it by `again` seconds
        again: as TCP's retransmission.
        breaks: the chance that a connection breaks at a chunk.
        stalled: nothing passes, and nobody is told.
        down: who connects is refused.

    """

    delay: float = 0.0
    rate: float = 0.0
    loss: float = 0.0
    again: float = 0.3
    breaks: float = 0.0
    stalled: bool = False
    down: bool = False


class Proxy:
    """Listens at `address` and passes on to `target`, both host:port, until `close`."""

    def __init__(self, target: str, seed: int = 1) -> None:
        host, _, port = target.rpartition(":")
        self._target = (host, int(port))
        self.weather = Weather()
        self.cuts, self.passed, self.refused = 0, 0, 0
        self._chance = random.Random(seed)  # noqa: S311 - weather
        self._open: set[socket.socket] = set()
        self._guard, self._closing = threading.Lock(), threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self._start(self._accept)

    def cut(self) -> None:
        """Reset every connection that is open."""
        with self._guard:
            for each in tuple(self._open):
                _reset(each)
            self.cuts += bool(self._open)
            self._open.clear()

    def close(self) -> None:
        """End all of it."""
        self._closing.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()

    def _start(self, target: object, *arguments: object) -> None:
        threading.Thread(target=target, args=arguments, daemon=True).start()  # type: ignore[arg-type]

    def _accept(self) -> None:
        while not self._closing.is_set():
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            try:
                if self.weather.down or self._closing.is_set():
                    raise ConnectionRefusedError
                far = socket.create_connection(self._target, 10.0)
                far.settimeout(None)
            except OSError:
                self.refused += 1
                _reset(near)
                continue
            with self._guard:
                self._open |= {near, far}
            self._start(self._serve, near, far)

    def _serve(self, near: socket.socket, far: socket.socket) -> None:
        """One connection, until both directions have ended."""
        back = threading.Thread(target=self._pass, args=(far, near), daemon=True)
        back.start()
        self._pass(near, far)
        back.join()
        for each in (near, far):
            each.close()
        with self._guard:
            self._open -= {near, far}

    def _pass(self, source: socket.socket, sink: socket.socket) -> None:
        """From one to the other, until either ends."""
        try:
            while chunk := source.recv(CHUNK):
                self._hold_up(len(chunk))
                if self.weather.breaks and self._chance.random() < self.weather.breaks:
                    self.cuts += 1
                    raise ConnectionResetError
                sink.sendall(chunk)
                self.passed += len(chunk)
            with suppress(OSError):
                sink.shutdown(socket.SHUT_WR)
        except OSError:
            for each in (source, sink):
                _reset(each)

    def _hold_up(self, size: int) -> None:
        weather = self.weather
        seconds = weather.delay + (size / weather.rate if weather.rate else 0.0)
        while weather.loss and self._chance.random() < weather.loss:
            seconds += weather.again
        time.sleep(seconds)
        while self.weather.stalled and not self._closing.is_set():
            time.sleep(POLL)


def _reset(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)  # wakes whoever reads from it
    with suppress(OSError):
        connection.close()


@contextmanager
def proxy(target: str) -> Iterator[Proxy]:
    made = Proxy(target)
    try:
        yield made
    finally:
        made.close()
