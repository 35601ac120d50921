"""What can be done: log in and out, and for those who may launch: launch, stop, resume.

Each leads back to a page that says what became of it, and stands in the coordinator's log.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable

from fastapi import APIRouter, HTTPException, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from ground.errors import LaennecError, UsageError
from server.coordinating import orders
from server.dashboard.app import dashboard_of
from server.dashboard.guard import COOKIE, LOGIN
from server.dashboard.seeing import Digest
from server.home import CoordinatorHome
from server.registry.people import Person
from tasks.study import parse

log = logging.getLogger("laennec.dashboard")
router = APIRouter()
WRONG = "This token opens nothing here: ask whoever runs the coordinator for one."
Form = dict[str, str]


@router.post(LOGIN)
def login(request: Request) -> Response:
    """Begin a visit with a token. A token has 256 bits: guessing needs no other hindrance."""
    page = dashboard_of(request)
    token = request.state.form.get("token", "")
    person = page.home.registry.people.of(token)
    if person is None:
        log.warning("somebody knocked at the dashboard with a wrong token")
        return HTMLResponse(page.templates.get_template("login.html").render(trouble=WRONG), 403)
    visit = page.visits.begin(person.name, token)
    log.info("%s came to the dashboard", person.name)
    response = RedirectResponse("/", 303)
    response.set_cookie(COOKIE, visit.cookie, path="/", secure=True, httponly=True, samesite="strict")
    return response


@router.post("/leave")
def leave(request: Request) -> Response:
    """End this visit."""
    page = dashboard_of(request)
    page.visits.leave(request.state.visit)
    response = RedirectResponse(LOGIN, 303)
    response.delete_cookie(COOKIE, path="/", secure=True, httponly=True, samesite="strict")
    return response


@router.get("/launch")
def launching(request: Request) -> Response:
    """Where a study is launched."""
    _launcher(request)
    members = dashboard_of(request).home.registry.hospitals.members()
    return dashboard_of(request).render(
        request, "launch.html", members=members, text="", study=None, days="14"
    )


@router.post("/launch")
def launch(request: Request) -> Response:
    """A study's text: first shown in plain words, and launched when that is confirmed."""
    person, page, form = _launcher(request), dashboard_of(request), request.state.form
    text, days = form.get("study", "").replace("\r\n", "\n"), form.get("days", "")
    members = page.home.registry.hospitals.members()
    try:
        study = parse(text, "the study")
        names, wanted = orders.asked_by(page.home, study), _days(days)
        if form.get("digest") == study.digest:
            orders.launch(page.home, study, by=person.name, approval_days=wanted)
            log.info("%s launched %s %s", person.name, study.name, study.digest[:12])
            request.state.visit.say("good", f"{study.name} is launched: it asks {len(names)} hospitals.")
            return RedirectResponse(f"/studies/{study.digest}", 303)
    except LaennecError as error:
        request.state.visit.say("bad", str(error))
        study = None
    status = 200 if study is not None else 400
    return page.render(request, "launch.html", status, members=members, text=text, study=study, days=days)


@router.post("/studies/{digest}/stop")
def stop(request: Request, digest: Digest) -> Response:
    """Stop a study: it keeps its state, and can go on."""

    def act(home: CoordinatorHome) -> str:
        return f"{orders.stop(home, digest).name} is being stopped; it can go on later."

    return _done(request, digest, "stopped", act)


@router.post("/studies/{digest}/resume")
def resume(request: Request, digest: Digest) -> Response:
    """Let a study go on from where it was."""

    def act(home: CoordinatorHome) -> str:
        return f"{orders.resume(home, digest).name} goes on from where it was."

    return _done(request, digest, "resumed", act)


def _done(request: Request, digest: str, what: str, act: Callable[[CoordinatorHome], str]) -> Response:
    person = _launcher(request)
    try:
        said = act(dashboard_of(request).home)
        log.info("%s %s study %s", person.name, what, digest[:12])
        request.state.visit.say("good", said)
    except LaennecError as error:
        request.state.visit.say("bad", str(error))
    return RedirectResponse(f"/studies/{digest}", 303)


def _launcher(request: Request) -> Person:
    """Who asks; whoever may only watch is refused."""
    person: Person = request.state.person
    if person.role != "launch" or request.state.visit is None:
        raise HTTPException(403)
    return person


def _days(text: str) -> float:
    if not re.fullmatch("[0-9]{1,3}", text) or int(text) == 0:
        raise UsageError("the days for approvals are a whole number from 1 to 999")
    return float(text)
