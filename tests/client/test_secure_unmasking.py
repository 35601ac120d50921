"""What a hospital answers when a masked sum is to be unmasked: once, for enough hospitals, or not at all."""

from __future__ import annotations

from dataclasses import replace

import masked
import pytest
from masked import NAMES, SIX, Course, without
from test_secure_answers import STUDY, Hospitals, send

from privacy.secagg import Unmasking, UnmaskRequest
from tasks.messages import EVERYBODY, Instruction


@pytest.fixture(scope="module")
def hospitals(tmp_path_factory: pytest.TempPathFactory) -> Hospitals:
    return masked.hospitals(tmp_path_factory.mktemp("masked") / "hospitals", names=SIX)


@pytest.fixture
def course(hospitals: Hospitals) -> Course:
    """Four hospitals, of whom any three make a sum; six would confirm a request before they answer it."""
    return Course(STUDY, [each for each in hospitals if each.name in NAMES])


def request(course: Course, active: tuple[str, ...], number: int) -> Instruction:
    side = course.progress.secure
    assert side is not None
    dropped = tuple(name for name in course.hospitals if name not in active)
    told = UnmaskRequest(roster=side.roster.digest, round=number, active=active, dropped=dropped)
    return replace(course.request(), phase="unmask", round=number, secure={EVERYBODY: told.to_text()})


def test_a_second_unmask_request_of_a_round_gets_no_further_share(course: Course) -> None:
    course.run(until=("unmask", 1))
    first = send(course, "hungary", course.request())
    given = Unmasking.from_text(first.secure)
    assert (sorted(given.self_masks), given.mask_keys) == (list(NAMES), {})
    second = send(course, "hungary", request(course, without("cleveland"), 1))
    assert second.secure == first.secure  # the answer to the first, in which cleveland's mask key is not


def test_a_round_that_was_unmasked_is_not_unmasked_later(course: Course) -> None:
    course.run(until=("train", 2))
    course.ask()
    reply = send(course, "hungary", request(course, without("cleveland"), 1))
    assert reply.error is not None
    assert "asked for unmask, round 1, after train 2 was answered" in reply.error[1]


def test_a_request_other_than_the_one_that_was_confirmed_is_refused(hospitals: Hospitals) -> None:
    course = Course(STUDY, hospitals).run(until=("confirm", 1))
    course.ask()
    reply = send(course, "hungary", request(course, SIX[1:], 1))
    assert reply.error == (
        "PrivacyError",
        "round 1 was unmasked already, by another request: refused",
    )


@pytest.mark.parametrize("told", [1, 2, 3])
def test_a_request_that_only_a_few_have_confirmed_is_refused(told: int, hospitals: Hospitals) -> None:
    course = Course(STUDY, hospitals).run(until=("unmask", 1))
    asked = UnmaskRequest.from_text(course.request().said_to("hungary"))
    few = asked.model_copy(update={"confirmations": asked.confirmations[:told]})
    reply = send(course, "hungary", replace(course.request(), secure={EVERYBODY: few.to_text()}))
    assert reply.error is not None
    assert reply.error[0] == "PrivacyError"
    assert reply.secure == ""


@pytest.mark.parametrize("active", [NAMES[:2], NAMES[:1]])
def test_a_sum_of_too_few_is_not_unmasked(active: tuple[str, ...], course: Course) -> None:
    course.run(until=("unmask", 1))
    reply = send(course, "cleveland", request(course, active, 1))
    assert reply.error is not None
    assert reply.error[1].startswith(f"round 1 would be unmasked with {len(active)} hospitals")


def test_a_hospital_that_sent_and_is_called_missing_complains_and_one_that_sat_out_does_not(
    course: Course,
) -> None:
    course.missing["train", 1] = ("hungary",)
    course.run(until=("unmask", 1))
    silent = send(course, "hungary", course.request())
    assert (silent.error, silent.secure) == (None, "")
    loud = send(course, "cleveland", request(course, without("cleveland"), 1))
    assert loud.error is not None
    assert loud.error[1] == "round 1 leaves this hospital out: it unmasks nothing"
