"""The command line: options in, one call, output. Exit status 0 good, 1 failed, 2 wrong use.

Commands import what they need when they are called: torch takes seconds, `--help` should not.
"""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from ground.errors import LaennecError, UsageError
from laennec import screen
from laennec.audit_cli import audit
from laennec.coordinator import coordinator
from laennec.evaluate_cli import evaluate
from laennec.hospital import hospital
from laennec.patients_cli import patients
from laennec.schema_cli import schema

if TYPE_CHECKING:
    from client.hospital import Settings
    from deploy.arms import Plan
    from deploy.compare import Arm
    from deploy.federation import Machine
    from deploy.kept import Kept
    from tasks.study import Study

app = typer.Typer(
    name="laennec",
    help="Hospitals learn together from patients whom nobody else ever sees.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(hospital)
app.add_typer(coordinator)


class EngineName(StrEnum):
    """How messages travel on one machine."""

    local = "local"
    ray = "ray"
    flower = "flower"


class StrategyOption(StrEnum):
    """How updates are combined: the strategies by the names that studies give them."""

    fedavg = "fedavg"
    fedprox = "fedprox"
    fedadam = "fedadam"
    fedyogi = "fedyogi"
    scaffold = "scaffold"
    ditto = "ditto"


def _engine(name: str) -> EngineName:
    """The engine of that name."""
    if name not in list(EngineName):
        raise typer.BadParameter(f"{name!r} is not one of 'local', 'ray', 'flower'.")
    return EngineName(name)


Json = Annotated[bool, typer.Option("--json", help="Print JSON on standard output, and nothing else.")]
Data = Annotated[
    Path | None,
    typer.Option(help="Folder of the hospitals' data (see `laennec tasks NAME`). Absent: digital hospitals."),
]
Out = Annotated[Path | None, typer.Option(help="Folder for the results. Default: runs/STUDY.")]
Seed = Annotated[int | None, typer.Option(min=0, help="Instead of the study's own seed.")]
Workers = Annotated[int, typer.Option(min=1, help="Warm processes; the result does not depend on it.")]
Hospitals = Annotated[int, typer.Option(min=1, help="Digital hospitals to make, where --data is absent.")]
Engine = Annotated[
    EngineName,
    typer.Option(
        parser=_engine,
        metavar="[local|ray|flower]",
        help="local: here; ray: Flower's simulation; flower: SuperLink and nodes as real processes.",
    ),
]
Secret = Annotated[
    bool,
    typer.Option("--secret-noise", help="Noise from the operating system: for a model to be released."),
]
Dropped = Annotated[
    list[str] | None,
    typer.Option(
        metavar="HOSPITAL@ROUND",
        help="Let a hospital vanish in a round, with :late after it has sent. Repeatable.",
    ),
]
StudyFile = Annotated[Path, typer.Argument(help="A study, as TOML: see examples/.", show_default=False)]


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="Folder for the results.")] = Path("runs/demo"),
    seed: Annotated[int, typer.Option(min=0)] = 1,
    json: Json = False,
) -> None:
    """A whole federation on this machine: digital hearts, four hospitals, a gap that is filled, a report."""
    from deploy.compare import NOTHING
    from deploy.demo import STEPS, STRATA, WITHOUT, arms, hearts, on_fresh, prepare
    from deploy.run import write_comparison

    _check_folder(out)
    if not json:
        screen.err.print(
            "Four digital hospitals whose patients are hearts made from recipes; no real patient is among "
            f"them.\nInfarcts are rare in three of them, and {WITHOUT} has not a single one."
        )
    try:
        with screen.bar("digital hospitals", STEPS, "made", quiet=json) as told:
            study, nodes, fresh = prepare(out, seed, told)
        finished = _run_arms(study, nodes, _machine(EngineName.local, 1), arms(study), 1, NOTHING, json=json)
        with screen.bar("digital hearts in pictures", len(STRATA), "made", quiet=json) as told:
            sheet = hearts(study, out, told)
    except KeyboardInterrupt:
        screen.err.print("Interrupted: the demo begins again.")
        raise typer.Exit(130) from None
    seen = on_fresh(finished, fresh)
    written = write_comparison(finished, out, nodes, {"fresh": seen}, sheet)
    if json:
        screen.print_json(written.result)
        return
    screen.out.print(screen.arms_table(written.result))
    screen.out.print()
    title = f"{seen['patients']} fresh digital hearts that no hospital knows"
    ordered = {
        label: {name: each[name] for name in seen["metrics"]} for label, each in seen["models"].items()
    }
    screen.out.print(screen.hospitals_table(title, ordered, heading="model"))
    screen.conclude(written.card, out)


@app.command()
def run(
    study: StudyFile,
    data: Data = None,
    engine: Engine = EngineName.local,
    hospitals: Hospitals = 4,
    seed: Seed = None,
    out: Out = None,
    workers: Workers = 1,
    secret_noise: Secret = False,
    drop: Dropped = None,
    json: Json = False,
) -> None:
    """Run a study over hospitals on this machine. An interrupted run goes on where it stopped."""
    from deploy.run import STATE, resumes_at
    from deploy.run import run as run_study

    machine = _machine(engine, workers, secret_noise=secret_noise)
    terms, nodes, out = _prepare(study, data, hospitals, seed, out, secret_noise=secret_noise)
    machine = _with_drops(machine, drop or [], terms, nodes)
    resumed = resumes_at(terms, out)
    with screen.rounds(quiet=json) as follow:
        if resumed and not json:
            screen.err.print(
                f"Going on with the unfinished run in {out}, at round {resumed}.", soft_wrap=True
            )
        watch = follow(terms.name, terms.rounds, max(0, (resumed or 2) - 2))
        try:
            finished = run_study(terms, nodes, machine, out, watch)
        except KeyboardInterrupt:
            begun = (out / STATE).exists() and resumes_at(terms, out) is not None
            how = "goes on from here" if begun else "begins again, as no round was asked for yet"
            screen.err.print(f"Interrupted: the same command {how}.")
            raise typer.Exit(130) from None
    if json:
        screen.print_json(finished.result)
        return
    metrics = {each["name"]: each["metrics"] for each in finished.result["hospitals"]}
    mean = {name: finished.result["metrics"][name] for name in next(iter(metrics.values()))}
    screen.out.print(screen.hospitals_table(f"{terms.name}: test patients", {**metrics, "mean": mean}))
    screen.conclude(finished.card, out)


