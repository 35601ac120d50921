"""The dashboard as an application: the guard before it, the routes in it, one clear line for every error."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from fastapi import FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.staticfiles import StaticFiles
from jinja2 import Environment
from starlette.exceptions import HTTPException as NoSuchPage
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.responses import HTMLResponse, Response

from ground.errors import LaennecError, UsageError
from ground.web.visits import Visits
from server.dashboard.guard import Guard
from server.dashboard.shown import environment
from server.home import CoordinatorHome

log = logging.getLogger("laennec.dashboard")
FOREIGN = "Something went wrong here and nothing was done: the coordinator's log says when and where."
MOST = 256  # visits at once


@dataclass(frozen=True)
class Dashboard:
    """What every route needs: whose studies it shows, who visits it, and how it looks."""

    home: CoordinatorHome
    visits: Visits
    templates: Environment

    def render(self, request: Request, template: str, status: int = 200, **values: object) -> Response:
        """A whole page, for this visit."""
        visit, person = request.state.visit, request.state.person
        context = {
            "path": request.url.path,
            "token": None if visit is None else visit.form,
            "person": person,
            "launches": person is not None and person.role == "launch",
            "notices": () if visit is None else visit.said(),
            "federation": self.home.name,
        }
        return HTMLResponse(self.templates.get_template(template).render(**(context | values)), status)


def dashboard_of(request: Request) -> Dashboard:
    """The dashboard that this request is for."""
    dashboard: Dashboard = request.app.state.dashboard
    return dashboard


def make_app(home: CoordinatorHome) -> FastAPI:
    """The dashboard of that home."""
    from server.dashboard import acting, seeing

    app = FastAPI(title="Laennec", openapi_url=None, docs_url=None, redoc_url=None)
    visits = Visits(most=MOST)
    app.state.dashboard = Dashboard(home, visits, environment())
    packages: list[str | tuple[str, str]] = [("server.dashboard", "static"), ("ground.web", "static")]
    app.mount("/static", StaticFiles(packages=packages))
    app.include_router(seeing.router)
    app.include_router(acting.router)
    app.add_exception_handler(LaennecError, _explained)
    app.add_exception_handler(NoSuchPage, _no_such_page)
    app.add_exception_handler(RequestValidationError, _no_such_page)
    guard = Guard(visits, home.registry.people.of, _refused, _foreign)
    app.add_middleware(BaseHTTPMiddleware, dispatch=guard)
    return app


def _refused(request: Request, status: int, text: str) -> Response:
    """Without anything of the studies: whoever asked may be anybody."""
    page = dashboard_of(request).templates.get_template("closed.html")
    return HTMLResponse(page.render(text=text), status)


def _explained(request: Request, error: Exception) -> Response:
    status = 404 if isinstance(error, UsageError) else 500
    return dashboard_of(request).render(request, "error.html", status, text=str(error))


def _no_such_page(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException | NoSuchPage) else 404
    text = "There is no such page."
    if status == 403:
        text = "You may watch, and not launch: ask whoever runs the coordinator."
    if request.state.visit is None:
        return _refused(request, status, text)
    return dashboard_of(request).render(request, "error.html", status, text=text)


def _foreign(request: Request, error: Exception) -> Response:
    """For an error that is none of ours: its kind goes to the log, and nothing of it to the page."""
    place = request.url.path.split("/")[1][:20]
    if isinstance(error, LaennecError):  # the guard's own: a registry that cannot be read
        log.error("%s %s: %s", request.method, place, error)
    else:
        log.error("%s %s: %s", request.method, place, type(error).__name__)
    return _refused(request, 500, FOREIGN)
