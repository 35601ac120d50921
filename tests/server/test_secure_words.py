"""Long vectors travel in words of 32 bits, and the study comes to the same; forced here on a short one."""

from __future__ import annotations

import logging
from dataclasses import replace

import masked
import numpy as np
import pytest
from masked import TASK, Course, Settings
from torch import nn

from client import secure as client_secure
from client import training
from privacy.secagg import Encoding, encoding
from server import secure
from tasks import messages
from tasks.learners.model import places
from tasks.study import StrategyName

Hospitals = tuple[Settings, ...]


@pytest.fixture(scope="module")
def hospitals(tmp_path_factory: pytest.TempPathFactory) -> Hospitals:
    return masked.hospitals(tmp_path_factory.mktemp("masked") / "hospitals")


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """No vector is short."""
    monkeypatch.setattr(messages, "SMALL", 0)
    monkeypatch.setattr(encoding, "SMALL", 0)
    return monkeypatch


def words(course: Course) -> list[np.dtype]:
    """Of a round's sum."""
    course.run(until=("train", 1))
    return list({each.vector.dtype for each in course.ask().values() if each.vector is not None})


@pytest.mark.parametrize("strategy", ["fedavg", "scaffold", "ditto", "fedadam"])
def test_local_noise_in_32_bits_gives_the_model_that_64_bits_give(
    strategy: StrategyName, hospitals: Hospitals, narrow: pytest.MonkeyPatch
) -> None:
    terms = masked.study("local", strategy)
    assert words(Course(terms, hospitals)) == [np.dtype("<u4")]
    short = Course(terms, hospitals).run().progress.state
    narrow.undo()
    assert words(Course(terms, hospitals)) == [np.dtype("<u8")]
    wide = Course(terms, hospitals).run().progress.state
    # The noise moves a parameter by a tenth; rounding is to less than a ten-thousandth of that.
    np.testing.assert_allclose(short.model, wide.model, atol=3e-5)
    np.testing.assert_array_equal(short.slots["patients"], wide.slots["patients"])


@pytest.mark.usefixtures("narrow")
def test_distributed_noise_in_32_bits_is_summed_without_any_error(hospitals: Hospitals) -> None:
    terms = masked.study()
    assert words(Course(terms, hospitals)) == [np.dtype("<u4")]
    course = Course(terms, hospitals).run()
    assert [record.contributors for record in course.progress.history] == [masked.NAMES, masked.NAMES, ()]
    assert secure.refusals(course.progress) == ()


def test_both_sides_find_the_same_words(hospitals: Hospitals) -> None:
    for noise in ("distributed", "local"):
        course = Course(masked.study(noise), hospitals).run(until=("train", 1))
        side = course.progress.secure
        assert side is not None
        told = course.request().published
        plan = masked.plan(course.study)
        found = messages.words_of_sum(course.study, plan, TASK, side.roster, told, counting=False)
        assert found == secure._encoding(course.progress, 1)
        assert messages.words_of_sum(
            course.study, plan, TASK, side.roster, {}, counting=True
        ) == secure._encoding(course.progress, 0)


def test_a_study_that_moves_some_parameters_sums_those_alone(
    hospitals: Hospitals, monkeypatch: pytest.MonkeyPatch
) -> None:
    deeper = replace(TASK, model=lambda: nn.Sequential(nn.Linear(13, 5), nn.Tanh(), nn.Linear(5, 1)))
    for module in (training, client_secure, secure):
        monkeypatch.setattr(module, "find", lambda *_: deeper)
    terms = masked.study()
    assert terms.privacy is not None
    some = terms.model_copy(update={"privacy": terms.privacy.model_copy(update={"trains": "biases"})})
    course = Course(some, hospitals, task=deeper).run(until=("train", 1))
    before, words = course.progress.state.model, course.ask(["hungary"])["hungary"].vector
    assert words is not None
    assert words.size == 5 + 5 + 1 + 2 * 2  # biases, last layer, two metrics
    course.run()
    assert secure.refusals(course.progress) == ()
    moved = course.progress.state.model != before
    np.testing.assert_array_equal(moved, places(deeper, "biases"))


def test_what_a_private_vector_loses_is_said_at_the_hospital(
    hospitals: Hospitals, narrow: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    narrow.setattr(Encoding, "for_released", lambda *_: Encoding(32, 2.0**-40, 4, released=True))
    with caplog.at_level(logging.WARNING, "laennec.client"):
        course = Course(masked.study("local"), hospitals).run()
    assert "14 of 15 values were beyond ±0.000488 and cut" in caplog.text
    assert np.isfinite(course.progress.state.model).all()
