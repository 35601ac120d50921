"""Infarcts: where they lie, how far they reach, and what follows for the wall."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from ground.errors import UsageError
from simulation.heart import infarct
from simulation.heart.infarct import TERRITORIES, Infarct, Lesion, draw, place


def lesion(territory: str = "LAD", seed: int = 1, age: str = "scar", **fixed: float) -> Lesion:
    return draw(TERRITORIES[territory], age, np.random.default_rng(seed), fixed)


def placed(*lesions: Lesion | None) -> Infarct:
    return place(list(lesions), torch.float64)


def test_the_territories_are_a_partition_of_the_seventeen_segments() -> None:
    assert sorted(each for segments in TERRITORIES.values() for each in segments) == list(range(1, 18))


def test_a_scar_dilates_the_ventricle_by_how_much_of_it_is_dead_and_a_fresh_infarct_does_not() -> None:
    small, large = lesion(extent=0.3), lesion(extent=0.9)
    assert 0 < infarct.dead_share(small) < infarct.dead_share(large) < 0.5
    assert 1 < infarct.dilation(small) < infarct.dilation(large)
    assert infarct.dilation(lesion(extent=0.9, age="acute")) == 1.0
    assert infarct.dilation(None) == 1.0
    assert infarct.dead_share(None) == infarct.dead_share(lesion(extent=0.0)) == 0.0


def test_the_dead_share_is_that_of_the_area_where_the_wall_is_dead_throughout() -> None:
    """Of a whole transmural territory; segments of a level weigh alike (`groups.SURFACE`)."""
    whole = lesion("LAD", extent=1.0, transmurality=1.0, severity=1.0)
    assert infarct.dead_share(whole) == pytest.approx(2 * 0.06 + 2 * 0.35 / 6 + 2 * 0.06 + 0.05, abs=0.06)


@pytest.mark.parametrize("territory", list(TERRITORIES))
@pytest.mark.parametrize("seed", range(6))
def test_an_infarct_stays_in_its_territory(territory: str, seed: int) -> None:
    fractions = placed(lesion(territory, seed)).fractions()[0]
    inside = [segment - 1 for segment in TERRITORIES[territory]]
    outside = [segment for segment in range(17) if segment not in inside]
    assert fractions[inside].sum() > 10 * fractions[outside].sum()
    assert fractions[outside].max() < 0.2


@pytest.mark.parametrize("extent", [0.2, 0.5, 0.9])
def test_the_patch_covers_the_share_of_the_territory_that_was_asked_for(extent: float) -> None:
    one = lesion(extent=extent, transmurality=1.0, severity=1.0)
    along, angle = infarct._grid("cpu", torch.float64)
    area = infarct._circumference(along)
    inside = infarct._inside(along, angle, one.segments)
    covered = (placed(one).depth[0].flatten() * area).sum() / (area * inside).sum()
    assert covered == pytest.approx(extent, abs=0.06)


def test_a_larger_extent_contains_the_smaller_one() -> None:
    small, large = placed(lesion(extent=0.3), lesion(extent=0.6)).depth
    assert (large >= small - 1e-12).all()


def test_necrosis_grows_from_the_endocardium() -> None:
    found = placed(lesion(transmurality=0.5, severity=1.0, extent=0.8))
    along, angle = infarct._grid("cpu", torch.float64)
    layers = [
        found.density(torch.full_like(along, t)[None], along[None], angle[None]) for t in (0.1, 0.5, 0.9)
    ]
    inner, middle, outer = (float(each.sum()) for each in layers)
    assert inner > middle > outer == 0.0


def test_severity_is_the_share_of_dead_myocytes_in_the_core() -> None:
    found = placed(lesion(severity=0.6, transmurality=1.0))
    along, angle = infarct._grid("cpu", torch.float64)
    assert float(
        found.density(torch.zeros_like(along)[None], along[None], angle[None]).max()
    ) == pytest.approx(0.6)


def test_dead_muscle_does_not_contract_and_a_scar_is_stiff_and_thin() -> None:
    found = placed(lesion(extent=0.95, transmurality=1.0, severity=1.0), None)
    worst = int(found.fractions()[0].argmax())
    assert float(found.contractility()[0, worst]) < 0.2
    assert float(found.stiffness()[0, worst]) > 4.0
    assert torch.equal(found.contractility()[1], torch.ones(17, dtype=torch.float64))
    assert torch.equal(found.stiffness()[1], torch.ones(17, dtype=torch.float64))


def test_an_acute_infarct_is_hardly_stiffer_and_not_thinner() -> None:
    one = lesion(extent=0.9, transmurality=1.0, severity=1.0)
    acute, scar = placed(replace(one, age="acute"), one).stiffness().max(dim=1).values
    assert float(acute) < 1.6 < 4.0 < float(scar)


def test_a_patient_does_not_depend_on_the_batch() -> None:
    one, other = lesion("RCA", 3), lesion("LCX", 4)
    assert torch.equal(placed(one).depth[0], placed(other, None, one).depth[2])


def test_the_same_seed_draws_the_same_lesion_and_fixing_one_value_moves_no_other() -> None:
    free, fixed = lesion(seed=9), lesion(seed=9, extent=0.5)
    assert fixed.extent == 0.5
    assert (free.transmurality, free.severity, free.centre) == (
        fixed.transmurality,
        fixed.severity,
        fixed.centre,
    )


@pytest.mark.parametrize("value", [-0.1, 1.1, float("nan")])
def test_a_share_outside_zero_to_one_is_refused_by_name(value: float) -> None:
    with pytest.raises(UsageError, match="severity"):
        lesion(severity=value)
