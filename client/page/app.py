"""The page as an application: the guard before it, the routes in it, and one clear line for every error."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

from fastapi import FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.staticfiles import StaticFiles
from jinja2 import Environment
from starlette.exceptions import HTTPException as NoSuchPage
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.responses import HTMLResponse, Response

from client import approval
from client.home import Home
from client.page.guard import Guard
from client.page.shown import environment
from client.page.visits import Visits
from ground.errors import LaennecError, UsageError

log = logging.getLogger("laennec.page")
FOREIGN = "Something went wrong here and nothing was decided: `laennec hospital doctor` looks for what it is."


@dataclass(frozen=True)
class Page:
    """What every route needs: whose page it is, who visits it, and how it looks."""

    path: Path
    visits: Visits
    guard: Guard
    templates: Environment

    def home(self) -> Home:
        """The home as its settings are now."""
        return Home.open(self.path)

    def render(self, request: Request, template: str, status: int = 200, **values: object) -> Response:
        """A whole page, for this visit."""
        visit = request.state.visit
        context = {
            "path": request.url.path,
            "token": None if visit is None else visit.form,
            "by": "" if visit is None else visit.by,
            "notices": () if visit is None else visit.said(),
            "hospital": _name(self.path),
            "waiting_count": _waiting(self.path),
        }
        text = self.templates.get_template(template).render(**(context | values))
        return HTMLResponse(text, status)


def page_of(request: Request) -> Page:
    """The page that this request is for."""
    page: Page = request.app.state.page
    return page


def make_app(home: Home, visits: Visits, port: int) -> FastAPI:
    """The page of that home, for http://127.0.0.1:`port`."""
    from client.page import acting, seeing

    app = FastAPI(title="Laennec", openapi_url=None, docs_url=None, redoc_url=None)
    guard = Guard(visits, port, _refused, _foreign)
    app.state.page = Page(home.path, visits, guard, environment())
    app.mount("/static", StaticFiles(packages=[("ground.web", "static")]))
    app.include_router(seeing.router)
    app.include_router(acting.router)
    app.add_exception_handler(LaennecError, _explained)
    app.add_exception_handler(NoSuchPage, _no_such_page)
    app.add_exception_handler(RequestValidationError, _no_such_page)

    app.add_middleware(BaseHTTPMiddleware, dispatch=guard)
    return app


def _refused(request: Request, status: int, text: str) -> Response:
    """Without anything of the hospital: whoever asked may not be one of its people."""
    page = page_of(request)
    return HTMLResponse(page.templates.get_template("closed.html").render(text=text), status)


def _explained(request: Request, error: Exception) -> Response:
    status = 404 if isinstance(error, UsageError) else 500
    return page_of(request).render(request, "error.html", status, text=str(error))


def _no_such_page(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException | NoSuchPage) else 404
    text = "There is no such page."
    if request.state.visit is None:
        return _refused(request, status, text)
    return page_of(request).render(request, "error.html", status, text=text)


def _foreign(request: Request, error: Exception) -> Response:
    """For an error that is none of ours: its kind goes to the log, and nothing of it to the page."""
    log.error("%s %s: %s", request.method, request.url.path.split("/")[1][:20], type(error).__name__)
    return _refused(request, 500, FOREIGN)


def _name(path: Path) -> str:
    try:
        return Home.open(path).name
    except LaennecError:
        return "hospital"


def _waiting(path: Path) -> int:
    try:
        return len(approval.waiting(Home.open(path)))
    except (LaennecError, OSError):
        return 0
