"""What every request passes before a page sees it: from a person with a token, in a visit, meant.

==================================  =========================================================
against                             wall
==================================  =========================================================
somebody without a token            no page but the one that asks for it
a token that was taken back         it is looked up again with every request
another site in the same browser    SameSite=Strict, Origin, Sec-Fetch-Site, a token in each form
somebody on the way                 TLS always (the door's); the cookie is sent over nothing else
text that others chose              templates that escape, and a policy under which no inline script runs
somebody who may only watch         what changes something asks for the role "launch" (`acting`)
==================================  =========================================================

Programs send their token with each request (`Authorization: Bearer TOKEN`) and have no visit: they may read,
and a form of theirs is refused.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from ground.web.guard import ELSEWHERE, HEADERS, form_of, made_elsewhere
from ground.web.visits import Visit, Visits, same
from server.registry.people import Person

COOKIE = "__Host-laennec"
BIGGEST_FORM = 128 * 1024  # bytes: a study's text is in one of them
LOGIN = "/login"
NOBODY = "This page is for people with a token: `laennec coordinator people --add NAME` makes one."

Refuse = Callable[[Request, int, str], Response]
Failed = Callable[[Request, Exception], Response]


class Guard:
    """Middleware: finds out who asks. `refuse` renders a status and a line, `failed` an error."""

    def __init__(
        self, visits: Visits, who: Callable[[str], Person | None], refuse: Refuse, failed: Failed
    ) -> None:
        self._visits, self._who, self._refuse, self._failed = visits, who, refuse, failed

    async def __call__(
        self, request: Request, call_next: Callable[[Request], Awaitable[Response]]
    ) -> Response:
        """The page's answer or a refusal, with the headers that every answer carries."""
        request.state.visit = request.state.person = None
        try:
            refused = await self._look(request)
            response = await call_next(request) if refused is None else refused
        except Exception as error:  # no traceback leaves, whatever went wrong
            response = self._failed(request, error)
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)
        return response

    async def _look(self, request: Request) -> Response | None:
        """The refusal of this request; None where it is not refused."""
        if request.method not in ("GET", "HEAD", "POST"):
            return self._refuse(request, 405, "This page knows no such request.")
        path = request.url.path
        reads = request.method != "POST"
        if reads and path.startswith("/static/"):
            return None
        if made_elsewhere(request) and not (reads and path == LOGIN):
            return self._refuse(request, 403, ELSEWHERE)
        visit, person = await self._visitor(request)
        request.state.visit, request.state.person = visit, person
        if reads:
            return None if person is not None or path == LOGIN else self._ask(request)
        return await self._form(request, visit)

    def _ask(self, request: Request) -> Response:
        """Whoever is not known is asked for the token; a program, or a part of a page, is refused."""
        if request.url.path.startswith("/live/") or "text/html" not in request.headers.get("accept", ""):
            return self._refuse(request, 401, NOBODY)
        return RedirectResponse(LOGIN, 303)

    async def _form(self, request: Request, visit: Visit | None) -> Response | None:
        logs_in = request.url.path == LOGIN
        if visit is None and not logs_in:
            return self._refuse(request, 403, NOBODY)
        origin, host = request.headers.get("origin", ""), request.headers.get("host", "")
        if not host or urlsplit(origin).netloc != host or urlsplit(origin).scheme != "https":
            return self._refuse(request, 403, ELSEWHERE)
        form = await form_of(request, BIGGEST_FORM)
        if form is None:
            return self._refuse(request, 400, "That form could not be read: nothing was done.")
        if visit is not None and not logs_in and not same(form.pop("token", ""), visit.form):
            return self._refuse(request, 403, ELSEWHERE)
        request.state.form = form
        return None

    async def _visitor(self, request: Request) -> tuple[Visit | None, Person | None]:
        """The visit and whose it is, by the cookie; or who shows a token."""
        kind, _, token = request.headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer":
            return None, await run_in_threadpool(self._who, token.strip())
        live = request.url.path.startswith("/live/")
        visit = self._visits.find(request.cookies.get(COOKIE, ""), active=not live)
        if visit is None:
            return None, None
        person = await run_in_threadpool(self._who, visit.token)
        if person is None:  # taken back, or given anew
            self._visits.leave(visit)
            return None, None
        return visit, person
