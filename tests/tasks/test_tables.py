from __future__ import annotations

import math
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ground.errors import DataError
from tasks.contract import Column
from tasks.tables import Values, read_table, table_of, write_table

SCHEMA = (
    Column("age", "age", "years", 0, 120),
    Column("sex", "1 male, 0 female", categories=(0, 1)),
    Column("chol", "cholesterol", "mg/dL", 0, 1000, required=False),
)
HEADER = "age,sex,chol\n"
GOOD = "63,1,233\n"
VALUE = "87654321"
READ = {"age": [63.0, 41.0], "sex": [1.0, 0.0], "chol": [233.0, math.nan]}


def read(path: Path, text: str | bytes) -> Values:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_table(path, SCHEMA)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "hospital.csv"


def refusal(path: Path, text: str | bytes) -> str:
    with pytest.raises(DataError) as caught:
        read(path, text)
    said = str(caught.value)
    assert str(path) in said
    assert len(said.splitlines()) == 1
    assert VALUE not in said
    return said


@pytest.mark.parametrize(
    "text",
    [
        "63,1,233\n41,0,?\n",
        HEADER + "63,1,233\n41,0,\n",
        "\ufeff" + HEADER + "63,1,233\n41,0,?\n",
        "\ufeff63,1,233\n41,0,?\n",
        "\n63,1,233\n\n\n41,0,?",
        "63,1,233\r\n41,0,?\r\n",
        "63.0, 1 ,233.0\n41.0,0.0, ? \n",
        '"63","1","233"\n"41","0","?"\n',
        " age, sex ,chol\n63,1,233\n41,0,?\n",
    ],
)
def test_every_common_way_of_writing_a_table_is_read_alike(path: Path, text: str) -> None:
    table = read(path, text)
    assert list(table) == list(READ)
    for name, values in READ.items():
        np.testing.assert_array_equal(table[name], values)


@pytest.mark.parametrize(
    ("text", "line", "column", "expected"),
    [
        (f"{VALUE},1\n", 1, None, "2 columns where 3 are expected"),
        (f"{GOOD}63,1,233,{VALUE}\n", 2, None, "4 columns where 3 are expected"),
        (f"{GOOD}63,{VALUE},233\n", 2, "sex", "unknown category: the codes are 0, 1"),
        (f"{GOOD}{GOOD}{VALUE},1,233\n", 3, "age", "outside 0 to 120 years"),
        (f"{GOOD}-{VALUE},1,233\n", 2, "age", "outside 0 to 120 years"),
        (f"{GOOD}63,1,{VALUE}\n", 2, "chol", "outside 0 to 1000 mg/dL"),
        (f"{GOOD}63,1,{VALUE}x\n", 2, "chol", "not a finite number"),
        (f"{GOOD}63,1,8_7654321\n", 2, "chol", "not a finite number"),
        (f"{GOOD}63,1,6_3\n", 2, "chol", "not a finite number"),
        (f"{GOOD}63,1,nan{VALUE}\n", 2, "chol", "not a finite number"),
        (f"{GOOD}nan,1,{VALUE}\n", 2, "age", "not a finite number"),
        (f"{GOOD}63,1,NaN\n", 2, "chol", "not a finite number"),
        (f"{GOOD}inf,1,{VALUE}\n", 2, "age", "not a finite number"),
        (f"{GOOD}63,-Infinity,{VALUE}\n", 2, "sex", "not a finite number"),
        (f"{GOOD}1e999,1,{VALUE}\n", 2, "age", "not a finite number"),
        (f"{GOOD}?,1,{VALUE}\n", 2, "age", "missing, and every patient needs one"),
        (f"{GOOD}63,,{VALUE}\n", 2, "sex", "missing, and every patient needs one"),
        (f"{HEADER}\n\n{VALUE},1,233\n", 4, "age", "outside 0 to 120 years"),
        (f"\ufeff{HEADER}{VALUE},1,233\n", 2, "age", "outside 0 to 120 years"),
        (f'63,1,"233\n{VALUE}"\n', 2, "chol", "not a finite number"),
        (f'63,"1\n",233\n{VALUE},1,233\n', 3, "age", "outside 0 to 120 years"),
        (f"age,sex,{VALUE}\n{GOOD}", 1, None, "no column called chol: the header must be age,sex,chol"),
        (f"age,sex\n{VALUE},1\n", 1, None, "no column called chol: the header must be age,sex,chol"),
        (f"sex,age,chol\n{VALUE},1,1\n", 1, None, "columns must stand in this order: age,sex,chol"),
        (f"age,sex,chol,x{VALUE}\n", 1, None, "columns must stand in this order: age,sex,chol"),
        (f"x{VALUE},1,233\n", 1, None, "no column called age"),
    ],
)
def test_a_wrong_cell_is_named_by_line_and_column_and_its_value_stays_unsaid(
    path: Path, text: str, line: int, column: str | None, expected: str
) -> None:
    said = refusal(path, text)
    place = f"line {line}, column {column}: " if column else f"line {line}: "
    assert place in said
    assert expected in said


