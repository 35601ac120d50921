"""`laennec audit`: options in, the study's run and its attacks, a table with the worst case first."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from laennec import screen

StudyFile = Annotated[Path, typer.Argument(help="A study, as TOML: see examples/.", show_default=False)]
Data = Annotated[
    Path | None,
    typer.Option(help="Folder of the hospitals' data (see `laennec tasks NAME`). Absent: digital hospitals."),
]
Out = Annotated[
    Path | None,
    typer.Option(help="Folder of the study's results, run there if it is not yet. Default: runs/STUDY."),
]
Hospitals = Annotated[int, typer.Option(min=1, help="Digital hospitals to make, where --data is absent.")]
Runs = Annotated[int, typer.Option(min=1, help="Canary audits: seeds 1 to so many, all of them reported.")]
Shadows = Annotated[int, typer.Option(min=8, help="Models trained on halves of the patients.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON on standard output, and nothing else.")]


def audit(
    study: StudyFile,
    data: Data = None,
    out: Out = None,
    runs: Runs = 20,
    shadows: Shadows = 64,
    hospitals: Hospitals = 4,
    json: Json = False,
) -> None:
    """Attack a study: what would leak? Exit status 1 where something goes beyond what the study claims."""
    from deploy.audit import audit as attack
    from deploy.audit import finished
    from deploy.federation import Machine
    from deploy.run import resumes_at, run
    from laennec.cli import _prepare

    terms, nodes, out = _prepare(study, data, hospitals, None, out, secret_noise=False)
    try:
        if finished(terms, nodes, out) is None:
            resumed = resumes_at(terms, out)
            with screen.rounds(quiet=json) as follow:
                watch = follow(terms.name, terms.rounds, max(0, (resumed or 2) - 2))
                run(terms, nodes, Machine(), out, watch)
        with screen.attacks(quiet=json) as begin:
            found = attack(terms, nodes, out, runs=runs, shadows=shadows, begin=begin)
    except KeyboardInterrupt:
        screen.err.print("Interrupted: the same command attacks again; a finished run is not repeated.")
        raise typer.Exit(130) from None
    if json:
        screen.print_json(found.audit)
    else:
        screen.out.print(screen.audit_table(found.audit))
        screen.out.print()
        for sentence in (*found.audit["skipped"], found.audit["cannot_show"]):
            screen.out.print(sentence, style="yellow", markup=False, highlight=False)
        screen.conclude(found.card, out)
    if not found.holds:
        raise typer.Exit(1)
