"""What can be seen: each route gathers what one page shows. Nothing is changed here."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Annotated, TypeVar

from fastapi import APIRouter, Path, Query, Request
from starlette.responses import HTMLResponse, Response

from client import approval
from client.archive import Archive, Status
from client.doctor import Check, examine
from client.home import Home
from client.page import decisions, pictures, records
from client.page.app import page_of
from client.page.budgets import Bar, bars
from client.page.guard import ENTER
from client.page.running import node_of
from ground.errors import LaennecError

router = APIRouter()
Seen = TypeVar("Seen")
Digest = Annotated[str, Path(pattern="^[0-9a-f]{64}$")]
Patient = Annotated[str, Path(pattern="^[A-Za-z0-9-]{1,64}$")]
Number = Annotated[int, Query(ge=1, le=10**6)]
PATIENTS = 12  # a page of the quarantine


@router.get("/enter")
def enter(request: Request, token: str = "") -> Response:
    """Begin a visit. A page, no redirection: after one from elsewhere a strict cookie would not be sent."""
    page = page_of(request)
    visit = page.visits.enter(token)
    if visit is None:
        return HTMLResponse(page.templates.get_template("closed.html").render(text=ENTER), 403)
    response = HTMLResponse(page.templates.get_template("enter.html").render())
    response.set_cookie(page.guard.cookie, visit.cookie, path="/", httponly=True, samesite="strict")
    return response


@router.get("/")
def overview(request: Request) -> Response:
    """What needs a person, and how things stand."""
    page = page_of(request)
    home = page.home()
    return page.render(
        request,
        "overview.html",
        waiting=_tried(lambda: approval.waiting(home)),
        archive=_tried(lambda: _archive(home)),
        node=_tried(lambda: node_of(home)),
        bars=_tried(lambda: bars(home)),
        latest=_tried(lambda: records.latest(home, 6)),
        limits=home.limits.shown(),
        who=records.WHO,
        what=records.WHAT,
    )


@router.get("/live/running")
def live(request: Request) -> Response:
    """The part of a page that says what runs, to be put in its place."""
    page = page_of(request)
    text = page.templates.get_template("live.html").render(node=_tried(lambda: node_of(page.home())))
    return HTMLResponse(text)


@router.get("/studies")
def studies(request: Request) -> Response:
    """The studies that wait, and every decision that was taken."""
    page = page_of(request)
    home = page.home()
    waiting = approval.waiting(home)
    return page.render(request, "studies.html", waiting=waiting, decided=approval.approvals(home))


@router.get("/studies/{digest}")
def study(request: Request, digest: Digest) -> Response:
    """One study in plain words, and what can be decided about it."""
    page = page_of(request)
    home = page.home()
    found = decisions.known_study(home, digest)
    standing = next((each for each in approval.approvals(home) if each.digest == digest), None)
    return page.render(
        request,
        "study.html",
        words=approval.plain_words(home, found),
        text=found.to_toml(),
        standing=standing,
        waits=any(each.digest == digest for each in approval.waiting(home)),
    )


@router.get("/budget")
def budget(request: Request) -> Response:
    """What studies have cost the patients."""
    page = page_of(request)
    home = page.home()
    names = {each.digest: each.paper.name for each in approval.approvals(home) if each.paper is not None}
    seen: tuple[Bar, ...] = bars(home)
    return page.render(request, "budget.html", bars=seen, names=names)


@router.get("/quarantine")
def quarantine(request: Request, number: Annotated[Number, Query(alias="page")] = 1) -> Response:
    """Who is set aside and why, with small pictures."""
    page = page_of(request)
    home = page.home()
    if not (home.path / "archive").is_dir():
        return page.render(request, "quarantine.html", patients=[], count=0, page=1, pages=1)
    with Archive(home.path) as archive:
        held = archive.quarantine()
        pages = max(1, -(-len(held) // PATIENTS))
        number = min(number, pages)
        patients = pictures.shown(archive, held[(number - 1) * PATIENTS : number * PATIENTS])
    return page.render(
        request, "quarantine.html", patients=patients, count=len(held), page=number, pages=pages
    )


@router.get("/quarantine/{patient}/{name}.png")
def picture(request: Request, patient: Patient, name: Patient, size: pictures.Size = "small") -> Response:
    """A picture of a patient who is set aside."""
    with Archive(page_of(request).path) as archive:
        png = pictures.picture(archive, patient, name, size)
    return Response(png, media_type="image/png")


@router.get("/journal")
def journal(request: Request, number: Annotated[Number, Query(alias="page")] = 1) -> Response:
    """Who did what, when; newest first."""
    page = page_of(request)
    seen = records.records(page.home(), number)
    return page.render(request, "journal.html", records=seen, who=records.WHO, what=records.WHAT)


@router.get("/node")
def node(request: Request) -> Response:
    """What runs, and what studies may use."""
    page = page_of(request)
    home = page.home()
    return page.render(request, "node.html", node=_tried(lambda: node_of(home)), limits=home.limits.shown())


@router.get("/checks")
def checks(request: Request) -> Response:
    """The doctor's lines, made now."""
    page = page_of(request)
    found: list[Check] = examine(page.path)
    bad = sum(not each.good for each in found)
    return page.render(request, "checks.html", checks=found, bad=bad, made=time.time())


def _archive(home: Home) -> Status | None:
    """None where nothing was imported yet."""
    if not (home.path / "archive").is_dir():
        return None
    with Archive(home.path) as archive:
        return archive.status()


def _tried(look: Callable[[], Seen]) -> tuple[Seen | None, str]:
    """What was seen, or the one line that says why not: one damaged file does not hide the others."""
    try:
        return look(), ""
    except LaennecError as error:
        return None, str(error)