@pytest.mark.parametrize("text", ["", "\n\n", HEADER, "\ufeff", ",,\n"])
def test_a_table_without_a_patient_is_refused(path: Path, text: str) -> None:
    assert "no patient in it" in refusal(path, text)


def test_a_missing_file_is_refused(path: Path) -> None:
    with pytest.raises(DataError, match="no such file: check the folder given with --data") as caught:
        read_table(path, SCHEMA)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("content", [f"63,1,\xe9{VALUE}".encode("latin-1"), b'"' + b"8" * 200_000])
def test_a_file_that_is_no_text_table_is_refused(path: Path, content: bytes) -> None:
    assert "cannot be read as comma-separated text" in refusal(path, content)


def test_a_folder_is_not_a_table(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read as comma-separated text"):
        read_table(tmp_path, SCHEMA)


@given(
    value=st.integers(10_000, 10**12), column=st.integers(0, 2), form=st.sampled_from(["{}", "-{}", "{}.5"])
)
@settings(deadline=None)
def test_no_value_out_of_range_is_ever_repeated(value: int, column: int, form: str) -> None:
    cells = ["63", "1", "233"]
    cells[column] = form.format(value)
    # The path's own digits must not pass for the value.
    with tempfile.TemporaryDirectory() as folder, pytest.raises(DataError) as caught:
        read(Path(folder) / "hospital.csv", GOOD + ",".join(cells))
    said = str(caught.value).replace(folder, "")
    assert f"line 2, column {SCHEMA[column].name}" in said
    assert str(value) not in said


TABLES = st.text(alphabet='0123456789.,-?\n\r" _einfax\ufeff', max_size=60).map(str.encode)


@given(st.binary(max_size=80) | TABLES | TABLES.map(lambda tail: (HEADER + GOOD).encode() + tail))
@settings(deadline=None, max_examples=400)
def test_any_bytes_are_a_table_within_the_schema_or_a_one_line_data_error(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "hospital.csv"
        try:
            table = read(path, content)
        except DataError as error:
            said = str(error).removeprefix(str(path))
        else:
            said = None
            assert_admissible(table)
    assert said is None or (len(said.splitlines()) == 1 and said.startswith((": ", ", line ")))


def assert_admissible(table: Values) -> None:
    assert list(table) == ["age", "sex", "chol"]
    assert ((table["age"] >= 0) & (table["age"] <= 120)).all()
    assert np.isin(table["sex"], (0, 1)).all()
    assert (np.isnan(table["chol"]) | ((table["chol"] >= 0) & (table["chol"] <= 1000))).all()


ROWS = st.fixed_dictionaries(
    {
        "age": st.integers(0, 120).map(float),
        "sex": st.sampled_from([0.0, 1.0]),
        "chol": st.none() | st.integers(0, 10_000).map(lambda tenths: tenths / 10),
    }
)


@given(st.lists(ROWS, min_size=1, max_size=20))
@settings(deadline=None)
def test_what_is_written_is_read_back(rows: list[dict[str, float | None]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "made" / "hospital.csv"
        write_table(path, rows, SCHEMA)
        table = read_table(path, SCHEMA)
    for name, values in table_of(rows, SCHEMA).items():
        np.testing.assert_array_equal(table[name], values)