@app.command()
def compare(
    study: StudyFile,
    data: Data = None,
    engine: Engine = EngineName.local,
    hospitals: Hospitals = 4,
    seed: Seed = None,
    out: Out = None,
    workers: Workers = 1,
    seeds: Annotated[int, typer.Option(min=1, help="Repeat with so many seeds; report mean and sd.")] = 1,
    epsilon: Annotated[
        list[float] | None, typer.Option(help="One more DP arm at this ε. Repeatable.")
    ] = None,
    strategy: Annotated[
        list[StrategyOption] | None, typer.Option(help="Arms under another strategy too. Repeatable.")
    ] = None,
    arm: Annotated[
        list[str] | None,
        typer.Option(help="Only this arm, by its name in result.json. Repeatable.", show_default=False),
    ] = None,
    json: Json = False,
) -> None:
    """Own hospital | federated | federated + DP | pooled, side by side on the same test patients.

    An interrupted comparison goes on with the arms that are missing.
    """
    from deploy.arms import chosen, plans
    from deploy.kept import kept_in
    from deploy.run import write_comparison

    machine = _machine(engine, workers)
    terms, nodes, out = _prepare(study, data, hospitals, seed, out, secret_noise=False)
    arms = chosen(plans(terms, epsilon or [], [each.value for each in strategy or []]), arm or [])
    try:
        with kept_in(out, nodes) as kept:
            finished = _run_arms(terms, nodes, machine, arms, seeds, kept, json=json)
            written = write_comparison(finished, out, nodes)
    except KeyboardInterrupt:
        screen.err.print("Interrupted: the same command goes on with the arms that are missing.")
        raise typer.Exit(130) from None
    if json:
        screen.print_json(written.result)
        return
    screen.out.print(screen.arms_table(written.result))
    screen.conclude(written.card, out)


app.command()(evaluate)


@app.command()
def tasks(
    name: Annotated[str | None, typer.Argument(help="One task, in full.")] = None, json: Json = False
) -> None:
    """What can be learned here, and what data it wants."""
    from laennec.tasks_screen import show_all, show_one
    from tasks.registry import broken, find, installed

    if name is None:
        show_all(installed(), broken().values(), json=json)
    else:
        show_one(find(name), json=json)


app.command()(patients)
app.command()(audit)
app.command()(schema)


def _prepare(
    study: Path, data: Path | None, hospitals: int, seed: int | None, out: Path | None, *, secret_noise: bool
) -> tuple[Study, list[Settings], Path]:
    """The study with its seed, its nodes, and the folder for results."""
    from deploy.digital import nodes_for
    from tasks.study import load

    terms = load(study)
    if seed is not None:
        terms = terms.with_seed(seed)
    out = out or Path("runs") / terms.name
    _check_folder(out)
    return terms, nodes_for(terms, data, hospitals, out, secret_noise=secret_noise), out


def _check_folder(out: Path) -> None:
    """Raises UsageError where results could not be written because a file is in the way."""
    for path in (out, *out.parents):
        if path.exists() and not path.is_dir():
            raise UsageError(f"{path}: is a file: give a folder with --out")


def _machine(engine: EngineName, workers: int, *, secret_noise: bool = False) -> Machine:
    from deploy.federation import Machine

    return Machine(engine.value, workers, secret_noise)


def _with_drops(machine: Machine, drops: list[str], study: Study, nodes: list[Settings]) -> Machine:
    """The machine with its faults on purpose; raises UsageError on another engine than the local one."""
    from dataclasses import replace

    from deploy.engines.faults import parse_drops

    if drops and machine.engine != "local":
        raise UsageError("--drop is a switch of the local engine: leave --engine out")
    names = [node.name for node in nodes]
    return replace(machine, drops=parse_drops(drops, names, study.rounds, secure=study.secure))


def _run_arms(
    study: Study,
    nodes: list[Settings],
    machine: Machine,
    arms: list[Plan],
    seeds: int,
    kept: Kept,
    *,
    json: bool,
) -> list[Arm]:
    """Run the arms with a bar each."""
    from deploy.compare import Watch, run_arms

    with screen.rounds(quiet=json) as follow:

        def watching(plan: Plan) -> Watch:
            if plan.who == "nobody":
                return follow(plan.label, 1, unit="steps")
            federations = seeds * (len(nodes) if plan.who == "alone" else 1)
            return follow(plan.label, study.rounds * federations)

        return run_arms(arms, nodes, machine, seeds, watching, kept)


def main() -> None:
    """Run the command line; an error of ours is one line and an exit status, never a traceback."""
    try:
        app()
    except LaennecError as error:
        screen.err.print(f"[red]error:[/] {escape(str(error))}", soft_wrap=True, highlight=False)
        sys.exit(error.exit_code)
    except OSError as error:
        text = f"{error.filename}: {error.strerror}: check the path, its permissions and the disk"
        screen.err.print(f"[red]error:[/] {escape(text)}", soft_wrap=True, highlight=False)
        sys.exit(1)
