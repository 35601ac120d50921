"""A hospital whose message cannot be used is left out of that round, by name; the others go on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import masked
import numpy as np
import pytest
from masked import NAMES, SIX, TASK, Course, Settings, without

from ground.errors import FederationError
from privacy.secagg import Preparation, Unmasking
from server import secure
from server.round import step
from tasks.messages import Reply

Hospitals = tuple[Settings, ...]
Spoil = Callable[[Reply], Reply]


@pytest.fixture(scope="module")
def hospitals(tmp_path_factory: pytest.TempPathFactory) -> Hospitals:
    return masked.hospitals(tmp_path_factory.mktemp("masked") / "hospitals", names=SIX)


def four(hospitals: Hospitals) -> list[Settings]:
    return [each for each in hospitals if each.name in NAMES]


def streamed(course: Course, name: str, spoil: Spoil) -> Course:
    """One step in which that hospital's reply is spoilt; words go into the sum as they come."""
    replies = course.ask()
    replies[name] = spoil(replies[name])
    for reply in replies.values():
        if secure.summing(course.progress):
            course.progress = secure.add(course.progress, reply)
    said = {each: replace(reply, vector=None) for each, reply in replies.items()}
    course.progress, _ = step(course.progress, said, TASK)
    return course


def refused(course: Course) -> list[tuple[int, str]]:
    return [(each.round, each.hospital) for each in secure.refusals(course.progress)]


def words(reply: Reply, vector: object) -> Reply:
    return replace(reply, vector=vector)  # type: ignore[arg-type]


VECTORS: dict[str, Spoil] = {
    "too long": lambda reply: words(reply, np.append(reply.vector, reply.vector)),
    "too short": lambda reply: words(reply, reply.vector[:-1]),
    "wider": lambda reply: words(reply, np.asarray(reply.vector).astype(np.uint16)),
    "unmasked": lambda reply: words(reply, np.zeros(16, np.float32)),
    "a matrix": lambda reply: words(reply, np.asarray(reply.vector).reshape(1, -1)),
    "other metrics": lambda reply: replace(reply, summed=("accuracy", "calories")),
}


@pytest.mark.parametrize("spoil", VECTORS.values(), ids=VECTORS)
@pytest.mark.parametrize("name", ["hungary", "switzerland"])
def test_words_that_do_not_belong_leave_that_hospital_out_of_the_sum(
    spoil: Spoil, name: str, hospitals: Hospitals
) -> None:
    course = Course(masked.study(), four(hospitals)).run(until=("train", 1))
    streamed(course, name, spoil)
    assert course.progress.secure is not None
    assert course.progress.secure.active == without(name)
    assert refused(course) == [(1, name)]
    course.run()
    assert [record.contributors for record in course.progress.history] == [without(name), NAMES, ()]


def test_the_first_to_send_too_many_words_does_not_decide_how_many_are_right(hospitals: Hospitals) -> None:
    course = Course(masked.study(), four(hospitals)).run(until=("train", 1))
    streamed(course, NAMES[0], VECTORS["too long"])
    assert course.progress.secure is not None
    assert course.progress.secure.active == NAMES[1:]


@pytest.mark.parametrize("noise", ["distributed", "local"])
@pytest.mark.parametrize("strategy", ["fedavg", "fedadam", "ditto", "scaffold"])
def test_the_coordinator_knows_how_many_words_are_right(
    noise: str, strategy: str, hospitals: Hospitals
) -> None:
    if (noise, strategy) == ("distributed", "scaffold"):
        return
    course = Course(masked.study(noise, strategy), four(hospitals)).run()
    assert refused(course) == []
    assert not any(record.abandoned for record in course.progress.history)


