from functools import cache

import numpy as np
import torch

from simulation.heart.imaging.raster import RV, Raster, rasterise
from simulation.heart.imaging.tissues import HEART
from simulation.heart.imaging.trabeculae import FULLEST, Trabeculae, areas, cores, draw
from tests.simulation.heart.test_raster import ED, ES, PATIENTS, motion, stack


def drawn(seed: int = 0) -> list[Trabeculae]:
    return [draw(np.random.default_rng([seed, number])) for number in range(PATIENTS)]


@cache
def both() -> tuple[Raster, Raster]:
    """Smooth, and with trabeculae."""
    places = stack(9, 8.0, 12.0)
    return (
        rasterise(motion(), places, papillary=False),
        rasterise(motion(), places, trabeculae=drawn()),
    )


def amount(raster: Raster, *names: str) -> torch.Tensor:
    """(P, T) of a tissue in all slices."""
    index = [HEART.index(name) for name in names]
    return raster.fractions[:, :, :, index].sum((1, 3, 4, 5))


def test_they_are_part_of_the_cavities_and_labels_do_not_know_them() -> None:
    smooth, rough = both()
    assert torch.equal(smooth.labels, rough.labels)
    for names in (("lv_blood", "papillary"), ("rv_blood", "rv_trabeculae"), ("myocardium",), ("rv_wall",)):
        torch.testing.assert_close(amount(smooth, *names), amount(rough, *names))


def test_both_cavities_have_some() -> None:
    smooth, rough = both()
    for muscle, blood in (("papillary", "lv_blood"), ("rv_trabeculae", "rv_blood")):
        assert float(amount(smooth, muscle).max()) == 0
        share = amount(rough, muscle) / amount(rough, muscle, blood)
        assert bool(((share[:, ED] > 0.01) & (share[:, ED] < 0.4)).all())


def test_counting_the_rv_s_as_the_lv_s_would_change_labels() -> None:
    rough = both()[1]
    ridges = rough.fractions[:, :, :, HEART.index("rv_trabeculae")] > 0.6
    assert bool(ridges.any())
    assert bool((rough.labels[ridges] == RV).all())


def test_they_keep_their_area_while_the_cavity_closes() -> None:
    one = motion()[0:1]
    squares, filled = one.squares()[:, 0], areas(drawn()[0], one.anatomy)
    inner = cores(squares, filled, one.stretch[0])
    ridges = (squares[[0, 2]] - inner)[0] * one.stretch[0]
    room = squares[0] * FULLEST > filled[0] / one.stretch[0]
    torch.testing.assert_close(ridges[ED][room[ED]], filled[0][room[ED]])
    torch.testing.assert_close(ridges[ES][room[ES]], filled[0][room[ES]])
    # So that they fill more of what is left.
    share = amount(both()[1], "papillary") / amount(both()[1], "papillary", "lv_blood")
    assert bool((share[:, ES] > share[:, ED]).all())


def test_they_never_fill_a_cavity() -> None:
    one = motion()[0:1]
    squares = one.squares()[:, 0]
    inner = cores(squares, 1e6 * torch.ones(2, *squares.shape[2:]).double(), one.stretch[0])
    open_still = squares[0] > 0
    torch.testing.assert_close(inner[0][open_still], (1 - FULLEST) * squares[0][open_still])


def test_the_same_seed_gives_the_same_and_another_others() -> None:
    one = motion()[0:1].anatomy
    assert torch.equal(areas(drawn()[0], one), areas(drawn()[0], one))
    assert not torch.equal(areas(drawn()[0], one), areas(drawn(1)[0], one))
