"""A whole study on one machine: hospitals, engine, coordinator, and what came out."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from flwr.app import Context, RecordDict, UserConfigValue

from client.app import app as client_app
from client.hospital import Settings
from deploy.engines.faults import Drop
from deploy.engines.local import LocalGrid
from ground.errors import DataError, FederationError, PrivacyError, StudyError, UsageError
from privacy.randomness import seeded_key
from privacy.secagg import Identity
from server.app import app as server_app
from server.events import Advanced, Event, halt, listening
from server.progress import Progress
from server.results import Seconds
from tasks.registry import find
from tasks.study import Study

Engine = Literal["local", "ray", "flower"]
REPLY_SECONDS = 3600.0


@dataclass(frozen=True)
class Machine:
    """How a study is run on this machine.

    Attributes:
        engine: "local", "ray" or "flower".
        workers: warm processes of the local engine, or concurrent clients of ray; flower has one a hospital.
        secret_noise: draw noise from the operating system instead of the study's seed.
        drops: hospitals that vanish on purpose, on the local engine.

    """

    engine: Engine = "local"
    workers: int = 1
    secret_noise: bool = False
    drops: tuple[Drop, ...] = ()


@dataclass(frozen=True)
class Outcome:
    """A finished study and how it was run."""

    progress: Progress
    machine: Machine
    seconds: Seconds
    left_out: tuple[tuple[int, str, str], ...]

    @property
    def study(self) -> Study:
        """The study that was run."""
        return self.progress.study


def hospitals_in(task_name: str, folder: Path, home: Path | None, *, secret_noise: bool) -> list[Settings]:
    """One node for each hospital that the task finds in the folder, by name in alphabetical order.

    That is the order of the roster too (`server.round`), and so of every result, table and report.
    """
    found = find(task_name).hospitals(folder)
    if not found:
        raise DataError(
            f"{folder}: no hospital in it: `laennec tasks {task_name}` says what is expected there"
        )
    return [
        Settings(
            name=name,
            sources=(str(source.resolve()),),
            home=None if home is None else home / name,
            secret_noise=secret_noise,
            discloses=True,
            trusts_sum=True,
        )
        for name, source in sorted(found.items())
    ]


def introduced(hospitals: Sequence[Settings]) -> list[Settings]:
    """The same hospitals, each with an identity and the others' public ones, as secure aggregation asks.

    One owner has all the data here, so the identities come from the names: they exercise the protocol, and
    protect nobody.
    """
    identities = {each.name: Identity.from_bytes(seeded_key(0, "identity", each.name)) for each in hospitals}
    publics = {name: identity.public.hex() for name, identity in identities.items()}
    return [
        replace(
            each,
            identity=identities[each.name].to_bytes().hex(),
            peers=tuple((peer, key) for peer, key in publics.items() if peer != each.name),
        )
        for each in hospitals
    ]


def pooled(hospitals: Sequence[Settings]) -> Settings:
    """All hospitals' patients as one hospital's: what learning without any border would give."""
    sources = tuple(source for hospital in hospitals for source in hospital.sources)
    return replace(hospitals[0], name="pooled", sources=sources, home=None)


def federate(
    study: Study,
    hospitals: Sequence[Settings],
    machine: Machine,
    home: Path | None = None,
    watch: Callable[[Event], None] | None = None,
) -> Outcome:
    """Run the study over these hospitals; `home` keeps the coordinator's state and lets it resume.

    Raises LaennecError where it cannot be run or finished.
    """
    if not hospitals:
        raise UsageError("a study needs at least one hospital")
    try:
        study.plan()
    except PrivacyError as error:
        raise StudyError(f"study {study.name}: {error}") from error
    if study.secure:
        hospitals = introduced(hospitals)
    steps: list[Advanced] = []

    def collect(event: Event) -> None:
        if isinstance(event, Advanced):
            steps.append(event)
        if watch is not None:
            watch(event)

    settings: dict[str, UserConfigValue] = {
        "study": study.to_toml(),
        "hospitals": len(hospitals),
        "home": "" if home is None else str(home),
        "reply-seconds": REPLY_SECONDS,
    }
    started = time.perf_counter()
    halt.clear()
    with listening(collect):
        if machine.engine == "ray":
            from deploy.engines.ray import run_on_ray

            run_on_ray(server_app, client_app, json.dumps(settings), hospitals, machine.workers)
        elif machine.engine == "flower":
            from deploy.engines.flower import run_on_flower

            run_on_flower(server_app, study, settings, hospitals)
        else:
            with LocalGrid(client_app, hospitals, machine.workers, machine.drops) as grid:
                server_app(grid, Context(1, 0, {}, RecordDict(), settings))
    if not steps or steps[-1].progress.phase != "done":
        raise FederationError(f"study {study.name} ended before its last round: run it again to go on")
    return Outcome(
        steps[-1].progress, machine, _clock(steps, time.perf_counter() - started), _left_out(steps)
    )


def _clock(steps: list[Advanced], total: float) -> Seconds:
    """The first training round is left out of the overhead where there are others: it warms workers up.

    With secure aggregation a round has several steps, whose overheads add up.
    """
    counted = [step for step in steps if step.progress.round > 1 or step.progress.phase == "report"]
    over = sum(max(0.0, step.seconds - step.busy) for step in counted)
    rounds = len({step.round for step in counted})
    return Seconds(total, sum(step.busy for step in steps), over / max(1, rounds))


def _left_out(steps: list[Advanced]) -> tuple[tuple[int, str, str], ...]:
    return tuple((step.round, name, why) for step in steps for name, why in step.left_out)
