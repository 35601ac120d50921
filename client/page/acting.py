"""What can be done: each route takes one decision, then leads back to a page that says what became of it."""

from __future__ import annotations

from collections.abc import Callable

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from client.home import Home
from client.page import decisions
from client.page.app import page_of
from client.page.decisions import Form
from client.page.seeing import Digest, Patient
from client.page.visits import Visit
from ground.errors import LaennecError

router = APIRouter()


@router.post("/studies/{digest}/approve")
def approve(request: Request, digest: Digest) -> Response:
    """Let a study run here."""
    return _decided(request, f"/studies/{digest}", lambda home, form: decisions.approve(home, digest, form))


@router.post("/studies/{digest}/refuse")
def refuse(request: Request, digest: Digest) -> Response:
    """Take a study from those that wait."""
    return _decided(request, "/studies", lambda home, form: decisions.refuse(home, digest, form))


@router.post("/studies/{digest}/revoke")
def revoke(request: Request, digest: Digest) -> Response:
    """Take an approval back."""
    return _decided(request, f"/studies/{digest}", lambda home, form: decisions.revoke(home, digest, form))


@router.post("/quarantine/{patient}/release")
def release(request: Request, patient: Patient) -> Response:
    """Let a patient pass whom a person has looked at."""
    return _decided(request, "/quarantine", lambda home, form: decisions.release(home, patient, form))


@router.post("/leave")
def leave(request: Request) -> Response:
    """End this visit."""
    page = page_of(request)
    page.visits.leave(request.state.visit)
    response = RedirectResponse("/", 303)
    response.delete_cookie(page.guard.cookie, path="/", httponly=True, samesite="strict")
    return response


def _decided(request: Request, back: str, decide: Callable[[Home, Form], str]) -> Response:
    """The decision, said in one line on the page that follows, as is why it could not be taken."""
    visit: Visit = request.state.visit
    form: Form = request.state.form
    visit.by = form.get("by", "")[:64]
    try:
        visit.say("good", decide(page_of(request).home(), form))
    except LaennecError as error:
        visit.say("bad", str(error))
    return RedirectResponse(back, 303)
