"""The front door as a web application: `/federation/` for hospitals, all else for people.

Only JSON of the known shapes is read, and of a bounded length. Nothing that was sent is quoted in a refusal.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TypeVar

from fastapi import FastAPI, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ValidationError

from ground.errors import LaennecError, UsageError
from ground.membership.messages import (
    BIGGEST,
    JOIN,
    MOMENT,
    PEERS,
    RENEW,
    JoinRequest,
    MemberRequest,
    Refusal,
)
from server import dashboard
from server.door.members import Members
from server.door.moments import Moments
from server.home import CoordinatorHome

log = logging.getLogger("coordinator")
Asked = TypeVar("Asked", bound=BaseModel)


def application(home: CoordinatorHome, *, now: Callable[[], float] = time.time) -> FastAPI:
    """The door of this home; the dashboard is mounted where nothing else answers."""
    door = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    moments = Moments(now)
    members = Members(home, moments)

    @door.get(MOMENT)
    def moment() -> JSONResponse:
        return JSONResponse(moments.clock().model_dump())

    @door.post(JOIN)
    async def join(request: Request) -> JSONResponse:
        return await _answer("join", request, JoinRequest, members.join)

    @door.post(RENEW)
    async def renew(request: Request) -> JSONResponse:
        return await _answer("renew", request, MemberRequest, members.renew)

    @door.post(PEERS)
    async def peers(request: Request) -> JSONResponse:
        return await _answer("peers", request, MemberRequest, members.peers)

    door.mount("/", dashboard.application(home))
    return door


async def _answer(
    what: str, request: Request, kind: type[Asked], act: Callable[[Asked], BaseModel]
) -> JSONResponse:
    """What `act` gives for the message in the request; a refusal is one line, and what went wrong ours."""
    try:
        asked = kind.model_validate_json(await _body(request))
    except (ValidationError, ValueError):
        return _refused(400, "this message cannot be read: hospital and coordinator need versions that fit")
    try:
        given = await run_in_threadpool(act, asked)
    except UsageError as error:
        log.warning("%s refused: %s", what, error)
        return _refused(403, str(error))
    except LaennecError as error:
        log.error("%s failed: %s", what, error)
        return _refused(503, "the coordinator cannot do this now: its administrator's log says why")
    log.info("%s: %s", what, getattr(given, "hospital", "listed"))
    return JSONResponse(given.model_dump(), headers={"Cache-Control": "no-store"})


async def _body(request: Request) -> bytes:
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > BIGGEST:
            raise ValueError("too long")
    return body


def _refused(status: int, why: str) -> JSONResponse:
    return JSONResponse(Refusal(error=why[:500]).model_dump(), status_code=status)
