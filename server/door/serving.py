"""How the front door is served: uvicorn, with TLS always and a certificate that is renewed while it runs."""

from __future__ import annotations

from functools import partial

from uvicorn import Config

from server.authority.reloading import LOOK_EVERY, reloading_context
from server.door.application import application
from server.home import CoordinatorHome

CONNECTIONS = 256  # at once


def config(home: CoordinatorHome, *, port: int | None = None, every: float = LOOK_EVERY) -> Config:
    """For `uvicorn.Server`: the door of this home, at the address and port that its settings name."""
    host = home.written.listen
    files = home.certificates
    return Config(
        application(home),
        host=host,
        port=int(home.written.door.rpartition(":")[2]) if port is None else port,
        ssl_certfile=str(files.certificate),
        ssl_keyfile=str(files.key),
        ssl_context_factory=partial(reloading_context, every=every),
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        lifespan="off",
        ws="none",
        http="h11",
        limit_concurrency=CONNECTIONS,
        timeout_keep_alive=15,
        timeout_graceful_shutdown=3,
    )
