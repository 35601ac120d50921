from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ground.errors import DataError
from simulation.tables import heart_disease as digital
from tasks.heart_disease.columns import SCHEMA, complete_features, full_features
from tasks.heart_disease.task import COMPLETE, FULL, UCI_FILES, hospitals, loss, metrics
from tasks.patients import TablePatients
from tasks.tables import read_table, table_of, write_table

NAMES = ("cleveland", "hungary", "switzerland", "long-beach")
# FLamby, Fed-Heart-Disease: patients, then its split into training and test.
FLAMBY = {
    "cleveland": (303, 199, 104),
    "hungary": (261, 172, 89),
    "switzerland": (46, 30, 16),
    "long-beach": (130, 85, 45),
}
# The first patients of each test set: another seed, or another order of patients, gives others.
FIRST_TESTED = {
    "cleveland": [165, 42, 250, 65, 105],
    "hungary": [68, 120, 188, 252, 236],
    "switzerland": [29, 32, 20, 40, 6],
    "long-beach": [112, 45, 92, 35, 76],
}
EVERYBODY = {"cleveland": 303, "hungary": 294, "switzerland": 123, "long-beach": 200}
MAY_LACK = [column.name for column in SCHEMA if not column.required]
VALUE = "87654321"
USUAL = {
    **{"age": 55.0, "sex": 1.0, "cp": 4.0, "trestbps": 130.0, "chol": 220.0, "fbs": 0.0, "restecg": 0.0},
    **{"thalach": 140.0, "exang": 0.0, "oldpeak": 1.0, "slope": 2.0, "ca": 0.0, "thal": 3.0, "num": 0.0},
}

Row = dict[str, float | None]


def rows(count: int, sick: int) -> list[Row]:
    return [{**USUAL, "num": float(number < sick)} for number in range(count)]


def written(folder: Path, patients: list[Row]) -> Path:
    write_table(folder / "somewhere.csv", patients, SCHEMA)
    return folder / "somewhere.csv"


@pytest.mark.parametrize("name", NAMES)
def test_flamby_s_cohort_and_split_are_found_in_the_real_data(uci: Path, name: str) -> None:
    patients = COMPLETE.read(hospitals(uci)[name])
    training, test = COMPLETE.split(patients)
    assert (len(patients), len(training), len(test)) == FLAMBY[name]
    assert test[:5].tolist() == FIRST_TESTED[name]
    assert len(patients) + sum(patients.set_aside.values()) == EVERYBODY[name]


@pytest.mark.parametrize("name", NAMES)
def test_the_full_cohort_keeps_every_patient_of_the_real_data(uci: Path, name: str) -> None:
    patients = FULL.read(hospitals(uci)[name])
    assert len(patients) == EVERYBODY[name]
    assert not patients.set_aside


def test_the_real_data_has_four_hospitals_and_740_or_920_patients(uci: Path) -> None:
    found = hospitals(uci)
    assert tuple(found) == NAMES
    assert sum(len(COMPLETE.read(path)) for path in found.values()) == 740
    assert sum(len(FULL.read(path)) for path in found.values()) == 920


@pytest.mark.parametrize("task", [COMPLETE, FULL])
def test_features_of_the_real_data_are_finite_and_of_the_order_of_one(uci: Path, task) -> None:
    for path in hospitals(uci).values():
        inputs = task.read(path).inputs
        assert inputs.dtype == torch.float32
        assert inputs.isfinite().all()
        assert inputs.abs().max() <= 5
        assert inputs.abs().median() < 1


@pytest.mark.parametrize("absent", UCI_FILES.values())
def test_a_missing_uci_file_is_named(tmp_path: Path, absent: str) -> None:
    for file in UCI_FILES.values():
        if file != absent:
            (tmp_path / file).touch()
    with pytest.raises(DataError, match=re.escape(absent)):
        hospitals(tmp_path)


def test_every_csv_is_a_hospital_where_there_is_no_uci_file(tmp_path: Path) -> None:
    for name in ("brest", "amiens"):
        (tmp_path / f"{name}.csv").touch()
    (tmp_path / "notes.txt").touch()
    assert list(hospitals(tmp_path)) == ["amiens", "brest"]


@pytest.mark.parametrize("task", [COMPLETE, FULL])
@pytest.mark.parametrize("sick", [0, 20])
def test_a_hospital_with_one_diagnosis_alone_is_refused(tmp_path: Path, task, sick: int) -> None:
    with pytest.raises(DataError, match=r"somewhere\.csv: all patients have the same diagnosis"):
        task.read(written(tmp_path, rows(20, sick)))


