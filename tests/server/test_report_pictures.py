"""The parts of the report that pictures fill: the ε curve, and what patients look like."""

from __future__ import annotations

import base64
import re
from copy import deepcopy
from typing import Any

import pytest
from pictured import png
from test_report_page import EVIL, Reader, compare_sample, run_sample

from server.report.epsilon import epsilon_picture
from server.report.page import page
from tasks.contract import Picture

CURVE: dict[str, Any] = {
    "headline": "dice",
    "ways": [
        {
            "label": label,
            "points": [
                {"epsilon": epsilon, "arm": "a", "label": "a", "mean": mean + 0.01 * epsilon, "sd": 0.02}
                for epsilon in (1.0, 3.0, 8.0)
            ],
            "without_privacy": {"arm": "b", "label": "b", "mean": 0.9, "sd": 0.01},
        }
        for label, mean in (("federated", 0.4), ("digital start", 0.8))
    ],
    "digital": {"arm": "digital", "label": "digital patients only", "mean": 0.8, "sd": 0.01},
}
PICTURES = [Picture(f"{word} of 3, Dice .7", png(place)) for place, word in enumerate(("best", "worst"))]


def without_deviations(curve: dict[str, Any]) -> dict[str, Any]:
    """As from one seed."""
    found = deepcopy(curve)
    for way in found["ways"]:
        for point in (*way["points"], way["without_privacy"]):
            point["sd"] = None
    return {**found, "digital": {**found["digital"], "sd": None}}


def test_the_curve_says_in_words_what_it_shows() -> None:
    text = epsilon_picture(CURVE)
    words = re.findall(r'aria-label="([^"]*)"', text)
    assert words == [
        "dice against ε. federated: 0.410 at ε = 1, 0.430 at ε = 3, 0.480 at ε = 8, 0.900 without privacy; "
        "digital start: 0.810 at ε = 1, 0.830 at ε = 3, 0.880 at ε = 8, 0.900 without privacy; "
        "digital patients only: 0.800 throughout."
    ]
    assert text == epsilon_picture(deepcopy(CURVE))


def test_bars_are_drawn_where_there_are_deviations() -> None:
    lines = [epsilon_picture(curve).count("<path") for curve in (CURVE, without_deviations(CURVE))]
    assert lines[0] - lines[1] >= 2 * 4  # two ways of three ε and their end without privacy


@pytest.mark.parametrize("missing", ["digital", "without_privacy", "mean"])
def test_what_was_not_run_is_left_out(missing: str) -> None:
    curve = without_deviations(CURVE)
    if missing == "digital":
        curve["digital"] = None
    elif missing == "without_privacy":
        curve["ways"][0]["without_privacy"] = None
    else:
        curve["ways"][0]["points"][0]["mean"] = None
    assert epsilon_picture(curve).startswith("<svg")


def test_a_name_in_the_curve_is_never_obeyed() -> None:
    curve = deepcopy(CURVE)
    curve["ways"][0]["label"] = EVIL
    assert "<script" not in epsilon_picture(curve)


def test_the_report_shows_the_curve_where_the_result_has_one() -> None:
    values, card = compare_sample()
    assert "What privacy costs" not in page(values, card)
    text = page({**values, "epsilon_curve": CURVE}, card)
    assert "What privacy costs" in text
    assert "dice against ε" in text
    identifiers = re.findall(r'\bid="([^"]+)"', text)
    assert len(identifiers) == len(set(identifiers))


def test_pictures_lie_in_the_page_with_words_the_worst_hospital_first() -> None:
    values, card = run_sample()
    names = [each["name"] for each in values["hospitals"]]
    text = page(values, card, {"": dict.fromkeys(names, PICTURES)})
    images = [each for tag, each in Reader(text).elements if tag == "img"]
    assert [each["alt"] for each in images] == [
        f"{name}: {each.title}" for name in ("brest", "caen", "amiens") for each in PICTURES
    ]
    for image, picture in zip(images, PICTURES * 3, strict=True):
        kind, content = image["src"].split(",")
        assert kind == "data:image/png;base64"
        assert base64.b64decode(content) == picture.png


def test_each_arm_s_pictures_stand_under_its_name() -> None:
    values, card = compare_sample()
    shown = {"federated": {"caen": PICTURES}, "federated + DP ε=2": {"caen": PICTURES}, "pooled": {}}
    read = Reader(page(values, card, shown))
    assert sum(tag == "h3" for tag, _ in read.elements) == 2
    assert "federated, first seed" in read.words


@pytest.mark.parametrize("shown", [{}, {"": {}}, {"": {"caen": []}}])
def test_where_nobody_discloses_a_picture_there_is_no_such_part(shown: dict[str, Any]) -> None:
    text = page(*run_sample(), shown)
    assert "Patient by patient" not in text
    assert "<img" not in text


def test_words_of_a_picture_are_never_obeyed() -> None:
    text = page(*run_sample(), {EVIL: {EVIL: [Picture(EVIL, png(1))]}})
    assert "<script" not in text
    assert {tag for tag, _ in Reader(text).elements} >= {"img"}


def test_many_arms_stand_below_each_other() -> None:
    values, card = compare_sample()
    first = values["arms"]["own"]
    values["arms"] |= {f"federated_dp_{each}": {**first, "label": f"more {each}"} for each in range(4)}
    text = page(values, card)
    heads = re.findall(r'<th scope="col" class="number">([^<]*)</th>', text)
    assert heads[:3] == ["worst hospital", "mean", "epsilon of one model"]
    assert sorted(heads[3:6]) == sorted(first["hospitals"])
    rows = re.findall(r'<tr><th scope="row">([^<]*)</th>\n<td', text)
    assert rows == [arm["label"] for arm in values["arms"].values()]


def test_the_gap_is_shown_where_it_was_filled() -> None:
    values, card = run_sample()
    assert "The gap" not in page(values, card)
    gap = [{"stratum": EVIL, "counted": -0.26, "digital_at_each_hospital": 12}]
    text = page({**values, "gap": gap}, card)
    assert "<script" not in text
    assert '<td class="number">-0.3</td><td class="number">12</td>' in text
    assert "counted with noise" in Reader(text).words
