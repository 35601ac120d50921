"""Progress in the middle of a masked sum, on disk."""

from __future__ import annotations

from dataclasses import replace

import masked
import numpy as np
import pytest
from masked import SIX, Course, Place

from ground.bundle import pack, unpack
from ground.errors import StateError
from server import checkpoint
from server.progress import Progress

WHERE = "home/coordinator"
# Round 1 is abandoned before anything is confirmed.
EVERYWHERE = [
    place for place in masked.places(2, confirm=True) if place not in {("unmask", 1), ("confirm", 1)}
]


@pytest.fixture(scope="module")
def middles(tmp_path_factory: pytest.TempPathFactory) -> dict[Place, Progress]:
    """Progress before each instruction of a study: of six hospitals, of whom three vanish in a round."""
    hospitals = masked.hospitals(tmp_path_factory.mktemp("masked") / "hospitals", names=SIX)
    found: dict[Place, Progress] = {}
    course = Course(masked.study(), hospitals, {("train", 1): SIX[:3]})
    while course.progress.phase != "done":
        found[course.place] = copied(course.progress)
        course.go()
    return found


def copied(progress: Progress) -> Progress:
    """With a sum of its own, since unmasking changes it in place."""
    side = progress.secure
    if side is None or side.total is None:
        return progress
    return replace(progress, secure=replace(side, total=side.total.copy()))


EVERYWHERE = [
    place for place in masked.places(2, confirm=True) if place not in {("unmask", 1), ("confirm", 1)}
]


@pytest.mark.parametrize("place", [*EVERYWHERE, ("roster", 2)])
def test_it_is_read_as_it_was_saved(place: Place, middles: dict[Place, Progress]) -> None:
    progress = middles[place]
    saved = checkpoint.to_bytes(progress)
    back = checkpoint.from_bytes(saved, WHERE)
    assert checkpoint.to_bytes(back) == saved
    for part in ("phase", "round", "roster", "pending", "summed", "history", "accountant"):
        assert getattr(back, part) == getattr(progress, part)
    sides = [each.secure and replace(each.secure, total=None) for each in (back, progress)]
    assert sides[0] == sides[1]
    assert (sides[0] is None) == (place[0] == "enrol")


@pytest.mark.parametrize("place", [("confirm", 0), ("unmask", 0), ("confirm", 2), ("unmask", 3)])
def test_the_masked_sum_is_read_to_the_last_bit_and_can_be_unmasked(
    place: Place, middles: dict[Place, Progress]
) -> None:
    before, back = (
        each.secure
        for each in (
            middles[place],
            checkpoint.from_bytes(checkpoint.to_bytes(middles[place]), WHERE),
        )
    )
    assert before is not None
    assert before.total is not None
    assert back is not None
    assert back.total is not None
    assert back.total.dtype == before.total.dtype
    np.testing.assert_array_equal(back.total, before.total)
    assert back.total.flags.writeable


def test_only_while_a_sum_waits_to_be_unmasked_is_there_one(middles: dict[Place, Progress]) -> None:
    waiting = {
        place[0]
        for place, progress in middles.items()
        if progress.secure is not None and progress.secure.total is not None
    }
    assert waiting == {"confirm", "unmask"}


def test_what_is_saved_holds_no_secret_of_a_hospital(middles: dict[Place, Progress]) -> None:
    """Keys are public halves and shares are sealed; the words for a hospital's own secrets do not occur."""
    for progress in middles.values():
        text = checkpoint.to_bytes(progress)
        assert b"self_mask" not in text
        assert b"mask_key" not in text


@pytest.mark.parametrize(
    ("part", "value"),
    [
        *[("secure", value) for value in ('{"roster": 1}', "not JSON", 5)],
        *[("pending", value) for value in ({"after": 1}, 5, [])],
        ("summed", 5),
    ],
)
def test_a_part_of_it_that_is_damaged_is_refused_by_its_place(
    part: str, value: object, middles: dict[Place, Progress]
) -> None:
    arrays, header = unpack(checkpoint.to_bytes(middles["unmask", 2]), WHERE)
    with pytest.raises(StateError, match=f"^{WHERE}: damaged: "):
        checkpoint.from_bytes(pack(arrays, {**header, part: value}), WHERE)


@pytest.mark.parametrize("part", ["secure", "pending", "summed"])
def test_a_part_of_it_that_is_missing_is_refused_by_its_place(
    part: str, middles: dict[Place, Progress]
) -> None:
    arrays, header = unpack(checkpoint.to_bytes(middles["unmask", 2]), WHERE)
    del header[part]
    with pytest.raises(StateError, match=f"^{WHERE}: damaged: "):
        checkpoint.from_bytes(pack(arrays, header), WHERE)


def test_a_sum_that_is_gone_from_it_is_abandoned_and_leaves_the_model(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    hospitals = masked.hospitals(tmp_path_factory.mktemp("masked") / "hospitals")
    course = Course(masked.study(), hospitals).run(until=("unmask", 1))
    arrays, header = unpack(checkpoint.to_bytes(course.progress), WHERE)
    del arrays["secure.total"]
    course.progress = checkpoint.from_bytes(pack(arrays, header), WHERE)
    before = course.progress.state.model.copy()
    course.go()
    assert "no words were received" in course.progress.history[-1].abandoned
    np.testing.assert_array_equal(course.progress.state.model, before)
