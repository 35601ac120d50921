from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ground.errors import UsageError
from laennec.cli import app

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "client" / "archive"))
from drawn_dicom import image, save, series


def called(*arguments: object) -> str:
    ran = CliRunner().invoke(app, ["hospital", *map(str, arguments)], env={"COLUMNS": "200"})
    assert ran.exit_code == 0, ran.output
    return ran.output


@pytest.fixture
def home(tmp_path: Path) -> Path:
    called("init", tmp_path / "brest")
    return tmp_path / "brest"


def test_a_folder_is_imported_a_patient_is_found_and_released_and_the_journal_knows(
    tmp_path: Path, home: Path
) -> None:
    series(tmp_path / "in" / "hers", "Jane-Doe-77")
    series(tmp_path / "in" / "his", "John-Roe-66")
    extra = image(
        "Jane-Doe-77", 0, 0, SOPInstanceUID="1.2.3", BurnedInAnnotation="YES", SeriesInstanceUID="1.9"
    )
    save(tmp_path / "in" / "hers", extra, "more.dcm")
    said = called("import", tmp_path / "in", "--home", home)
    assert "25 files imported" in said
    assert "2 patients: 1 can be read, 1 is set aside" in said
    assert "says that text is burned into the picture" in said
    assert "Jane" not in said
    report = json.loads(called("import", tmp_path / "in", "--home", home, "--json"))
    assert (report["stored"], report["known"], report["quarantined"]) == (0, 25, 1)
    seen = json.loads(called("status", "--home", home, "--json"))
    [held] = seen["archive"]["quarantine"]
    found = called("import", tmp_path / "in", "--home", home, "--find", held["patient"])
    assert len([line for line in found.splitlines() if "/hers/" in line]) == 13
    assert "/his/" not in found
    assert "may be read again" in called("release", held["patient"], "--home", home, "--by", "Dr. Roe")
    journal = called("journal", "--home", home, "--json")
    assert "Jane" not in journal
    lines = [(line["who"], line["what"]) for line in json.loads(journal)["lines"]]
    assert lines == [("person", "init"), ("person", "import"), ("node", "quarantine"), ("person", "release")]
    [aside] = [line["detail"] for line in json.loads(journal)["lines"] if line["what"] == "quarantine"]
    assert aside.startswith("patients set aside: 1 × ")
    assert aside.endswith("; now 1 in all")


def test_all_who_are_held_for_one_reason_alone_are_released_together(tmp_path: Path, home: Path) -> None:
    for patient in ("a", "b", "c"):
        series(tmp_path / "in" / patient, patient, [0, 1, 3])  # a slice is missing
    extra = image("c", 0, 0, SOPInstanceUID="1.2.3", BurnedInAnnotation="YES", SeriesInstanceUID="1.9")
    save(tmp_path / "in" / "c", extra, "more.dcm")
    called("import", tmp_path / "in", "--home", home)
    held = json.loads(called("status", "--home", home, "--json"))["archive"]["quarantine"]
    [words] = {each["reasons"][0].partition(": ")[2] for each in held if len(each["reasons"]) == 1}
    done = json.loads(called("release", "--reason", words, "--home", home, "--by", "Dr. Roe", "--json"))
    alone = {each["patient"] for each in held if len(each["reasons"]) == 1}
    assert {each["patient"] for each in done["released"]} == alone
    assert len(alone) == 2
    for asked in (["--reason", words], [], ["P-A", "--reason", words]):
        ran = CliRunner().invoke(app, ["hospital", "release", *asked, "--home", str(home)])
        assert isinstance(ran.exception, UsageError)


def test_nothing_found_is_said(tmp_path: Path, home: Path) -> None:
    series(tmp_path / "in", "Jane-Doe-77")
    called("import", tmp_path / "in", "--home", home)
    (tmp_path / "empty").mkdir()
    for folder, patient in (("in", "P-AAAAAAAAAAAAAAAA"), ("empty", "Jane-Doe-77")):
        asked = ["hospital", "import", str(tmp_path / folder), "--home", str(home), "--find", patient]
        ran = CliRunner().invoke(app, asked)
        assert isinstance(ran.exception, UsageError)
        assert "no file in it was imported as that patient's" in str(ran.exception)
        assert patient not in str(ran.exception)


def test_a_task_is_checked_at_once(tmp_path: Path, home: Path) -> None:
    series(tmp_path / "in", "a")
    said = called("import", tmp_path / "in", "--home", home, "--task", "ventricle-segmentation")
    assert "ventricle-segmentation could read 0 patients" in said
    assert "1 not: no labels" in said


def test_a_folder_that_is_not_there_is_wrong_use(tmp_path: Path, home: Path) -> None:
    ran = CliRunner().invoke(app, ["hospital", "import", str(tmp_path / "no"), "--home", str(home)])
    assert ran.exit_code != 0
