"""Whatever is wrong with what a person gives: one line, exit status 2, and no patient's value in it."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from calls import PRIVATE, STUDY, Finished, Laennec, write

VALUE = "87654"
GOOD = "54,1,4,120,240,0,0,150,0,1.0,2,0,3"


def assert_one_line(finished: Finished, code: int, *parts: str) -> None:
    assert finished.code == code
    assert finished.out == ""
    assert len(finished.err.splitlines()) == 1, finished.err
    assert finished.err.startswith("error: ")
    for part in parts:
        assert part in finished.err


@pytest.fixture
def data(folder: Path, tmp_path: Path) -> Path:
    """Hospitals that a test may damage."""
    return Path(shutil.copytree(folder, tmp_path / "data"))


@pytest.mark.parametrize("command", ["run", "compare"])
def test_a_folder_that_is_missing(laennec: Laennec, private: Path, command: str, tmp_path: Path) -> None:
    finished = laennec(command, private, "--data", tmp_path / "absent", "--json")
    assert_one_line(finished, 2, "absent: no such folder")


def test_a_folder_without_a_hospital(laennec: Laennec, short: Path, tmp_path: Path) -> None:
    finished = laennec("run", short, "--data", tmp_path, "--json")
    assert_one_line(finished, 2, "no hospital in it", "processed.cleveland.data")


def test_a_hospital_of_the_four_that_is_missing(laennec: Laennec, short: Path, tmp_path: Path) -> None:
    for name in ("cleveland", "hungarian", "va"):
        write(tmp_path / f"processed.{name}.data", f"{GOOD},0\n")
    finished = laennec("run", short, "--data", tmp_path, "--json")
    assert_one_line(finished, 2, "processed.switzerland.data: missing")


@pytest.mark.parametrize(
    ("row", "why"),
    [
        (f"{VALUE},1,4", "line 62: 3 columns where 14 are expected"),
        (f"{GOOD},0,{VALUE}", "line 62: 15 columns where 14 are expected"),
        (f"54,{VALUE}{GOOD[4:]},0", "line 62, column sex: unknown category: the codes are 0, 1"),
        (f"nan{GOOD[2:]},0", "line 62, column age: not a finite number"),
        (f"{VALUE}{GOOD[2:]},0", "line 62, column age: outside 0 to 120 years"),
        (f"fifty{GOOD[2:]},0", "line 62, column age: not a finite number"),
        (f"{GOOD},?", "line 62, column num: missing"),
    ],
    ids=["too few", "too many", "category", "NaN", "range", "text", "no diagnosis"],
)
def test_a_row_that_is_not_a_patient(laennec: Laennec, short: Path, data: Path, row: str, why: str) -> None:
    with (data / "hungary.csv").open("a") as table:
        table.write(f"{row}\n")
    finished = laennec("run", short, "--data", data, "--out", data / "out", "--json")
    assert_one_line(finished, 2, "hospital hungary: ", why)
    assert VALUE not in finished.err


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "no patient in it"),
        ("age,sex\n", "no column called cp"),
        (f"{GOOD},0\n" * 40, "all patients have the same diagnosis"),
        (f"{GOOD},0\n{GOOD},1\n", "2 patients left to learn from, 10 needed"),
    ],
    ids=["empty", "header", "one class", "too few"],
)
def test_a_hospital_that_cannot_take_part(
    laennec: Laennec, short: Path, data: Path, text: str, why: str
) -> None:
    write(data / "hungary.csv", text)
    finished = laennec("run", short, "--data", data, "--out", data / "out", "--json")
    assert_one_line(finished, 2, "hospital hungary: ", "hungary.csv", why)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (STUDY + "epsilom = 1\n", "unknown key epsilom"),
        (PRIVATE + "epsilo = 1\n", "unknown key privacy.epsilo: did you mean epsilon?"),
        (STUDY.replace("rounds = 2", ""), "missing key rounds"),
        (STUDY.replace("rounds = 2", "rounds = 0"), "rounds = 0"),
        (PRIVATE.replace("4.0", "-1.0"), "privacy.epsilon = -1.0"),
        (PRIVATE.replace("4.0", "1e-3\ndelta = 1e-12"), "no noise reaches epsilon 0.001"),
        (PRIVATE + "minimum-hospitals = 4\n", "3 hospitals enrolled, the study asks for at least 4"),
        (STUDY.replace("heart-disease", "heart-diseas"), "no task called heart-diseas"),
        (STUDY + "task-version = 9\n", "version 9"),
        ("name = ", "not valid TOML"),
    ],
    ids=[
        *(
            "unknown key",
            "misspelt key",
            "missing key",
            "no rounds",
            "negative epsilon",
            "impossible epsilon",
        ),
        *("too few hospitals", "unknown task", "unknown version", "no TOML"),
    ],
)
def test_a_study_that_cannot_be_run(
    laennec: Laennec, folder: Path, tmp_path: Path, text: str, why: str
) -> None:
    study = write(tmp_path / "wrong.toml", text)
    assert_one_line(laennec("run", study, "--data", folder, "--out", tmp_path / "out", "--json"), 2, why)
    assert not (tmp_path / "out" / "result.json").exists()


def test_an_error_in_the_middle_of_a_run_is_one_line_without_a_bar(
    laennec: Laennec, short: Path, data: Path
) -> None:
    write(data / "hungary.csv", "")
    finished = laennec("run", short, "--data", data, "--out", data / "out")
    assert_one_line(finished, 2, "hospital hungary: ", "no patient in it")


def test_a_study_that_is_not_there(laennec: Laennec, tmp_path: Path) -> None:
    assert_one_line(laennec("run", tmp_path / "absent.toml"), 2, "absent.toml: no study can be read there")


def test_a_comparison_of_a_study_without_privacy(laennec: Laennec, short: Path, folder: Path) -> None:
    assert_one_line(laennec("compare", short, "--data", folder), 2, "no [privacy] table")


def test_a_task_that_is_not_installed(laennec: Laennec) -> None:
    assert_one_line(laennec("tasks", "heart-diseas"), 2, "did you mean heart-disease")


def test_a_stratum_that_does_not_exist(laennec: Laennec, tmp_path: Path) -> None:
    finished = laennec("patients", "heart-disease", "--stratum", "zurich", "--out", tmp_path)
    assert_one_line(finished, 2, "no stratum zurich")


def test_a_model_that_is_not_there(laennec: Laennec, folder: Path, tmp_path: Path) -> None:
    finished = laennec("evaluate", tmp_path / "absent", "--task", "heart-disease", "--data", folder)
    assert_one_line(finished, 2, "no model can be read there")


def test_another_study_in_an_unfinished_folder(
    laennec: Laennec, private: Path, short: Path, folder: Path, tmp_path: Path
) -> None:
    """Wrong use: another folder puts it right."""
    out = tmp_path / "out"
    (out / "state").mkdir(parents=True)
    unfinished(short, out / "state")
    finished = laennec("run", private, "--data", folder, "--out", out, "--json")
    assert_one_line(finished, 2, "unfinished run of another study (short, ", "choose another --out")


def test_state_that_is_damaged(laennec: Laennec, short: Path, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "coordinator.safetensors").write_bytes(b"half a file")
    finished = laennec("run", short, "--data", folder, "--out", tmp_path, "--json")
    assert_one_line(finished, 1, "coordinator.safetensors: damaged")


def unfinished(study: Path, state: Path) -> None:
    from server import checkpoint
    from server.progress import begin
    from tasks.registry import find
    from tasks.study import load

    begun = begin(load(study), find("heart-disease"))
    checkpoint.save(replace(begun, phase="train", round=1), state)
