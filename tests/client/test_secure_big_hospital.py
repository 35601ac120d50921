"""A hospital whose sum is longer than its words takes part, within its box, and says so in its log alone."""

from __future__ import annotations

import logging
from dataclasses import replace

import masked
import pytest
from masked import NAMES, Course

from client import secure, training
from privacy.secagg import Encoding


def test_a_sum_beyond_its_words_is_cut_and_the_study_goes_on(
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    hospitals = masked.hospitals(tmp_path_factory.mktemp("masked") / "hospitals")
    course = Course(masked.study(), hospitals).run(until=("train", 1))
    given, contribute = [], training._contribute

    def tight(*arguments: object, **named: object) -> Encoding:
        """Room for the noise and for a hundredth of a clip."""
        chosen = original(*arguments, **named)
        left = int(chosen.most - 0.01 / chosen.step)
        return replace(chosen, deviation=left * chosen.step / 9.0)

    def overhear(*arguments: object) -> object:
        found = contribute(*arguments)
        given.append(found[0])
        return found

    original = secure.encoding
    monkeypatch.setattr(secure, "encoding", tight)
    monkeypatch.setattr(training, "_contribute", overhear)
    with caplog.at_level(logging.WARNING, "laennec.client"):
        course.run(until=("train", 2))
    assert len(given) == len(NAMES)
    assert all(each.confined > 0 for each in given)
    assert "values of the sum were beyond its words and cut" in caplog.text
    assert course.progress.history[0].contributors == NAMES
