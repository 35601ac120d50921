from __future__ import annotations

import json
from pathlib import Path

import pytest
from studies import FREE

from deploy.digital import digital_hospitals, nodes_for, sizes_for, write_mixture, write_patients
from ground.errors import DataError, UsageError
from simulation.recipe import Recipe
from tasks.learners.digital_start import recipes_of
from tasks.registry import find
from tasks.study import Synthetic

TASK = find("heart-disease")


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def test_hospitals_take_the_strata_in_turn_and_then_by_number() -> None:
    sizes = sizes_for("heart-disease", 6)
    first = TASK.strata[:2]
    assert list(sizes) == [*TASK.strata, *(f"{stratum}-2" for stratum in first)]
    assert set(sizes.values()) == {200}


def test_the_same_seed_makes_the_same_files_and_another_seed_others(tmp_path: Path) -> None:
    sizes = {"cleveland": 12, "hungary": 12}
    first, again, other = (
        contents(digital_hospitals("heart-disease", sizes, seed, tmp_path / name))
        for seed, name in ((1, "first"), (1, "again"), (2, "other"))
    )
    assert first == again
    assert sorted(first) == [f"{name}.{end}" for name in sizes for end in ("csv", "recipes.jsonl")]
    assert all(first[name] != other[name] for name in first)


def test_two_hospitals_of_one_stratum_have_other_patients_of_that_stratum(tmp_path: Path) -> None:
    digital_hospitals("heart-disease", {"hungary": 12, "hungary-2": 12}, 1, tmp_path)
    tables = {file.stem: file.read_text() for file in tmp_path.glob("*.csv")}
    assert tables["hungary"] != tables["hungary-2"]
    recipes = [json.loads(line) for line in (tmp_path / "hungary-2.recipes.jsonl").read_text().splitlines()]
    assert {recipe["stratum"] for recipe in recipes} == {"hungary"}
    assert len(recipes) == 12


def test_digital_patients_are_read_like_any_others(tmp_path: Path) -> None:
    table = write_patients(TASK, "cleveland", 40, 1, "zurich", tmp_path)
    assert table.name == "zurich.csv"
    assert len(TASK.read(table)) == 40


def test_a_stratum_that_does_not_exist_is_wrong_use_and_the_strata_are_listed(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no stratum zurich: its strata are cleveland, hungary"):
        write_patients(TASK, "zurich", 12, 1, "zurich", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_without_data_so_many_hospitals_are_made_as_were_asked_for(tmp_path: Path) -> None:
    nodes = nodes_for(FREE, None, 5, tmp_path, secret_noise=False)
    assert sorted(node.name for node in nodes) == sorted(sizes_for("heart-disease", 5))
    assert all((tmp_path / "digital-hospitals" / f"{node.name}.csv").is_file() for node in nodes)


def test_hospitals_of_an_earlier_run_in_the_same_folder_are_left_out(tmp_path: Path) -> None:
    nodes_for(FREE, None, 4, tmp_path, secret_noise=False)
    nodes = nodes_for(FREE, None, 2, tmp_path, secret_noise=False)
    assert [node.name for node in nodes] == ["cleveland", "hungary"]


def test_with_data_nothing_is_made(folder: Path, tmp_path: Path) -> None:
    nodes = nodes_for(FREE, folder, 2, tmp_path, secret_noise=True)
    assert [node.name for node in nodes] == ["cleveland", "hungary", "long-beach"]
    assert list(tmp_path.iterdir()) == []


def test_data_that_is_not_there_is_wrong_use(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such folder"):
        nodes_for(FREE, tmp_path / "absent", 2, tmp_path, secret_noise=False)


def test_a_mixture_has_so_many_patients_of_each_stratum(tmp_path: Path) -> None:
    write_mixture(TASK, {"hungary": 12, "cleveland": 9, "long-beach": 0}, 1, "brest", tmp_path)
    recipes = [json.loads(line) for line in (tmp_path / "brest.recipes.jsonl").read_text().splitlines()]
    assert [each["stratum"] for each in recipes] == ["hungary"] * 12 + ["cleveland"] * 9
    patients = TASK.read(tmp_path / "brest.csv")
    assert len(patients) + sum(patients.set_aside.values()) == 21


def test_no_digital_hospital_has_a_patient_of_the_digital_start(tmp_path: Path) -> None:
    """Else a model would be tested on patients whom it began with."""
    study = FREE.model_copy(update={"synthetic": Synthetic(patients=800, start_steps=1, fill=False)})
    nodes_for(study, None, 4, tmp_path, secret_noise=False)
    assert study.synthetic is not None
    begun = {each.canonical() for each in recipes_of(TASK, study.synthetic, study.seed)}
    lines = [
        line
        for file in (tmp_path / "digital-hospitals").glob("*.jsonl")
        for line in file.read_text().splitlines()
    ]
    met = {Recipe(**json.loads(line)).canonical() for line in lines}
    assert (len(begun), len(met)) == (800, 800)
    assert not begun & met
