"""What the driver says of a hospital whose reply cannot be used: its name and why, and the study goes on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import masked
import pytest
from masked import NAMES, Course, without
from test_driver import FakeGrid, follow

from client import gate
from ground.errors import LaennecError
from privacy.secagg import Unmasking
from server.events import Advanced
from tasks.messages import Instruction, Reply


def false(reply: Reply) -> Reply:
    made = Unmasking.from_text(reply.secure)
    lies = {name: bytes(16) for name in made.self_masks}
    return replace(reply, secure=made.model_copy(update={"self_masks": lies}).to_text())


CASES: dict[str, tuple[str, Callable[[Reply], Reply], str, tuple[str, ...]]] = {
    "words": ("train", lambda r: replace(r, vector=r.vector[:-1]), "sent 17 words", without("cleveland")),
    "study": ("train", lambda r: replace(r, digest="0" * 64), "answered another study", without("cleveland")),
    "shares": ("unmask", false, "sent false shares", NAMES),
    "said": ("unmask", lambda r: replace(r, secure="{"), "a malformed unmasking", NAMES),
    "round": ("unmask", lambda r: replace(r, round=7), "answered another study", NAMES),
}


@pytest.mark.parametrize(("phase", "spoil", "why", "contributors"), CASES.values(), ids=CASES)
def test_a_reply_that_cannot_be_used_leaves_its_hospital_out_by_name(
    phase: str,
    spoil: Callable[[Reply], Reply],
    why: str,
    contributors: tuple[str, ...],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    hospitals = masked.hospitals(tmp_path_factory.mktemp("masked") / "hospitals")
    course = Course(masked.study(), hospitals)

    def node(name: str) -> Any:
        def answer(request: Instruction, _: int) -> Reply:
            try:
                reply = course.answer(name, request)
            except LaennecError as error:  # as client.app does
                return gate.refusal(error, request, course.hospitals[name])
            bad = (name, request.phase, request.sum_number) == ("cleveland", phase, 1)
            return spoil(reply) if bad else reply

        return answer

    progress, events = follow(FakeGrid(*map(node, NAMES)), masked.study())
    assert [record.contributors for record in progress.history] == [contributors, NAMES, ()]
    left = [each for event in events if isinstance(event, Advanced) for each in event.left_out]
    assert {name for name, _ in left} == {"cleveland"}
    assert why in left[0][1]
