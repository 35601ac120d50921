"""Digital patients of the task: who they are, how they are degraded, what a model can learn from them."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch

from ground.errors import UsageError
from tasks.infarct import cohort
from tasks.infarct.digital import (
    EXACT,
    TYPICAL,
    VIEWS,
    Beating,
    beating,
    contours,
    examined,
    patients_of,
    targets,
)
from tasks.infarct.excursion import shortening
from tasks.infarct.inputs import CHANNELS, NAMES, measured
from tasks.infarct.pictures import contour_sheet, gallery, judge
from tasks.infarct.task import INFARCT

PNG = b"\x89PNG"


@cache
def hearts() -> list[Beating]:
    """Four with an infarct, four dilated, two normal."""
    return beating(
        [r for name, n in (("infarct", 4), ("dilated", 4), ("normal", 2)) for r in cohort.recipes(name, n, 3)]
    )


def test_recipes_do_not_depend_on_how_many_and_no_other_stratum_is_known() -> None:
    assert cohort.recipes("infarct", 5, 1)[:2] == cohort.recipes("infarct", 2, 1)
    with pytest.raises(UsageError, match="choose one of infarct, dilated, hypertrophic, normal"):
        cohort.recipes("healthy", 1, 1)


def test_failing_hearts_with_and_without_an_infarct_have_one_law_of_volume() -> None:
    ill = [r.parameters["edv_ml"] for r in cohort.recipes("infarct", 400, 1) if cohort.fails(r)]
    well = [r.parameters["edv_ml"] for r in cohort.recipes("dilated", 400, 2)]
    assert len(ill) == pytest.approx(400 * cohort.FAILING, abs=40)
    assert np.mean(ill) == pytest.approx(np.mean(well), rel=0.05)
    assert np.std(ill) == pytest.approx(np.std(well), rel=0.15)


def test_muscle_is_uneven_without_an_infarct_and_the_same_again() -> None:
    recipe = cohort.recipes("dilated", 1, 3)[0]
    first, again = cohort.muscle(recipe), cohort.muscle(replace(recipe, parameters={}))
    torch.testing.assert_close(first.contractility, again.contractility)
    assert first.contractility.std() > 0.01


def test_truth_is_of_the_dead_share_and_only_infarcts_have_any() -> None:
    for heart in hearts():
        truth = targets(heart)
        ill = heart.recipe.stratum.startswith("group=infarct")
        assert truth[0] == ill
        assert bool(truth[1:].any()) == ill


def test_dead_segments_move_less_where_nothing_is_degraded() -> None:
    for heart in hearts()[:4]:
        drawn = contours(heart, np.random.default_rng(0), EXACT)
        assert drawn is not None
        fixed = shortening(drawn)[0][:16]
        dead = targets(heart)[1:17] > 0
        assert fixed[dead].mean() < fixed[~dead].mean() - 0.05


def test_degrading_is_drawn_from_the_recipe_and_changes_what_is_seen() -> None:
    heart = hearts()[0]
    np.testing.assert_array_equal(examined(heart, 0), examined(heart, 0))
    masks = VIEWS.index("masks")
    assert not np.array_equal(examined(heart, 0)[masks], examined(heart, 0)[masks + 1])
    assert not np.array_equal(examined(heart, 0)[masks], examined(heart, 0, EXACT)[masks])


def test_masks_alone_show_no_strain() -> None:
    known = measured(examined(hearts()[0], 0, TYPICAL)[VIEWS.index("masks")])
    assert {name for name in NAMES if np.isfinite(known[name]).any()} == {"fixed", "floating", "carried"}
    strains = examined(hearts()[0], 0)[VIEWS.index("strains"), :, CHANNELS:]
    assert strains[:, [NAMES.index("radial"), NAMES.index("longitudinal")]].all()


def test_pictures_are_of_the_best_the_median_and_the_worst() -> None:
    torch.manual_seed(0)
    model, patients = INFARCT.model().eval(), patients_of(hearts())
    found = gallery(model, patients)
    assert [each.title.split(" of ")[0] for each in found] == ["best", "median", "worst"]
    assert all(each.png.startswith(PNG) for each in found)
    judged = judge(model, patients)
    assert f"{max(judged, key=lambda one: one.wrong).probability:.2f}" in found[2].title
    drawn = contours(hearts()[0], np.random.default_rng(0))
    assert drawn is not None
    assert contour_sheet([("a caption", drawn, judged[0])]).startswith(PNG)
    assert gallery(model, patients.subset(np.array([], dtype=np.int64))) == []
