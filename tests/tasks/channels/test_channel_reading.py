from __future__ import annotations

from pathlib import Path

import numpy as np
import polars
import pytest
import torch

from ground.errors import DataError
from tasks.channels.joint import Joint, Variable
from tasks.channels.patients import ChannelPatients
from tasks.channels.reading import read_folder
from tasks.channels.units import factor

SECRET = "8765.4321"  # noqa: S105  a patient's value
SCHEMA = """
patient = "id"
[channels.csf]
table = "csf.csv"
columns.tau = { from = "TAU", unit = "ng/L", low = 1, high = 5000 }
columns.amyloid = { unit-from = "unit", low = 0, high = 9000 }
[channels.genes]
table = "genes.csv"
columns.e4 = { from = "APOE", kind = "genotype", codes = { E3E3 = 0, E3E4 = 1, E4E4 = 2 } }
columns.site = { kind = "categorical" }
columns.male = { kind = "bernoulli" }
[target]
table = "genes.csv"
columns.impaired = { from = "class", kind = "bernoulli", codes = { no = 0, yes = 1 } }
"""
JOINT = Joint(
    (
        ("csf", (Variable("amyloid", unit="pg/mL"), Variable("tau", unit="pg/mL", centre=100, scale=50))),
        (
            "genes",
            (
                Variable("e4", "genotype"),
                Variable("male", "bernoulli"),
                Variable("site", "categorical", levels=("left", "right")),
            ),
        ),
        ("images", (Variable("volume", unit="cm^3"),)),
    ),
    "impaired",
)
CSF = ["id,TAU,amyloid,unit", "a,150,400,pg/mL", "b,50,0.4,ng/mL", "c,,500,pg/mL"]
GENES = ["id,APOE,site,male,class", "a,E3E4,left,1,yes", "b,E4E4,right,0,no", "d,E3E3,,1,"]


def folder(
    path: Path, csf: list[str] = CSF, genes: list[str] = GENES, schema: str = SCHEMA, parquet: bool = False
) -> Path:
    path.mkdir(exist_ok=True)
    for name, lines in (("csf", csf), ("genes", genes)):
        table = path / f"{name}.csv"
        table.write_text("\n".join(lines) + "\n")
        if parquet:
            polars.read_csv(table).write_parquet(path / f"{name}.parquet")
    (path / "schema.toml").write_text(schema.replace(".csv", ".parquet") if parquet else schema)
    return path


def rows(patients: ChannelPatients) -> np.ndarray:
    return np.asarray(patients.inputs)


@pytest.mark.parametrize("parquet", [False, True])
def test_tables_are_joined_by_patient_in_the_studys_units(tmp_path: Path, parquet: bool) -> None:
    read = read_folder(folder(tmp_path, parquet=parquet), JOINT)
    nan = np.nan
    expected = [
        [400, 1.0, 1, 1, 0, nan],
        [400, -1.0, 2, 0, 1, nan],  # 0.4 ng/mL are 400 pg/mL
        [500, nan, nan, nan, nan, nan],
        [nan, nan, 0, 1, nan, nan],
    ]
    np.testing.assert_allclose(rows(read), expected, rtol=1e-6)
    np.testing.assert_array_equal(read.targets, [1, 0, nan, nan])
    assert not read.set_aside


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (f"a,{SECRET},400,pg/mL", "outside 1 to 5000 ng/L: check the value and its unit"),
        ("a,150,400,mmHg", "its unit cannot be converted into pg/mL"),
        (f"a,150,x{SECRET},pg/mL", "not a finite number"),
        ("a,1_50,400,pg/mL", "not a finite number"),
        ("a,inf,400,pg/mL", "not a finite number"),
    ],
)
def test_a_wrong_cell_sets_its_patient_aside_and_says_where(tmp_path: Path, line: str, reason: str) -> None:
    read = read_folder(folder(tmp_path, [CSF[0], line, *CSF[2:]]), JOINT)
    assert len(read) == 3
    assert [(each.table, each.line) for each in read.quarantined] == [("csf.csv", 2)]
    assert reason in read.quarantined[0].reason
    assert list(read.set_aside.values()) == [1]
    assert SECRET not in str(read.quarantined) + str(read.set_aside)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("a,E3E5,left,1,yes", "not one of the codes"),
        ("a,E3E4,middle,1,yes", "none of the levels left, right"),
        ("a,E3E4,left,2,yes", "not 0, 1"),
        ("a,E3E4,left,1,maybe", "not one of the codes"),
        ("b,E3E4,left,1,yes", "stands twice"),
    ],
)
def test_a_wrong_code_or_a_patient_who_stands_twice_is_set_aside(
    tmp_path: Path, line: str, reason: str
) -> None:
    read = read_folder(folder(tmp_path, genes=[GENES[0], line, *GENES[2:]]), JOINT)
    assert [reason in each.reason for each in read.quarantined] == [True]