@pytest.mark.parametrize("task", [COMPLETE, FULL])
def test_ten_patients_are_enough_and_nine_are_not(tmp_path: Path, task) -> None:
    assert len(task.read(written(tmp_path, rows(10, 4)))) == 10
    with pytest.raises(DataError, match=r"somewhere.csv: 9 patients left to learn from, 10 needed"):
        task.read(written(tmp_path, rows(9, 4)))


def test_patients_set_aside_do_not_count_towards_the_fewest(tmp_path: Path) -> None:
    patients = rows(10, 4)
    patients[0]["chol"] = None
    with pytest.raises(DataError, match="9 patients left"):
        COMPLETE.read(written(tmp_path, patients))
    assert len(FULL.read(written(tmp_path, patients))) == 10


@pytest.mark.parametrize("column", ["slope", "ca", "thal"])
def test_columns_that_flamby_leaves_out_may_be_missing_from_its_cohort(tmp_path: Path, column: str) -> None:
    patients = [{**row, column: None} for row in rows(20, 7)]
    assert len(COMPLETE.read(written(tmp_path, patients))) == 20


@pytest.mark.parametrize("place", range(len(MAY_LACK)), ids=MAY_LACK)
def test_a_missing_value_sets_its_own_indicator(place: int) -> None:
    values = table_of([USUAL, {**USUAL, MAY_LACK[place]: None}], SCHEMA)
    present, lacking = full_features(values)
    indicators = slice(-len(MAY_LACK), None)
    assert not present[indicators].any()
    assert lacking[indicators].nonzero().flatten().tolist() == [place]


@pytest.mark.parametrize("name", ["chol", "trestbps"])
def test_a_cholesterol_or_a_pressure_of_zero_was_not_measured(name: str) -> None:
    zero, missing = full_features(table_of([{**USUAL, name: 0.0}, {**USUAL, name: None}], SCHEMA))
    torch.testing.assert_close(zero, missing, rtol=0, atol=0)


@pytest.mark.parametrize("features", [complete_features, full_features])
def test_a_patient_s_features_depend_on_nobody_else(features) -> None:
    patients = [digital.simulate(recipe) for recipe in digital.recipes("cleveland", 30, 1)]
    whole = [p for p in patients if None not in p.values()]
    together = features(table_of(whole, SCHEMA))
    alone = torch.cat([features(table_of([patient], SCHEMA)) for patient in whole])
    torch.testing.assert_close(together, alone, rtol=0, atol=0)


@pytest.mark.parametrize("name", [column.name for column in SCHEMA])
def test_a_wrong_value_in_any_column_is_named_and_stays_unsaid(tmp_path: Path, name: str) -> None:
    path = written(tmp_path, [*rows(12, 5), {**USUAL, name: float(VALUE)}])
    path.write_text(path.read_text().replace("8.76543e+07", VALUE))
    with pytest.raises(DataError, match=f"somewhere.csv, line 14, column {name}: ") as caught:
        read_table(path, SCHEMA)
    assert VALUE not in str(caught.value)


def test_the_area_under_the_curve_is_undefined_for_one_class() -> None:
    values = metrics(torch.tensor([[1.0], [-1.0]]), torch.tensor([1.0, 1.0]))
    assert values["accuracy"] == 0.5
    assert np.isnan(values["auc"])


def test_metrics_of_known_outputs_are_known() -> None:
    outputs, targets = torch.tensor([[2.0], [-1.0], [0.5], [-3.0]]), torch.tensor([1.0, 1.0, 0.0, 0.0])
    assert metrics(outputs, targets) == {"accuracy": 0.5, "auc": 0.75}


def test_the_loss_of_a_logit_of_zero_is_log_two() -> None:
    torch.testing.assert_close(
        loss(torch.zeros(2, 1), torch.tensor([0.0, 1.0])), torch.full((2,), float(np.log(2)))
    )


@given(st.integers(10, 3000))
def test_a_hospital_of_any_size_is_split_into_two_parts_that_cover_it(count: int) -> None:
    labels = torch.arange(count) % 2
    training, test = COMPLETE.split(TablePatients(torch.zeros(count, 1), labels.float()))
    assert sorted([*training, *test]) == list(range(count))
