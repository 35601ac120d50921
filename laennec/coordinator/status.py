"""`laennec coordinator status`: where everything stands, at a glance or followed."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from laennec import screen
from laennec.coordinator.app import HomeOption, Json, coordinator, opened
from laennec.coordinator.launch import as_json

if TYPE_CHECKING:
    from server.home import CoordinatorHome
    from server.recording import Standing
    from server.registry.studies import Launched

LOOK_EVERY = 1.0
OVER = ("finished", "failed", "stopped")

Study = Annotated[
    str | None,
    typer.Argument(
        metavar="[STUDY]",
        help="One study in full: its name, or the first digits (6 or more) of its digest.",
        show_default=False,
    ),
]
Follow = Annotated[bool, typer.Option("--follow", help="Look on until it is over, or until Ctrl-C.")]


@coordinator.command()
def status(study: Study = None, home: HomeOption = None, follow: Follow = False, json: Json = False) -> None:
    """The coordinator and its studies: rounds, whom each waits for and how long, who contributed.

    With --follow it ends when every study shown is over: 0 where all are
    finished, 1 where one failed. With --json and --follow, a document a line.
    """
    place = opened(home)
    digest = None if study is None else place.registry.studies.find(study).digest
    if not follow:
        _show(place, digest, json=json)
        return
    try:
        failed = _follow(place, digest, json=json)
    except KeyboardInterrupt:
        raise typer.Exit(130) from None
    raise typer.Exit(1 if failed else 0)


def _chosen(home: CoordinatorHome, digest: str | None) -> list[Launched]:
    studies = home.registry.studies
    return list(studies.all()) if digest is None else [studies.get(digest)]


def _show(home: CoordinatorHome, digest: str | None, *, json: bool) -> None:
    if json:
        screen.print_json(seen(home, digest))
    else:
        screen.out.print(_drawn(home, digest))


def _follow(home: CoordinatorHome, digest: str | None, *, json: bool) -> bool:
    """Whether one failed, once all are over."""
    if json or not screen.out.is_terminal:
        return _follow_lines(home, digest, json=json)
    with Live(console=screen.out, auto_refresh=False) as live:
        while True:
            live.update(_drawn(home, digest), refresh=True)
            states = [each.state for each in _chosen(home, digest)]
            if all(each in OVER for each in states):
                return "failed" in states
            time.sleep(LOOK_EVERY)


def _follow_lines(home: CoordinatorHome, digest: str | None, *, json: bool) -> bool:
    """A line whenever something changed, for files and for programs."""
    import json as coder

    said: dict[str, object] = {}
    while True:
        chosen = _chosen(home, digest)
        for each in chosen:
            where = _standing(home, each)
            # That one waits a second longer is no news; whom it waits for is.
            news = (
                each.state,
                each.wanted,
                each.why,
                where.round,
                [wait.hospitals for wait in where.waiting],
            )
            if said.get(each.digest) != news:
                said[each.digest] = news
                line = coder.dumps(_seen(home, each), ensure_ascii=False) if json else _line(each, where)
                print(line, flush=True)  # noqa: T201
        if all(each.state in OVER for each in chosen):
            return any(each.state == "failed" for each in chosen)
        time.sleep(LOOK_EVERY)


def seen(home: CoordinatorHome, digest: str | None = None) -> dict[str, Any]:
    """All of it, ready for JSON."""
    from dataclasses import asdict

    from server.coordinating.status import read_status

    said = read_status(home)
    return {
        "federation": home.name,
        "coordinator": None if said is None else asdict(said),
        "studies": [_seen(home, each) for each in _chosen(home, digest)],
    }


def _seen(home: CoordinatorHome, launched: Launched) -> dict[str, Any]:
    return as_json(launched) | {"standing": _standing(home, launched).to_dict()}


def _standing(home: CoordinatorHome, launched: Launched) -> Standing:
    from server.coordinating.places import places_of
    from server.recording import standing

    return standing(places_of(home, launched.digest).folder)


def _drawn(home: CoordinatorHome, digest: str | None) -> Group:
    parts: list[Text | Table] = [_head(home)]
    chosen = _chosen(home, digest)
    if not chosen:
        parts.append(Text("No study was launched yet: `laennec coordinator launch STUDY.toml`."))
    for each in chosen:
        where = _standing(home, each)
        parts += [Text(), Text(_line(each, where), style="red" if each.state == "failed" else "")]
        if digest is not None or each.state not in OVER:
            parts.append(_hospitals(each, where))
    return Group(*parts)


def _head(home: CoordinatorHome) -> Text:
    from server.coordinating.status import read_status

    said = read_status(home)
    words = {
        "running": "runs" if said and said.serving else "runs; its SuperLink does not answer yet",
        "stopped": "is stopped",
        "dead": "was killed: `laennec coordinator start` goes on",
    }
    state = "was never started" if said is None else words.get(said.state, said.state)
    return Text(f"The coordinator of {home.name} {state}.", style="bold")


def _line(launched: Launched, where: Standing) -> str:
    """One study in one line."""
    said = f"{launched.name} ({launched.digest[:12]}): {launched.state}"
    if launched.state == "running" and launched.wanted == "stop":
        said += ", stops after this step"
    if where.rounds:
        said += f", round {where.round} of {where.rounds}"
    if launched.state == "running" and where.prepared:
        said += f", {100 * where.prepared[0] // max(1, where.prepared[1])} % of its digital start"
    if launched.state in ("running", "waiting"):
        said += "".join(f"; {each.sentence}" for each in where.waiting)
    return f"{said}: {launched.why}" if launched.why else said


def _hospitals(launched: Launched, where: Standing) -> Table:
    """Who takes part: heard of when, contributed how often, at what cost."""
    table = Table(box=SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0))
    for name in ("hospital", "last answer", "rounds", "ε", "trouble"):
        table.add_column(name, overflow="fold", justify="right" if name in ("rounds", "ε") else "left")
    known = {each.name: each for each in where.hospitals}
    for name in launched.hospitals:
        each = known.get(name)
        if each is None:
            table.add_row(Text(name), "–", "–", "–", "")
            continue
        cost = where.spent_at(each)
        table.add_row(
            Text(name),
            Text("–" if each.contact is None else _ago(each.contact)),
            Text(str(len(each.contributed))),
            Text("–" if cost is None else "∞" if cost == float("inf") else f"{cost:.3f}"),
            Text(each.trouble),
        )
    return table


def _ago(moment: float) -> str:
    from server.events import duration

    return f"{duration(max(0.0, time.time() - moment))} ago"
