"""A hospital whose sum is longer than its words takes part, within its box, and says so in its log alone."""

from __future__ import annotations

import logging
import math
import tracemalloc
from dataclasses import replace
from typing import Any

import masked
import numpy as np
import pytest
from masked import NAMES, Course

from client import secure, training
from ground.arrays import Words
from privacy.secagg import Encoding, encoding
from tasks.learners.contract import Contribution
from tasks.learners.gradient_sum import GradientSum
from tasks.learners.strategies import STRATEGIES

METRICS = {"accuracy": 0.75, "auc": math.nan}


@pytest.mark.parametrize("kind", [np.float64, np.float32])
def test_words_that_overwrite_a_contribution_are_those_that_do_not(kind: type) -> None:
    vector = np.random.default_rng(2).normal(0, 3, 70_000).astype(kind)
    chosen, mine = Encoding(32, 2.0**-16, 4), Contribution(vector.copy())
    expected = secure.words_of(mine, METRICS, chosen)
    np.testing.assert_array_equal(mine.vector, vector)  # still its owner's
    words = secure.words_of(mine, METRICS, chosen, overwrite=True)
    np.testing.assert_array_equal(words, expected)
    assert words.shape == (70_004,)
    assert np.shares_memory(words, mine.vector) is (kind is np.float64)  # a float32 has no room for metrics


def test_overwriting_takes_no_memory_that_grows_with_the_model() -> None:
    peaks = []
    for overwrite in (True, False):
        mine = Contribution(np.zeros(2_000_000))
        tracemalloc.start()
        secure.words_of(mine, METRICS, Encoding(32, 2.0**-16, 4), overwrite=overwrite)
        peaks.append(tracemalloc.get_traced_memory()[1] / 8e6)
        tracemalloc.stop()
    assert peaks[0] < 0.3 < 1.0 <= peaks[1]


def test_the_vector_of_a_task_s_own_learner_stays_as_it_was(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may be what the learner keeps; the learners here give a vector that nobody else has."""
    hospitals = masked.hospitals(tmp_path_factory.mktemp("masked") / "hospitals")
    allowed, words_of = [], secure.words_of

    def overhear(*arguments: Any, overwrite: bool) -> Words:
        allowed.append(overwrite)
        return words_of(*arguments, overwrite=overwrite)

    monkeypatch.setattr(secure, "words_of", overhear)
    Course(masked.study(), hospitals).run(until=("train", 1))
    assert set(allowed) == {True}
    own = replace(masked.TASK, learner=lambda task, study: GradientSum(task, study, STRATEGIES["fedavg"]))
    for module in (training, secure):
        monkeypatch.setattr(module, "find", lambda *_: own)
    allowed.clear()
    Course(masked.study(), hospitals).run(until=("train", 1))
    assert set(allowed) == {False}


def test_what_a_hospital_keeps_is_not_overwritten_by_words(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    course = Course(masked.study(), masked.hospitals(tmp_path_factory.mktemp("masked") / "hospitals"))
    given, contribute = {}, training._contribute

    def keeping(asked: training.Asked, *rest: Any) -> Any:
        """A learner that keeps the very vector that it gives."""
        contribution, arrays = contribute(asked, *rest)
        given[asked.settings.name] = contribution.vector.copy()
        return contribution, {**arrays, "mine": contribution.vector[1:]}

    monkeypatch.setattr(training, "_contribute", keeping)
    monkeypatch.setattr(encoding, "SMALL", 0)  # words of 32 bits, for which there is room in the vector
    course.run(until=("train", 1)).ask(["hungary"])
    np.testing.assert_array_equal(course.memory("hungary").arrays["mine"], given["hungary"][1:])


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
