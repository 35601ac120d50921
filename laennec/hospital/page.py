"""`laennec hospital page`: the hospital's page, in a browser on this machine."""

from __future__ import annotations

from typing import Annotated

import typer

from laennec import screen
from laennec.hospital.app import HomeOption, hospital, opened

Port = Annotated[
    int, typer.Option(min=0, max=65535, help="The port, of this machine alone. 0 takes any that is free.")
]
Open = Annotated[
    bool, typer.Option("--open/--no-open", help="Open it in your browser, where there is a screen.")
]


@hospital.command()
def page(home: HomeOption = None, port: Port = 0, show: Open = True) -> None:
    """The hospital's page: decide on studies, see budget, journal, quarantine, what runs.

    On this machine alone, until Ctrl-C. The link that is shown works once; the
    next one is shown when it was used. Asked again while the page is open, the
    command shows the link that works now.
    """
    from client.page import server

    path = opened(home).path
    running = server.link_of(path)
    if running is not None:
        _say(f"The page is open already. Its next link, which works once: {running}")
        if show:
            server.show(path)
        return
    seen: list[str] = []

    def linked(link: str) -> None:
        _say(
            f"For another browser, once: {link}" if seen else f"The page, with a link that works once: {link}"
        )
        if not seen and show:
            server.show(path)
        seen.append(link)

    server.serve(path, port, linked)
    _say("The page is closed.")


def _say(text: str) -> None:
    screen.out.print(text, soft_wrap=True, highlight=False, markup=False)
