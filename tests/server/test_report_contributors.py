from __future__ import annotations

from typing import Any

import pytest
from test_report_page import OPEN_CARD
from test_result import finished, result_of
from test_round import FREE, NAMES, TASK, advance, begin, replies

from server.report.contributors import Contributor, contributors, ranges
from server.report.page import page


@pytest.mark.parametrize(
    ("numbers", "said"),
    [([], "none"), ([4], "4"), ([1, 2, 3], "1–3"), ([3, 1, 2, 9, 5, 6], "1–3, 5–6, 9"), ([2, 2], "2")],
)
def test_rounds_are_drawn_together(numbers: list[int], said: str) -> None:
    assert ranges(numbers) == said


def without_hungary_in_round_one() -> dict[str, Any]:
    progress = begin(FREE, TASK)
    while progress.phase != "done":
        left = ("hungary",) if (progress.phase, progress.round) == ("train", 1) else ()
        progress = advance(progress, replies(progress, tuple(name for name in NAMES if name not in left)))
    return result_of(progress, ((1, "hungary", "no reply within 60 s"),))


def test_every_hospital_has_its_rounds() -> None:
    assert contributors(without_hungary_in_round_one()) == [
        Contributor("cleveland", 2, "1–2"),
        Contributor("hungary", 1, "2"),
        Contributor("long-beach", 2, "1–2"),
        Contributor("switzerland", 2, "1–2"),
    ]


def test_who_contributed_to_nothing_is_there() -> None:
    values = result_of(finished(FREE))
    for record in values["history"]:
        record["contributors"] = [name for name in record["contributors"] if name != "hungary"]
    assert Contributor("hungary", 0, "none") in contributors(values)


def test_the_report_names_who_contributed_to_which_round_and_who_was_left_out() -> None:
    text = page(without_hungary_in_round_one(), OPEN_CARD)
    assert "Who contributed when" in text
    assert '<th scope="row">hungary</th><td class="number">1</td><td>2</td>' in text
    assert "no reply within 60 s" in text
