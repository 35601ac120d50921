"""`laennec patients` for digital hearts, as a person types it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from calls import Laennec

FEW = ("--slices", 2, "--phases", 3)


def test_hearts_are_written_and_the_same_command_makes_nothing_anew(laennec: Laennec, tmp_path: Path) -> None:
    arguments = ("patients", "infarct", "--count", 2, "--stratum", "territory=LAD", *FEW, "--out", tmp_path)
    finished = laennec(*arguments)
    assert finished.code == 0
    assert "2 digital hearts" in finished.out
    assert (tmp_path / "contact-sheet.png").exists()
    before = (tmp_path / "patient-0001").stat().st_mtime_ns
    said = json.loads(laennec(*arguments, "--json").out)
    assert said == {
        "task": "infarct",
        "stratum": "group=infarct,territory=LAD",
        "count": 2,
        "seed": 1,
        "patients": [str(tmp_path / f"patient-000{number}") for number in (1, 2)],
    }
    assert (tmp_path / "patient-0001").stat().st_mtime_ns == before


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("infarct", "--stratum", "territory=LXA"), "choose one of LAD, RCA, LCX"),
        (("infarct", "--stratum", "group=normal,age=scar"), "only group=infarct"),
        (("heart-disease",), "give --stratum"),
        (("heart-disease", "--stratum", "cleveland", "--dicom"), "are for hearts"),
        (("infarkt",), "did you mean"),
    ],
)
def test_wrong_use_is_one_line_and_exit_status_2(
    laennec: Laennec, tmp_path: Path, arguments: tuple[str, ...], says: str
) -> None:
    finished = laennec("patients", *arguments, "--out", tmp_path / "hearts")
    assert finished.code == 2
    assert says in finished.err
    assert "Traceback" not in finished.err
    assert not (tmp_path / "hearts").exists()


def test_fewer_hearts_than_a_folder_holds_are_refused(laennec: Laennec, tmp_path: Path) -> None:
    """Else its table would be of some of the patients that lie there."""
    (tmp_path / "hearts" / "patient-0002").mkdir(parents=True)
    asked = ("patients", "infarct", "--count", "1", "--out", tmp_path / "hearts")
    refused = laennec(*asked)
    assert (refused.code, "holds patient-0002 too" in refused.err) == (2, True)
    assert [each.name for each in (tmp_path / "hearts").iterdir()] == ["patient-0002"]


def test_a_recipe_travels_and_makes_the_same_patient(laennec: Laennec, tmp_path: Path) -> None:
    first, again = tmp_path / "first", tmp_path / "again"
    assert laennec("patients", "infarct", "--count", 1, "--seed", 4, *FEW, "--out", first).code == 0
    recipe = first / "patient-0001" / "recipe.json"
    assert laennec("patients", "infarct", "--recipe", recipe, "--out", again).code == 0
    sums = [(each / "patient-0001" / "SHA256SUMS").read_text() for each in (first, again)]
    assert sums[0] == sums[1]
    for place, value in (("seed", -1), ("phases", 100_000), ("slices", 0)):
        beyond = json.loads(recipe.read_text())
        (beyond if place == "seed" else beyond["protocol"])[place] = value
        (tmp_path / "beyond.json").write_text(json.dumps(beyond))
        far = laennec("patients", "infarct", "--recipe", tmp_path / "beyond.json", "--out", tmp_path / "far")
        assert (far.code, (tmp_path / "far").exists()) == (2, False)
    refused = laennec("patients", "infarct", "--recipe", first / "cohort.csv", "--out", again)
    assert (refused.code, "is not a heart's recipe.json" in refused.err) == (2, True)
