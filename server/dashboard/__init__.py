"""The dashboard: where every study stands, live, in a browser; for people with a token.

Rendered here, from templates that escape; it works without a script, and one small script keeps it live. It
shows what the recordings, the registry and the logs hold, so nothing of a patient, and it takes three
decisions, for those who may launch: launch, stop, resume. Modules: `app` (the application), `guard` (what
every request passes), `seeing` and `acting` (its routes), `gathering` (what the pages show), `drawing` (lines
and bars), `figures` (the report's pictures), `shown` (how templates write things).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fastapi import FastAPI

    from server.home import CoordinatorHome


def application(home: CoordinatorHome) -> FastAPI:
    """The dashboard of this home, to be mounted at the door, behind its TLS."""
    from server.dashboard.app import make_app

    return make_app(home)