def test_a_sum_without_too_many_bad_hospitals_is_abandoned_and_the_next_one_is_not(
    hospitals: Hospitals,
) -> None:
    course = Course(masked.study(), four(hospitals)).run(until=("train", 1))
    replies = course.ask()
    for name in NAMES[:2]:
        replies[name] = VECTORS["too short"](replies[name])
    for reply in replies.values():
        course.progress = secure.add(course.progress, reply)
    said = {name: replace(reply, vector=None) for name, reply in replies.items()}
    course.progress, _ = step(course.progress, said, TASK)
    assert "cleveland, hungary sent nothing" in course.progress.history[0].abandoned
    assert course.run().progress.history[1].contributors == NAMES


def spoilt(reply: Reply, **changes: object) -> Reply:
    made = Preparation.from_text(reply.secure)
    return replace(reply, secure=made.model_copy(update=changes).to_text())


SAID: dict[str, Spoil] = {
    "not to be read": lambda reply: replace(reply, secure="{"),
    "for another": lambda reply: spoilt(reply, hospital="cleveland"),
    "unsigned": lambda reply: spoilt(reply, signature=bytes(64)),
    "for few": lambda reply: spoilt(reply, sealed={}),
}


@pytest.mark.parametrize("spoil", SAID.values(), ids=SAID)
def test_what_cannot_be_used_to_prepare_the_next_sum_is_asked_again(
    spoil: Spoil, hospitals: Hospitals
) -> None:
    course = Course(masked.study(), four(hospitals)).run(until=("train", 1))
    streamed(course, "hungary", spoil)
    assert refused(course) == [(1, "hungary")]
    course.run()
    assert ("roster", 2) in course.asked
    assert [record.contributors for record in course.progress.history] == [NAMES, NAMES, ()]


def test_whoever_prepares_badly_twice_sits_out_the_next_sum(hospitals: Hospitals) -> None:
    course = Course(masked.study(rounds=5), four(hospitals)).run(until=("train", 1))
    streamed(course, "hungary", SAID["unsigned"])
    course.run(until=("roster", 2))
    streamed(course, "hungary", lambda reply: replace(reply, secure="{}"))
    assert refused(course) == [(1, "hungary"), (2, "hungary")]
    contributors = [record.contributors for record in course.run().progress.history]
    assert contributors[:3] == [NAMES, without("hungary"), NAMES]


def lying(reply: Reply) -> Reply:
    made = Unmasking.from_text(reply.secure)
    false = {name: bytes(16) for name in made.self_masks}
    return replace(reply, secure=made.model_copy(update={"self_masks": false}).to_text())


@pytest.mark.parametrize("spoil", [lying, SAID["not to be read"]], ids=["false", "not to be read"])
def test_shares_that_do_not_fit_are_done_without(spoil: Spoil, hospitals: Hospitals) -> None:
    course = Course(masked.study(), four(hospitals)).run(until=("unmask", 1))
    streamed(course, "cleveland", spoil)
    assert refused(course) == [(1, "cleveland")]
    course.run()
    np.testing.assert_array_equal(
        course.progress.state.model, Course(masked.study(), four(hospitals)).run().progress.state.model
    )


def test_a_confirmation_that_cannot_be_read_is_done_without(hospitals: Hospitals) -> None:
    course = Course(masked.study(), hospitals).run(until=("confirm", 1))
    streamed(course, SIX[0], SAID["not to be read"])
    assert refused(course) == [(1, SIX[0])]
    assert course.run().progress.history[0].contributors == SIX


def test_refusals_survive_a_restart(hospitals: Hospitals) -> None:
    course = Course(masked.study(), four(hospitals)).run(until=("train", 1))
    streamed(course, "hungary", VECTORS["too short"])
    before = secure.refusals(course.progress)
    assert before[0].why == "hungary sent 17 words of uint64 where 18 of uint64 were expected: refused"
    assert secure.refusals(course.restart().progress) == before


def test_at_set_up_everybody_is_needed_and_who_cannot_be_read_is_named(hospitals: Hospitals) -> None:
    course = Course(masked.study(), four(hospitals)).run(until=("roster", 0))
    with pytest.raises(FederationError, match="hospital hungary: secure aggregation: a malformed joined"):
        streamed(course, "hungary", SAID["not to be read"])
