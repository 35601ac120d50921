"""The task `imaging-genetics`: which variants go with which pattern of the image (partial least squares)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from torch import nn

from ground.arrays import Array
from ground.errors import StudyError
from simulation.recipe import Recipe, write_recipes
from tasks.contract import Column, Task
from tasks.imaging_genetics import digital, options, reading
from tasks.imaging_genetics.export import write
from tasks.imaging_genetics.model import Projection, loss, metrics
from tasks.imaging_genetics.options import Options
from tasks.imaging_genetics.patients import groups
from tasks.imaging_genetics.pictures import overview
from tasks.learners.analyses import side_by_side
from tasks.learners.partial_least_squares import Found, PartialLeastSquares
from tasks.learners.products import View
from tasks.patients import Indices, Patients
from tasks.study import Study

TESTED = 3  # one patient of so many
SCHEMA = (
    Column("genotypes", "copies of each variant's first allele, as PLINK counts them", categories=(0, 1, 2)),
    Column(
        "phenotypes", "imaging phenotypes, one column each; whatever their unit, it is the same everywhere"
    ),
)


def split(patients: Patients) -> tuple[Indices, Indices]:
    """Every third patient in the order of the genotypes is tested: (training, test)."""
    everybody = np.arange(len(patients), dtype=np.int64)
    return everybody[everybody % TESTED > 0], everybody[everybody % TESTED == 0]


def learner(_: Task, study: Study) -> PartialLeastSquares:
    """As the study's options have it; raises StudyError for digital patients mixed in, or too few rounds."""
    if study.synthetic is not None:
        raise StudyError(
            f"task {study.task} learns in sums, which no digital patients are mixed into: remove [synthetic]"
        )
    chosen, terms = options.parse(study.options), study.privacy
    block = chosen.block or chosen.components
    widest = min(chosen.phenotypes, chosen.variants)
    width = block if terms else min(block + chosen.spare, widest)
    extra = (0, 0) if terms else (chosen.permutations, chosen.splits)
    return PartialLeastSquares(
        widths=(chosen.phenotypes, chosen.variants),
        components=chosen.components,
        block=block,
        analyses=side_by_side(chosen.components, width, *extra),
        rounds=study.rounds,
        seed=study.seed,
        unit=terms.clip / 2.0 * terms.sampling_rate if terms else 0.0,
        tables=_tables,
        assembled=_assembled,
        parameters=_parameters(chosen),
    )


def specialised(task: Task, text: str) -> Task:
    """The task over tables of the size that a study's options give."""
    return _with(task, options.parse(text))


def export(recipes: list[Recipe], hospital: str, folder: Path) -> Path:
    """HOSPITAL/genotypes.bed and phenotypes.npy as `read` takes them, and HOSPITAL.recipes.jsonl."""
    path = folder / hospital
    write(path, digital.simulate(recipes))
    write_recipes(recipes, folder / f"{hospital}.recipes.jsonl")
    return path


def _tables(patients: Patients) -> Sequence[tuple[View, View]]:
    return [(each.imaging, each.genetics) for each in groups(patients)]


def _parameters(chosen: Options) -> int:
    k = chosen.components
    return k * (chosen.phenotypes + chosen.variants) + 5 * k + 2 * (chosen.phenotypes + chosen.variants)


def _assembled(found: Found) -> Array:
    """The parameters of `Projection` in their order."""
    pairs = found.components
    slope = pairs.values / np.maximum(found.power, 1e-12)
    return np.concatenate(
        [
            pairs.left.T.ravel(),
            pairs.right.T.ravel(),
            slope,
            pairs.values,
            found.p_value,
            found.reliability.ravel(),
            found.imaging.mean,
            found.imaging.inverse,
            found.genetics.mean,
            found.genetics.inverse,
        ]
    )


def _with(task: Task, chosen: Options) -> Task:
    def model() -> nn.Module:
        return Projection(chosen)

    return replace(task, model=model, read=partial(reading.read, options=chosen))


TASK = _with(
    Task(
        name="imaging-genetics",
        version=1,
        summary="which genetic variants go with which pattern of the image, by partial least squares",
        schema=SCHEMA,
        headline="correlation",
        model=lambda: Projection(Options()),
        loss=loss,
        metrics=metrics,
        hospitals=reading.hospitals,
        read=partial(reading.read, options=Options()),
        split=split,
        strata=digital.STRATA,
        recipes=digital.recipes,
        simulate=digital.simulate,
        export=export,
        guide=(Path(__file__).parent / "README.md").read_text(encoding="utf-8"),
        learner=learner,
        specialised=specialised,
        overview=overview,
    ),
    Options(),
)
