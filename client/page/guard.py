"""What every request passes before a page sees it: from this machine, to this page, in a visit, meant.

====================================  =======================================================
against                               wall
====================================  =======================================================
another machine                       a loopback socket, and the client's address again
another account on this machine       the one-time link and the visit's cookie
another site in the same browser      SameSite=Strict, Origin, Sec-Fetch-Site, a token in each form
a name that resolves to this machine  the Host header (DNS rebinding)
text that a coordinator chose         templates that escape, and a policy under which no inline script runs
====================================  =======================================================

A cookie knows no port: another server on this machine that the same browser visits could be sent it, and
could then look and decide as that visit. docs/hospital.md says so.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response

from client.page.visits import Visits, same
from ground.web.guard import BIGGEST_FORM, ELSEWHERE, HEADERS, form_of, made_elsewhere

__all__ = ["BIGGEST_FORM", "ENTER", "HEADERS", "Guard"]

OPEN_PATHS = ("/static/", "/enter")  # neither shows anything of the hospital
ENTER = "Open the link that `laennec hospital page` shows: each works once, and a visit ends after a while."

Refuse = Callable[[Request, int, str], Response]
Failed = Callable[[Request, Exception], Response]


class Guard:
    """Middleware for the page at http://127.0.0.1:`port`.

    `refuse` renders a status and one line, `failed` an error that nobody expected.
    """

    def __init__(self, visits: Visits, port: int, refuse: Refuse, failed: Failed) -> None:
        self._visits, self._refuse, self._failed = visits, refuse, failed
        self._hosts = {f"{name}:{port}" for name in ("127.0.0.1", "localhost", "[::1]")}
        self.cookie = f"laennec-{port}"  # a browser keeps one cookie for all ports of a name

    async def __call__(
        self, request: Request, call_next: Callable[[Request], Awaitable[Response]]
    ) -> Response:
        """The page's answer or a refusal, with the headers that every answer carries."""
        request.state.visit = None
        refused = await self._look(request)
        try:
            response = await call_next(request) if refused is None else self._refuse(request, *refused)
        except Exception as error:  # no traceback leaves, whatever went wrong
            response = self._failed(request, error)
        response.headers.update(HEADERS)
        return response

    async def _look(self, request: Request) -> tuple[int, str] | None:
        """Why this request is refused; None where it is not."""
        if not _is_loopback(request):
            return 403, "This page is for this machine alone."
        host = request.headers.get("host", "")
        if host not in self._hosts:
            return 403, "This page is not known under that name: open the link that the command line shows."
        if request.method not in ("GET", "HEAD", "POST"):
            return 405, "This page knows no such request."
        path = request.url.path
        if request.method != "POST" and path.startswith(OPEN_PATHS):
            return None
        if made_elsewhere(request):
            return 403, ELSEWHERE
        live = path.startswith("/live/")
        visit = self._visits.find(request.cookies.get(self.cookie, ""), active=not live)
        if visit is None:
            return 403, ENTER
        request.state.visit = visit
        if request.method != "POST":
            return None
        if request.headers.get("origin") != f"http://{host}":
            return 403, ELSEWHERE
        form = await form_of(request)
        if form is None:
            return 400, "That form could not be read: nothing was done."
        if not same(form.pop("token", ""), visit.form):
            return 403, ELSEWHERE
        request.state.form = form
        return None


def _is_loopback(request: Request) -> bool:
    try:
        return request.client is not None and ipaddress.ip_address(request.client.host).is_loopback
    except ValueError:
        return False
