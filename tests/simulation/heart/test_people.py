from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from ground.errors import UsageError
from simulation.heart.anatomy import population
from simulation.heart.imaging.scanner import SCANNERS
from simulation.heart.infarct import TERRITORIES
from simulation.heart.people import CULPRITS, PURPOSES, Person, draw
from simulation.heart.strata import recipes


def person(stratum: str, seed: int = 0, **parameters: float) -> Person:
    return draw(replace(recipes(stratum, 1, seed)[0], parameters=parameters))


def test_the_same_recipe_is_the_same_person() -> None:
    first, second = person("group=infarct", 4), person("group=infarct", 4)
    assert first.measures == second.measures
    assert (first.group, first.scanner, first.territory) == (second.group, second.scanner, second.territory)
    assert first.lesion is not None
    assert second.lesion is not None
    assert first.lesion.extent == second.lesion.extent
    for name in PURPOSES:
        assert first.random[name].random() == second.random[name].random()


def test_other_seeds_are_other_people() -> None:
    assert person("any", 1).measures != person("any", 2).measures


def test_purposes_have_generators_that_are_independent() -> None:
    drawn = person("any").random
    assert set(drawn) == set(PURPOSES)
    assert len({each.random() for each in drawn.values()}) == len(PURPOSES)


def test_drawing_for_one_purpose_again_starts_from_the_beginning() -> None:
    somebody = person("any")
    before = somebody.again("look").standard_normal(5)
    somebody.random["look"].standard_normal(3)
    assert np.array_equal(somebody.again("look").standard_normal(5), before)


def test_what_the_stratum_fixes_is_fixed_and_the_rest_is_drawn() -> None:
    everyone = [draw(each) for each in recipes("territory=RCA,scanner=b", 30, 1)]
    assert {each.territory for each in everyone} == {"RCA"}
    assert {each.scanner for each in everyone} == {"b"}
    assert {each.group for each in everyone} == {"infarct"}
    assert {each.lesion.age for each in everyone if each.lesion} == {"acute", "scar"}


def test_an_open_stratum_draws_every_group_scanner_and_culprit() -> None:
    everyone = [draw(each) for each in recipes("any", 60, 2)]
    assert {each.group for each in everyone} == set(population.GROUPS)
    assert {each.scanner for each in everyone} == set(SCANNERS)


def test_culprits_are_drawn_as_often_as_stated() -> None:
    everyone = [draw(each) for each in recipes("group=infarct", 300, 2)]
    found = Counter(each.territory for each in everyone)
    assert set(found) == set(TERRITORIES) == set(CULPRITS)
    for name, share in CULPRITS.items():
        # Within three standard deviations of a binomial law.
        assert abs(found[name] - 300 * share) < 3 * (300 * share * (1 - share)) ** 0.5, name


def test_only_an_infarct_has_a_lesion_and_a_territory() -> None:
    for each in (draw(recipe) for recipe in recipes("any", 40, 3)):
        assert (each.lesion is not None) == (each.group == "infarct") == (each.territory != "")


def test_a_scar_has_made_the_cavity_larger_and_a_fresh_infarct_has_not() -> None:
    for age in ("acute", "scar"):
        struck, spared = person(f"age={age}", 5), person(f"age={age}", 5, extent=0.0)
        assert struck.dead > 0 == spared.dead
        assert spared.dilation == 1
        assert struck.measures["edv_ml"] == pytest.approx(struck.dilation * spared.measures["edv_ml"])
        assert (struck.dilation > 1) == (age == "scar")


def test_segments_of_the_stratum_are_those_of_the_lesion() -> None:
    somebody = person("segments=7+8")
    assert somebody.lesion is not None
    assert somebody.lesion.segments == (7, 8)
    assert somebody.territory == "segments"


def test_fixed_parameters_go_to_whom_they_concern() -> None:
    somebody = person("group=infarct", edv_ml=150.0, heart_rate=80.0, extent=0.5)
    assert somebody.measures["edv_ml"] == 150.0
    assert somebody.works == {"heart_rate": 80.0}
    assert somebody.lesion is not None
    assert somebody.lesion.extent == 0.5


def test_an_unknown_parameter_is_refused_with_the_names_there_are() -> None:
    with pytest.raises(UsageError, match=r"'colour'.*extent.*heart_rate.*edv_ml"):
        person("any", colour=1.0)


def test_an_infarct_of_a_group_without_one_is_refused() -> None:
    with pytest.raises(UsageError, match="extent is of an infarct, which group=normal has not"):
        person("group=normal", extent=0.5)
