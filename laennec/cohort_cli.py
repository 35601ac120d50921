"""`laennec patients heterogeneous`: people at several sites, with everything that is measured in them."""

from __future__ import annotations

from json import loads
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from ground.errors import UsageError
from laennec import screen

if TYPE_CHECKING:
    from simulation.recipe import Recipe

NAME = "heterogeneous"
COUNT = 1000


def write(
    stratum: str,
    count: int | None,
    seed: int,
    out: Path,
    told: Path | None,
    panel: Path | None,
    *,
    json: bool,
) -> None:
    """Make the cohort with a bar, and say what lies where."""
    from simulation.cohort.export import write_cohort
    from simulation.cohort.panel import given
    from simulation.cohort.site import Cohort
    from simulation.cohort.terms import recipe

    if told is None:
        made, number = recipe(stratum, seed), count or COUNT
    else:
        if stratum:
            raise UsageError("--recipe says everything already: leave --stratum out")
        made, number = _read(told, count)
    cohort = Cohort(made, number, None if panel is None else given(panel))
    sites = len(cohort.terms.sites)
    if number < sites:
        raise UsageError(f"--count {number}: {sites} sites need a patient each")
    with screen.bar("digital people", number, "patients", quiet=json) as advanced:
        try:
            folders = write_cohort(cohort, out, advanced)
        except KeyboardInterrupt:
            screen.err.print("Interrupted: the same command goes on from here.")
            raise typer.Exit(130) from None
    if json:
        screen.print_json(
            {"task": NAME, "count": number, "seed": made.seed, "sites": [str(each) for each in folders]}
        )
        return
    screen.out.print(
        f"{number} digital people at {sites} site{'s' if sites > 1 else ''} in {out}: each folder is what a "
        "hospital would have; truth.json says what a method should find.",
        soft_wrap=True,
    )


def _read(file: Path, count: int | None) -> tuple[Recipe, int]:
    """The recipe of a recipe.json, and for how many; raises UsageError where it is none."""
    from simulation.cohort.terms import terms
    from simulation.recipe import Recipe

    try:
        said = loads(file.read_text(encoding="utf-8"))
        made, number = Recipe(**said["recipe"]), int(said["count"])
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise UsageError(f"{file}: is not a cohort's recipe.json: give one of this command's") from error
    terms(made)
    return made, count or number