def test_the_studys_own_range_holds_too(tmp_path: Path) -> None:
    strict = Joint((("csf", (Variable("tau", unit="pg/mL", high=100.0),)),))
    read = read_folder(folder(tmp_path), strict)
    assert "as the study admits" in read.quarantined[0].reason
    assert read.set_aside["nothing that the study asks for was measured"] == 2


def test_a_logarithm_is_taken_in_the_studys_unit_and_undone(tmp_path: Path) -> None:
    variable = Variable("tau", unit="ug/L", log=True, centre=-2.0, scale=0.5)
    read = read_folder(folder(tmp_path), Joint((("csf", (variable,)),)))
    np.testing.assert_allclose(rows(read)[0, 0], (np.log(0.15) + 2.0) / 0.5, rtol=1e-5)
    np.testing.assert_allclose(variable.measured(rows(read)[:1, 0].astype(float)), 0.15, rtol=1e-5)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('unit = "ng/L"', 'unit = "kg"', "csf.tau: kg cannot be converted into pg/mL"),
        ('kind = "genotype"', 'kind = "bernoulli"', "genes.e4 is bernoulli here and genotype in the study"),
        ("[channels.csf]", "[chanels.csf]", "unknown key chanels"),
        ('from = "TAU"', 'from = "TAUX"', "no column TAUX"),
        ('patient = "id"', 'patient = "ID"', "no column ID, which names the patient"),
        ("low = 1, high = 5000", "low = 5000, high = 1", "to be below"),
        ("columns.impaired", "columns.sick", "[target] has no impaired"),
        ("csf.csv", "gone.csv", "no such table"),
    ],
)
def test_a_wrong_schema_is_refused_in_one_line(tmp_path: Path, old: str, new: str, said: str) -> None:
    wrong = SCHEMA.replace(old, new)
    with pytest.raises(DataError) as caught:
        read_folder(folder(tmp_path, schema=wrong), JOINT)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_nothing_of_the_study_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no channel of the study"):
        read_folder(folder(tmp_path), Joint((("images", (Variable("volume"),)),)))


def test_a_hospital_may_say_whom_it_tests_on(tmp_path: Path) -> None:
    said = (
        SCHEMA
        + '\n[held-out]\ntable = "genes.csv"\ncolumns.held-out = { from = "male", kind = "bernoulli" }\n'
    )
    read = read_folder(folder(tmp_path, schema=said), JOINT)
    assert read.held_out is not None
    assert read.held_out.tolist() == [True, False, False, True]
    chosen = read.subset(np.asarray([3, 1]))
    assert chosen.held_out is not None
    assert chosen.held_out.tolist() == [True, False]
    torch.testing.assert_close(chosen.inputs, read.inputs[[3, 1]], equal_nan=True)


def test_units_convert_both_ways_or_not_at_all() -> None:
    assert factor("pg/mL", "ng/L") == pytest.approx((1.0, 0.0))
    assert factor("degC", "degF") == pytest.approx((1.8, 32.0))
    assert factor("arbitrary units", "arbitrary units") == (1.0, 0.0)
    assert factor("kg", "m") is None
    assert factor("", "pg/mL") is None
    assert factor("no such unit", "pg/mL") is None


def test_a_whole_number_names_the_same_patient_however_a_table_stores_it(tmp_path: Path) -> None:
    """Beside an empty cell whole numbers are written as floats: the patient must not become two."""
    hospital = folder(tmp_path, csf=["id,TAU,amyloid,unit", "1,150,400,pg/mL"])
    polars.DataFrame(
        {"id": [1.0], "APOE": ["E3E4"], "site": ["left"], "male": [1.0], "class": ["yes"]}
    ).write_parquet(hospital / "genes.parquet")
    schema = hospital / "schema.toml"
    schema.write_text(schema.read_text().replace("genes.csv", "genes.parquet"))
    assert len(read_folder(hospital, JOINT).targets) == 1
