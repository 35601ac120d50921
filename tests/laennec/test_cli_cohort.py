"""`laennec patients heterogeneous`, as a person types it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from calls import Laennec

STRATUM = "variants=176,side=3,sites=2"


def test_people_are_written_and_a_recipe_makes_them_again(laennec: Laennec, tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    made = laennec("patients", "heterogeneous", "--count", 40, "--stratum", STRATUM, "--out", one)
    assert (made.code, "40 digital people at 2 sites" in made.out) == (0, True)
    again = laennec("patients", "heterogeneous", "--recipe", one / "recipe.json", "--out", two, "--json")
    assert json.loads(again.out)["sites"] == [str(two / "site-1"), str(two / "site-2")]
    names = sorted(each.relative_to(one) for each in one.rglob("*") if each.is_file())
    assert all((one / name).read_bytes() == (two / name).read_bytes() for name in names)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--stratum", "height=3"), "no 'height'"),
        (("--stratum", "heritability=2"), "heritability: is a number from 0 to 0.95"),
        (("--count", 3), "4 sites need a patient each"),
        (("--dicom",), "are for hearts"),
        (("--panel", "absent.npz"), "is no panel"),
        (("--recipe", "absent.json"), "is not a cohort's recipe.json"),
        (("--recipe", "absent.json", "--stratum", "side=3"), "leave --stratum out"),
    ],
)
def test_wrong_use_is_one_line(laennec: Laennec, tmp_path: Path, arguments: tuple, says: str) -> None:
    finished = laennec("patients", "heterogeneous", *arguments, "--out", tmp_path / "out")
    assert finished.code == 2
    assert says in finished.err
    assert not (tmp_path / "out").exists()
