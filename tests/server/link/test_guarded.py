"""Who reaches the SuperLink's port commands nothing: all but nodes' questions asks for a password."""

from __future__ import annotations

import asyncio
from collections.abc import MutableMapping
from typing import Any

import pytest

from server.link.flower import password
from server.link.process import Guarded

SECRET = b"s" * 32


def asked(path: str, headers: list[tuple[bytes, bytes]]) -> tuple[bool, list[int]]:
    """Whether the application was reached, and the status that was answered."""
    reached, statuses = [], []

    async def application(scope: Any, _receive: Any, _send: Any) -> None:
        reached.append(scope["path"])

    async def send(message: MutableMapping[str, Any]) -> None:
        if "status" in message:
            statuses.append(message["status"])

    scope = {"type": "http", "path": path, "headers": headers}
    asyncio.run(Guarded(application, password(SECRET))(scope, None, send))  # type: ignore[arg-type]
    return bool(reached), statuses


def headers_of(secret: bytes) -> list[tuple[bytes, bytes]]:
    return [(name.encode(), value.encode()) for name, value in password(secret).items()]


COMMANDS = [
    "/v1/control/start-run",
    "/v1/control/register-node",
    "/v1/runtime/acquire-task",
    "/v1/runtime/pull-object",
    "/v1/runtime/responses",
    "/docs",
    "/openapi.json",
    "/health",
    "/",
    "/v1/control/../fleet/pull-messages",
    "/v1/fleet",
]


@pytest.mark.parametrize("path", COMMANDS)
def test_a_command_without_the_password_finds_nothing(path: str) -> None:
    assert asked(path, []) == (False, [404])
    assert asked(path, headers_of(b"t" * 32)) == (False, [404])
    assert asked(path, headers_of(SECRET) * 2) == (False, [404])


@pytest.mark.parametrize("path", COMMANDS)
def test_our_own_processes_reach_everything(path: str) -> None:
    assert asked(path, headers_of(SECRET)) == (True, [])


def test_nodes_reach_what_is_for_nodes() -> None:
    assert asked("/v1/fleet/pull-messages", []) == (True, [])


def test_a_path_that_climbs_out_of_what_is_for_nodes_is_no_command() -> None:
    """The application routes by the literal path, as the guard reads it: it climbs nowhere."""
    from flwr.superlink.routers.control import router as control
    from flwr.superlink.routers.fleet import router as fleet

    def paths(router: Any) -> set[str]:
        inner = getattr(router, "router", router)
        return {route.path for route in inner.routes}

    assert not {path for path in paths(control) if path.startswith("/v1/fleet/")}
    assert all(path.startswith("/v1/fleet/") for path in paths(fleet))
