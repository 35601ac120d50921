"""Strata and recipes of hearts: one text for one meaning, and bad ones refused in a line."""

from __future__ import annotations

import pytest

from ground.errors import UsageError
from simulation.heart.strata import SIMULATOR, VERSION, check, parse, recipes
from simulation.recipe import Recipe


def test_a_stratum_is_written_in_one_way() -> None:
    assert parse("territory=LAD, age=scar").text() == "age=scar,group=infarct,territory=LAD"
    assert parse("age=scar,group=infarct,territory=LAD").text() == parse("territory=LAD,age=scar").text()
    assert parse("segments=8+7+13").text() == "group=infarct,segments=7+8+13"
    assert parse("any").text() == "any"


def test_the_text_of_a_stratum_says_the_stratum() -> None:
    for text in ("group=dilated", "age=acute,group=infarct,segments=7+8", "any"):
        assert parse(parse(text).text()) == parse(text)


def test_a_cohort_of_infarcts_draws_infarcts() -> None:
    assert parse("", "infarct").group == "infarct"
    assert recipes("any", 1, 1, "infarct")[0].stratum == "group=infarct"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("LAD", "territory=LAD"),
        ("territory=LXA", "choose one of LAD, RCA, LCX"),
        ("colour=red", "'colour=red'"),
        ("group=normal,territory=LAD", "only group=infarct"),
        ("territory=LAD,segments=7", "not both"),
        ("segments=0+7", "from 1 to 17"),
        ("segments=18", "from 1 to 17"),
        ("segments=²", "from 1 to 17"),
        ("territory=LAD,territory=RCA", "twice"),
    ],
)
def test_a_bad_stratum_says_what_may_stand_there(text: str, says: str) -> None:
    with pytest.raises(UsageError, match=says.replace("+", r"\+")):
        parse(text)


def test_the_first_recipes_do_not_depend_on_how_many_follow() -> None:
    assert recipes("territory=LAD", 3, 5) == recipes("territory=LAD", 9, 5)[:3]


def test_a_recipe_of_another_simulator_or_version_is_refused() -> None:
    for other in (Recipe("tables", VERSION, "any", 1), Recipe(SIMULATOR, VERSION + 1, "any", 1)):
        with pytest.raises(UsageError, match="give it to that one"):
            check(other)


def test_a_recipe_whose_stratum_is_written_otherwise_is_refused() -> None:
    with pytest.raises(UsageError, match="is written 'age=scar,group=infarct,territory=LAD'"):
        check(Recipe(SIMULATOR, VERSION, "territory=LAD,age=scar", 1))


def test_a_whole_number_and_its_float_are_one_recipe() -> None:
    one = Recipe(SIMULATOR, VERSION, "any", 1, {"heart_rate": 70})
    assert one.digest() == Recipe(SIMULATOR, VERSION, "any", 1, {"heart_rate": 70.0}).digest()
