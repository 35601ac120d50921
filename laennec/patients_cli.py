"""`laennec patients`: digital patients on disk, tables for a task or whole hearts for a cohort."""

from __future__ import annotations

import difflib
from json import loads
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ground.errors import UsageError
from laennec import screen

if TYPE_CHECKING:
    from collections.abc import Sequence

    from simulation.heart.export.cohort import Wanted
    from simulation.recipe import Recipe

MOST_SLICES, MOST_PHASES = 30, 100
ONLY_HEARTS = "Hearts only: "


def patients(
    task: Annotated[
        str,
        typer.Argument(
            help="The task whose simulator is used, a cohort of hearts (infarct, ventricle-segmentation), or "
            "heterogeneous.",
            show_default=False,
        ),
    ],
    out: Annotated[Path, typer.Option(help="Folder to write into.", show_default=False)],
    stratum: Annotated[
        str | None,
        typer.Option(
            help="Which group of patients. Hearts: KEY=VALUE, comma between, of group, territory, segments, "
            "age, scanner; what is left out is drawn, as in territory=LAD,age=scar. Heterogeneous: numbers "
            "of its recipe, as in variants=100000,heritability=0.2,site-2.offset=0.5.",
            show_default=False,
        ),
    ] = None,
    recipe: Annotated[
        Path | None,
        typer.Option(help="Hearts and heterogeneous: a recipe.json; makes those patients again."),
    ] = None,
    panel: Annotated[
        Path | None,
        typer.Option(help="Heterogeneous only: an .npz with haplotypes of your own to copy from."),
    ] = None,
    count: Annotated[
        int | None, typer.Option(min=1, help="How many. Default: 100, hearts 10, heterogeneous 1000.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Another seed, other patients.")] = 1,
    dicom: Annotated[bool, typer.Option("--dicom", help=ONLY_HEARTS + "the cine as DICOM.")] = False,
    enhancement: Annotated[
        bool, typer.Option("--lge", help=ONLY_HEARTS + "late gadolinium enhancement too.")
    ] = False,
    randomise: Annotated[
        bool,
        typer.Option(
            "--randomise", help=ONLY_HEARTS + "grey values, shapes and resolution at random, to train on."
        ),
    ] = False,
    slices: Annotated[
        int, typer.Option(min=1, max=MOST_SLICES, help=ONLY_HEARTS + "short-axis slices.")
    ] = 10,
    phases: Annotated[
        int, typer.Option(min=2, max=MOST_PHASES, help=ONLY_HEARTS + "phases of the cycle.")
    ] = 20,
    workers: Annotated[int, typer.Option(min=1, help=ONLY_HEARTS + "processes; the files are the same.")] = 1,
    json: Annotated[
        bool, typer.Option("--json", help="Print JSON on standard output, and nothing else.")
    ] = False,
) -> None:
    """Digital patients, with labels and recipes. The same recipe, the same bytes.

    Tables, for a task such as heart-disease, come in a layout that --data takes.

    Hearts, for the cohorts infarct and ventricle-segmentation, come as images (NIfTI or DICOM) with labels,
    strains, volumes, an electrocardiogram, a contact sheet and a heart that beats. For example:
    laennec patients infarct --count 20 --stratum territory=LAD --out hearts

    Heterogeneous makes people at several sites with genotypes (PLINK), images, CSF, cognition and activity
    (Parquet, described by a schema.toml that the task reads), and truth.json, which says every effect.
    """
    from laennec import cohort_cli
    from simulation.heart.strata import COHORTS

    for path in (out, *out.parents):
        if path.exists() and not path.is_dir():
            raise UsageError(f"{path}: is a file: give a folder with --out")
    if task == cohort_cli.NAME:
        if dicom or enhancement or randomise:
            raise UsageError("--dicom, --lge and --randomise are for hearts: leave them out")
        cohort_cli.write(stratum or "", count, seed, out, recipe, panel, json=json)
        return
    if panel:
        raise UsageError(f"--panel is for {cohort_cli.NAME} patients: leave it out")
    if task not in COHORTS:
        near = difflib.get_close_matches(task, (*COHORTS, cohort_cli.NAME), n=1)
        if near:
            raise UsageError(f"no task or cohort called {task}: did you mean {near[0]}?")
        if dicom or enhancement or randomise or recipe:
            raise UsageError(
                f"--recipe, --dicom, --lge and --randomise are for hearts ({', '.join(COHORTS)}): "
                "leave them out"
            )
        _tables(task, stratum, count or 100, seed, out, json=json)
        return
    from simulation.heart.export.cohort import Wanted
    from simulation.heart.picture import Protocol
    from simulation.heart.strata import recipes

    if recipe is not None:
        made, wanted = _told(recipe)
    else:
        protocol = Protocol(slices=slices, phases=phases, enhancement=enhancement, randomise=randomise)
        wanted = Wanted(protocol, as_dicom=dicom)
        made = recipes(stratum or "any", count or 10, seed, cohort=task)
    folders = _hearts(made, out, wanted, workers, quiet=json)
    if json:
        said = {"task": task, "stratum": made[0].stratum, "count": len(made), "seed": seed}
        screen.print_json({**said, "patients": [str(each) for each in folders]})
        return
    screen.out.print(
        f"{len(made)} digital heart{'s' if len(made) > 1 else ''} in {out}: look at contact-sheet.png and "
        "heart.gif, read cohort.csv.",
        soft_wrap=True,
    )


def _told(file: Path) -> tuple[list[Recipe], Wanted]:
    """The recipe of a recipe.json, and how it was imaged; raises UsageError where it is none."""
    from simulation.heart.export.cohort import Wanted
    from simulation.heart.picture import Protocol
    from simulation.recipe import Recipe

    try:
        said = loads(file.read_text())
        protocol, as_dicom = Protocol(**said.pop("protocol")), bool(said.pop("dicom"))
        made = Recipe(**said)
        within = protocol.slices in range(1, MOST_SLICES + 1) and protocol.phases in range(2, MOST_PHASES + 1)
        if not within or made.seed < 0:
            raise ValueError("beyond what the options allow")
        return [made], Wanted(protocol, as_dicom)
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise UsageError(f"{file}: is not a heart's recipe.json: give one that this command wrote") from error


def _hearts(recipes: Sequence[Recipe], out: Path, wanted: Wanted, workers: int, *, quiet: bool) -> list[Path]:
    """Write them with a bar; an interrupted command says how it goes on."""
    from simulation.heart.export.cohort import write_cohort

    with screen.bar("digital hearts", len(recipes), "patients", quiet=quiet) as advanced:
        try:
            return write_cohort(recipes, out, wanted, advanced, workers)
        except KeyboardInterrupt:
            screen.err.print("Interrupted: the same command goes on from here.")
            raise typer.Exit(130) from None


def _tables(task: str, stratum: str | None, count: int, seed: int, out: Path, *, json: bool) -> None:
    from deploy.digital import write_patients
    from tasks.registry import find

    found = find(task)
    if stratum is None:
        known = ", ".join(found.strata) or "none: this task has no simulator"
        raise UsageError(f"which group of patients? give --stratum: the strata of {task} are {known}")
    table = write_patients(found, stratum, count, seed, stratum, out)
    if json:
        screen.print_json(
            {"task": task, "stratum": stratum, "count": count, "seed": seed, "table": str(table)}
        )
        return
    screen.out.print(f"{count} digital patients: {table}, recipes beside it.", soft_wrap=True)
