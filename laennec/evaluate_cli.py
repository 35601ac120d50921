"""`laennec evaluate`: options in, a model on a folder of hospitals, a table for each."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from laennec import screen


def evaluate(
    model: Annotated[Path, typer.Argument(help="A model.safetensors.", show_default=False)],
    task: Annotated[str, typer.Option(help="The task that it was trained for.", show_default=False)],
    data: Annotated[Path, typer.Option(help="Folder of the hospitals' data.", show_default=False)],
    test_only: Annotated[
        bool, typer.Option("--test-only", help="Only the task's test patients: for data it was trained on.")
    ] = False,
    labels: Annotated[
        str | None,
        typer.Option(
            metavar="FILE|NAME=NUMBER,…",
            help="How images are labelled, as in lv=3,myocardium=2,rv=1, or a TOML file that says it.",
        ),
    ] = None,
    json: Annotated[
        bool, typer.Option("--json", help="Print JSON on standard output, and nothing else.")
    ] = False,
) -> None:
    """A trained model on data of your own. Nothing is trained, nothing leaves this machine."""
    from client.evaluation import evaluated, load_model, parse_labels, patient_by_patient
    from deploy.federation import hospitals_in
    from server.report.result import plain
    from tasks.registry import find

    found = find(task)
    numbers = parse_labels(labels) if labels else ()
    nodes = hospitals_in(task, data, None, secret_noise=False)
    every = evaluated(found, load_model(model, found), nodes, everybody=not test_only, labels=numbers)
    values = {name: plain(each.metrics) for name, each in every.items()}
    patients = {name: patient_by_patient(each) for name, each in every.items() if each.patients}
    if json:
        said = {"task": task, "model": str(model), "test_only": test_only, "hospitals": values}
        screen.print_json({**said, "patients": patients} if patients else said)
        return
    for name, rows in patients.items():
        screen.out.print(screen.patients_table(f"{name}: patient by patient", rows, found.headline))
        screen.out.print()
    whom = "test patients" if test_only else "all patients"
    screen.out.print(screen.hospitals_table(f"{task}: {model.name} on {whom}", values))
