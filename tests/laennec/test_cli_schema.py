from __future__ import annotations

import json
from pathlib import Path

from calls import Laennec

TABLE = "id,tau,male\n1,100.5,0\n2,250.25,1\n3,99999.75,1\n"


def test_a_schema_is_drafted_corrected_and_checked(laennec: Laennec, tmp_path: Path) -> None:
    (tmp_path / "csf.csv").write_text(TABLE)
    drafted = laennec("schema", tmp_path)
    assert drafted.code == 0
    assert "Drafted" in drafted.out
    file = tmp_path / "schema.toml"
    file.write_text(
        file.read_text().replace('unit = ""', 'unit = "pg/mL"').replace("high = 200000.0", "high = 5000")
    )
    checked = laennec("schema", tmp_path)
    assert checked.code == 0
    assert "2 patients" in checked.out
    assert "csf.csv, line 4, column tau: outside" in checked.out
    assert "99999" not in checked.out
    values = json.loads(laennec("schema", tmp_path, "--json").out)
    assert [each["line"] for each in values["quarantined"]] == [4]


def test_a_schema_that_does_not_fit_the_study_is_wrong_use(laennec: Laennec, tmp_path: Path) -> None:
    (tmp_path / "csf.csv").write_text(TABLE)
    laennec("schema", tmp_path)
    study = tmp_path / "study.toml"
    study.write_text(
        'name = "x"\ntask = "heterogeneous"\nrounds = 1\n'
        '[options.channels.csf]\nmale = { kind = "genotype" }\n'
    )
    finished = laennec("schema", tmp_path, "--study", study)
    assert finished.code == 2
    assert "csf.male is bernoulli here and genotype in the study" in finished.err.replace("\n", " ")
