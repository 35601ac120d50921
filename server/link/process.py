"""`flower-superlink` as a process that ends with whoever started it, and that outsiders cannot command.

    python -m server.link.process PARENT FOLDER HOST PORT AUTHORITY CERTIFICATE KEY

Flower serves nodes and commands at one port, and lets whoever reaches it register nodes and start runs. Here
only nodes' own questions, which they sign, are open to all; everything else asks for our password. A
certificate that was renewed is taken up without a restart.
"""

from __future__ import annotations

import hmac
import os
import sys
import types
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any

from ground.network import SILENT
from ground.orphan import die_with

OPEN = ("/v1/fleet/",)  # nodes' questions; and "/", which tells the time
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]


class Guarded:
    """The SuperLink's application behind the password in `headers`."""

    def __init__(self, application: Application, headers: dict[str, str]) -> None:
        self._application = application
        [(name, value)] = headers.items()
        self._name, self._value = name.encode(), value.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let through or answer 404, as if nothing were there."""
        if scope["type"] != "lifespan" and not self._lets_in(scope):
            await send({"type": "http.response.start", "status": 404, "headers": []})
            await send({"type": "http.response.body", "body": b""})
            return
        await self._application(scope, receive, send)

    def _lets_in(self, scope: Scope) -> bool:
        if scope["path"].startswith(OPEN):
            return True
        said = [value for name, value in scope["headers"] if name == self._name]
        return len(said) == 1 and hmac.compare_digest(said[0], self._value)


def main(arguments: list[str]) -> None:
    """Run it until it is ended."""
    parent, folder, host, port, authority, certificate, key = arguments
    die_with(int(parent))
    place = Path(folder)
    _log_to(place / "log")
    os.environ.update(SILENT, FLWR_HOME=str(place / "flwr"))
    from flwr.superlink.cli import flower_superlink

    secret = place / "secret"
    _serve_guarded(secret.read_bytes())
    sys.argv = [
        *("flower-superlink", "--host", host, "--port", port, "--isolation", "process"),
        *("--enable-supernode-auth", "--ssl-ca-certfile", authority, "--ssl-certfile", certificate),
        *("--ssl-keyfile", key, "--superexec-auth-secret-file", str(secret)),
        *("--database", str(place / "superlink.sqlite"), "--disable-runtime-dependency-installation"),
    ]
    flower_superlink()


def _serve_guarded(secret: bytes) -> None:
    """Let Flower's own server serve its application behind our guard."""
    from server.authority.reloading import reloading_context
    from server.link.flower import password

    inside = sys.modules["flwr.superlink.cli.flower_superlink"]

    def run(app: Application, **settings: Any) -> None:
        import uvicorn

        settings |= {"access_log": False, "server_header": False}  # no line for each question of each node
        config = uvicorn.Config(
            Guarded(app, password(secret)), ssl_context_factory=reloading_context, **settings
        )
        uvicorn.Server(config).run()

    vars(inside).update(uvicorn=types.SimpleNamespace(run=run))


def _log_to(file: Path) -> None:
    """Whatever this process prints goes to that file, its owner's alone."""
    handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    for stream in (1, 2):
        os.dup2(handle, stream)


if __name__ == "__main__":
    main(sys.argv[1:])
