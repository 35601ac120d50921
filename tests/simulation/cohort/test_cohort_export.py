"""A cohort on disk: the same bytes for the same recipe, whole sites or none, and what the tasks read."""

from __future__ import annotations

import json

import numpy as np
import polars
import pytest
from bed_reader import open_bed

from ground.errors import UsageError
from simulation.cohort import export
from simulation.cohort.site import Cohort
from simulation.cohort.terms import recipe
from tasks.channels.schema import load

STRATUM = "variants=176,side=3,sites=2"


def cohort(seed: int = 1, stratum: str = STRATUM) -> Cohort:
    return Cohort(recipe(stratum, seed), 60)


def contents(folder) -> dict[str, bytes]:
    return {str(each.relative_to(folder)): each.read_bytes() for each in folder.rglob("*") if each.is_file()}


def test_the_same_recipe_gives_the_same_bytes(tmp_path) -> None:
    export.write_cohort(cohort(), tmp_path / "one")
    export.write_cohort(cohort(), tmp_path / "two")
    assert contents(tmp_path / "one") == contents(tmp_path / "two")
    export.write_cohort(cohort(2), tmp_path / "three")
    assert contents(tmp_path / "one") != contents(tmp_path / "three")


def test_an_interrupted_command_leaves_whole_sites_and_goes_on(tmp_path, monkeypatch) -> None:
    export.write_cohort(cohort(), tmp_path / "calm")
    out, written = tmp_path / "cut", []
    tables = export._tables

    def dies(made, names, folder):
        written.append(folder)
        if len(written) == 2:
            raise KeyboardInterrupt
        tables(made, names, folder)

    monkeypatch.setattr(export, "_tables", dies)
    with pytest.raises(KeyboardInterrupt):
        export.write_cohort(cohort(), out)
    assert sorted(each.name for each in out.iterdir() if each.is_dir()) == ["site-1"]
    monkeypatch.setattr(export, "_tables", tables)
    export.write_cohort(cohort(), out)
    assert contents(out) == contents(tmp_path / "calm")


def test_another_cohorts_folder_is_refused(tmp_path) -> None:
    export.write_cohort(cohort(), tmp_path)
    before = contents(tmp_path)
    with pytest.raises(UsageError, match="holds another cohort"):
        export.write_cohort(cohort(2), tmp_path)
    assert contents(tmp_path) == before


def test_genotypes_read_back_as_they_were_made(tmp_path) -> None:
    made, kept = cohort(), []
    [folder, _] = export.write_cohort(made, tmp_path)
    made.make(0, lambda _, values: kept.append(values))
    with open_bed(folder / "genotypes.bed", num_threads=1) as bed:
        assert (bed.read(dtype="int8") == np.concatenate(kept).T).all()
        assert bed.chromosome[0] == "1"
        assert (np.diff(bed.bp_position[bed.chromosome == "1"]) == 3000).all()
        names = bed.iid.tolist()
    assert polars.read_parquet(folder / "person.parquet")["patient"].to_list() == names


def test_the_schema_declares_what_is_there_and_the_truth_says_every_effect(tmp_path) -> None:
    made = cohort(stratum=f"{STRATUM},site-1.missing=0.4")
    [folder, _] = export.write_cohort(made, tmp_path)
    schema = load(folder)
    assert set(schema.channels) == {"person", "csf", "cognition", "imaging", "behaviour"}
    for channel in schema.channels.values():
        held = polars.read_parquet(folder / channel.table)
        assert {each.from_ for each in channel.columns.values()} <= set(held.columns)
        assert held.null_count().sum_horizontal().item() == 0
    people = polars.read_parquet(folder / "person.parquet").height
    assert polars.read_parquet(folder / "phenotypes.parquet").height < people == made.counts[0]
    truth = json.loads((tmp_path / "truth.json").read_text())
    assert len(truth["causal"]) == 20
    assert truth["sites"]["site-1"]["missing"] == 0.4
    assert truth["sites"]["site-2"]["offsets"] == pytest.approx(made.effects.offsets[1])
    hidden = polars.read_parquet(tmp_path / "truth.parquet")
    assert hidden.height == 60
    assert hidden["disease_years"].is_nan().sum() > 0
