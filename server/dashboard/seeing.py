"""What can be seen: each route gathers what one page shows. Nothing is changed here."""

from __future__ import annotations

from collections import Counter
from typing import Annotated

from fastapi import APIRouter, HTTPException, Path, Request
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, RedirectResponse, Response

from ground.errors import UsageError
from server import logs
from server.dashboard import gathering
from server.dashboard.app import dashboard_of
from server.dashboard.figures import HEADERS, REPORT, figures
from server.dashboard.guard import COOKIE, LOGIN

router = APIRouter()
Digest = Annotated[str, Path(pattern="^[0-9a-f]{64}$")]
LINES = 60
# What a finished study leaves, and who may take it away.
FILES = {
    "result.json": "application/json",
    "privacy.json": "application/json",
    "study.toml": "text/plain; charset=utf-8",
    "model.safetensors": "application/octet-stream",
}
FOR_LAUNCH = ("model.safetensors",)
REPORT_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox allow-popups"


@router.get(LOGIN)
def login(request: Request) -> Response:
    """The door: a token is asked for."""
    if request.state.visit is not None:
        return RedirectResponse("/", 303)
    page = dashboard_of(request)
    return HTMLResponse(page.templates.get_template("login.html").render(trouble=""))


@router.get("/")
def overview(request: Request) -> Response:
    """All studies, those under way first."""
    page = dashboard_of(request)
    known = gathering.studies(page.home)
    return page.render(request, "overview.html", studies=known, places=gathering.places(page.home, known))


@router.get("/live/overview")
def live_overview(request: Request) -> Response:
    """The part of the overview that moves."""
    page = dashboard_of(request)
    known = gathering.studies(page.home)
    text = page.templates.get_template("live_overview.html")
    return HTMLResponse(text.render(studies=known, places=gathering.places(page.home, known)))


@router.get("/studies/{digest}")
def study(request: Request, digest: Digest, metric: str = "") -> Response:
    """One study: where it stands, its curves, its hospitals, who contributed when, its pictures, its log."""
    page = dashboard_of(request)
    found = gathering.study(page.home, digest)
    folder = page.home.studies / digest
    return page.render(
        request,
        "study.html",
        study=found,
        metric=_metric(found, metric),
        figures=figures(folder),
        report=(folder / REPORT).is_file(),
        files=[name for name in FILES if (folder / name).is_file()],
        for_launch=FOR_LAUNCH,
        text=found.launched.study.to_toml(),
        lines=logs.latest(folder / logs.FILE, LINES),
    )


@router.get("/live/studies/{digest}")
def live_study(request: Request, digest: Digest, metric: str = "") -> Response:
    """The part of that page that moves."""
    page = dashboard_of(request)
    found = gathering.study(page.home, digest)
    lines = logs.latest(page.home.studies / digest / logs.FILE, LINES)
    text = page.templates.get_template("live_study.html")
    return HTMLResponse(text.render(study=found, metric=_metric(found, metric), lines=lines))


@router.get("/studies/{digest}/standing.json")
def standing(request: Request, digest: Digest) -> Response:
    """The same for programs, as `laennec coordinator status --json` has it."""
    found = gathering.study(dashboard_of(request).home, digest)
    return JSONResponse(found.standing.to_dict())


@router.get("/studies/{digest}/report")
def report(request: Request, digest: Digest) -> Response:
    """The report of a finished study: a page of its own, which loads and runs nothing."""
    file = dashboard_of(request).home.studies / digest / REPORT
    if not file.is_file():
        raise UsageError("this study has no report yet: it is written when the last round is done")
    return FileResponse(
        file, media_type="text/html; charset=utf-8", headers={"Content-Security-Policy": REPORT_POLICY}
    )


@router.get("/studies/{digest}/figures/{number}.svg")
def figure(request: Request, digest: Digest, number: Annotated[int, Path(ge=0, le=99)]) -> Response:
    """One drawing of the report."""
    found = figures(dashboard_of(request).home.studies / digest)
    if number >= len(found):
        raise UsageError("the report has no such picture")
    return Response(found[number].svg, media_type="image/svg+xml", headers=HEADERS)


@router.get("/studies/{digest}/files/{name}")
def file(request: Request, digest: Digest, name: Annotated[str, Path(max_length=40)]) -> Response:
    """A file of a finished study; the model is for those who may launch."""
    page = dashboard_of(request)
    path = page.home.studies / digest / name
    if name not in FILES or not path.is_file():
        raise UsageError("this study has no such file")
    if name in FOR_LAUNCH and request.state.person.role != "launch":
        raise HTTPException(403)
    return FileResponse(path, media_type=FILES[name], filename=f"{digest[:12]}-{name}")


@router.get("/hospitals")
def hospitals(request: Request) -> Response:
    """Who belongs to the federation, when each was heard of last, and what each takes part in."""
    page = dashboard_of(request)
    known = gathering.studies(page.home)
    return page.render(request, "hospitals.html", places=gathering.places(page.home, known))


@router.get("/live/hospitals")
def live_hospitals(request: Request) -> Response:
    """The part of that page that moves."""
    page = dashboard_of(request)
    known = gathering.studies(page.home)
    text = page.templates.get_template("live_hospitals.html")
    return HTMLResponse(text.render(places=gathering.places(page.home, known)))


@router.get("/log")
def log(request: Request, bad: bool = False) -> Response:
    """What the coordinator and the studies said last, newest first."""
    page = dashboard_of(request)
    found = logs.latest(page.home.log, 10 * LINES)
    for each in page.home.registry.studies.all():
        found += logs.latest(page.home.studies / each.digest / logs.FILE, LINES)
    chosen = sorted((each for each in found if each.bad or not bad), key=lambda each: each.time, reverse=True)
    digests = {each.digest[:12]: each.digest for each in page.home.registry.studies.all()}
    return page.render(request, "log.html", lines=chosen[: 4 * LINES], bad=bad, digests=digests)


@router.get("/metrics")
def metrics(request: Request) -> Response:
    """Numbers for Prometheus."""
    from server.telemetry.prometheus import CONTENT_TYPE, exposition

    home = dashboard_of(request).home
    standings = [each.standing for each in gathering.studies(home) if each.standing.study]
    members = Counter(each.state for each in home.registry.hospitals.all())
    return Response(
        exposition(standings, {str(state): count for state, count in members.items()}),
        media_type=CONTENT_TYPE,
    )


def _metric(found: gathering.Study, asked: str) -> str:
    known = found.metrics()
    return asked if asked in known else next(iter(known), "")


__all__ = ["COOKIE", "router"]
