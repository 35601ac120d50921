"""`laennec run --drop`: what becomes of a study whose hospitals vanish."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from calls import Laennec, write

from deploy.digital import digital_hospitals

NAMES = ("cleveland", "hungary", "long-beach", "switzerland")
# The plan of these, which takes seconds to design, is that of tests/masked.py.
MASKED = """name = "masked"
task = "heart-disease"
rounds = 2
[privacy]
epsilon = 8.0
delta = 1e-3
secure-aggregation = true
"""
PLAIN = MASKED.replace("secure-aggregation = true", "").replace("1e-3", str(1e-3 * 0.99))


@pytest.fixture(scope="module")
def four(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hospitals")
    return digital_hospitals("heart-disease", dict.fromkeys(NAMES, 40), 1, folder)


@pytest.fixture
def masked(tmp_path: Path) -> Path:
    return write(tmp_path / "masked.toml", MASKED)


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    return write(tmp_path / "plain.toml", PLAIN)


@pytest.mark.parametrize(
    ("drops", "contributors"),
    [
        (["hungary@1"], [3, 4, 0]),
        (["hungary@1:late", "--drop", "cleveland@2"], [4, 3, 0]),
        (["hungary@1", "--drop", "cleveland@1"], [0, 4, 0]),
    ],
    ids=["before sending", "before and after", "too many"],
)
def test_a_masked_run_completes(
    drops: list[str], contributors: list[int], laennec: Laennec, masked: Path, four: Path, tmp_path: Path
) -> None:
    finished = laennec("run", masked, "--data", four, "--out", tmp_path / "out", "--drop", *drops, "--json")
    assert finished.code == 0, finished.err
    result = json.loads(finished.out)
    assert [len(each["contributors"]) for each in result["history"]] == contributors
    assert {each["hospital"] for each in result["left_out"]} == {drop.split("@")[0] for drop in drops[::2]}
    card = json.loads((tmp_path / "out" / "privacy.json").read_text())
    assert (card["secure_aggregation"], card["model"]) == (True, "secure sum")
    assert card["epsilon"] <= 8.0
    assert card["delta"] == 1e-3


def test_a_person_sees_who_vanished_and_that_updates_meet_only_in_a_masked_sum(
    laennec: Laennec, masked: Path, four: Path, tmp_path: Path
) -> None:
    finished = laennec("run", masked, "--data", four, "--out", tmp_path / "out", "--drop", "hungary@1")
    assert finished.code == 0
    assert "round 1: without hungary: its node is gone" in " ".join(finished.err.split())
    assert "complete in any sum of 3, and updates meet only in a masked sum" in " ".join(finished.out.split())


def assert_wrong_use(laennec: Laennec, says: str, *arguments: object) -> None:
    finished = laennec("run", *arguments)
    assert (finished.code, finished.out) == (2, "")
    assert len(finished.err.splitlines()) == 1, finished.err
    assert finished.err.startswith("error: ")
    assert says in finished.err


@pytest.mark.parametrize(
    ("drop", "says"),
    [
        ("hungary", "--drop hungary: write HOSPITAL@ROUND, or HOSPITAL@ROUND:late"),
        ("hungary@soon", "--drop hungary@soon: write HOSPITAL@ROUND"),
        ("hungary@1:never", "--drop hungary@1:never: write HOSPITAL@ROUND"),
        ("brest@1", f"--drop brest@1: no such hospital: there are {', '.join(NAMES)}"),
        ("hungary@0", "--drop hungary@0: the study has rounds 1 to 2"),
        ("hungary@3", "--drop hungary@3: the study has rounds 1 to 2"),
    ],
)
def test_a_drop_that_means_nothing_is_wrong_use(
    drop: str, says: str, laennec: Laennec, masked: Path, four: Path, tmp_path: Path
) -> None:
    assert_wrong_use(laennec, says, masked, "--data", four, "--out", tmp_path / "out", "--drop", drop)
    assert not (tmp_path / "out").exists()


def test_without_secure_aggregation_nobody_can_be_late(
    laennec: Laennec, plain: Path, four: Path, tmp_path: Path
) -> None:
    says = "only a study with secure aggregation asks anything after sending"
    arguments = ("--data", four, "--out", tmp_path / "out", "--drop", "hungary@1:late")
    assert_wrong_use(laennec, says, plain, *arguments)


def test_on_ray_nobody_is_dropped(laennec: Laennec, masked: Path, four: Path, tmp_path: Path) -> None:
    arguments = ("--data", four, "--out", tmp_path / "out", "--drop", "hungary@1", "--engine", "ray")
    assert_wrong_use(
        laennec, "--drop is a switch of the local engine: leave --engine out", masked, *arguments
    )


def test_shared_noise_in_the_clear_ends_where_a_share_is_missing(
    laennec: Laennec, plain: Path, four: Path, tmp_path: Path
) -> None:
    arguments = ("--data", four, "--out", tmp_path / "out", "--drop", "hungary@2", "--json")
    finished = laennec("run", plain, *arguments)
    assert (finished.code, finished.out) == (1, "")
    assert finished.err == (
        "error: round 2: hungary did not contribute, and the study needs 4 of 4 hospitals: "
        "run it again, it goes on from here\n"
    )
