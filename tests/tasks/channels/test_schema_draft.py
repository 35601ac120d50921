from __future__ import annotations

from pathlib import Path

import pytest

from ground.errors import DataError
from tasks.channels.draft import draft
from tasks.channels.listing import listed
from tasks.channels.schema import parse

TABLE = "ID,tau (pg/mL),male,alleles,colour,remark\n1,100.5,0,2,red,aa\n2,250.25,1,0,blue,bb\n3,,1,1,red,cc\n"


def test_a_draft_is_a_schema_that_reads_its_tables(tmp_path: Path) -> None:
    (tmp_path / "csf data.csv").write_text(TABLE)
    (tmp_path / "schema.toml").write_text(draft(tmp_path))
    schema = parse((tmp_path / "schema.toml").read_text())
    assert schema.patient == "ID"
    columns = schema.channels["csf-data"].columns
    assert {name: column.kind for name, column in columns.items()} == {
        "tau_pg_mL": "gaussian",
        "male": "bernoulli",
        "alleles": "genotype",
        "colour": "categorical",
    }
    found = listed(tmp_path)
    assert found.patients == 3
    assert [each.patients for each in found.variables] == [3, 3, 3, 2]
    assert not found.quarantined


def test_a_drafted_range_repeats_no_patients_value(tmp_path: Path) -> None:
    (tmp_path / "csf.csv").write_text(TABLE)
    assert "100.5" not in draft(tmp_path)
    assert "250.25" not in draft(tmp_path)


def test_tables_that_no_column_joins_are_refused(tmp_path: Path) -> None:
    (tmp_path / "one.csv").write_text(TABLE)
    (tmp_path / "two.csv").write_text(TABLE.replace("ID", "number"))
    with pytest.raises(DataError, match="no column names the patient in every table"):
        draft(tmp_path)


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no table in it"):
        draft(tmp_path)
