"""Exact metrics enter a secure sum only where a hospital lets them: several sums would tell one's apart."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import masked
import numpy as np
import pytest
from masked import NAMES, TASK, Course, Place, Settings, without

from client import secure
from client.hospital import cohort
from ground.arrays import Words
from tasks.learners.model import evaluate

Hospitals = tuple[Settings, ...]
METRICS = ("accuracy", "auc")
REPORT: Place = ("report", 3)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("masked") / "hospitals"


@pytest.fixture
def shut(folder: Path) -> Hospitals:
    return masked.hospitals(folder, sums_metrics=False)


@pytest.fixture
def words(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Words, Words]]:
    """What each hospital says of its metrics, before it is masked, and how "undefined" is written."""
    heard, words_of = [], secure.words_of

    def overhear(contribution: Any, metrics: Any, chosen: Any, **named: Any) -> Words:
        found = words_of(contribution, metrics, chosen, **named)
        if metrics:
            undefined = chosen.for_metrics().encode(np.zeros(2 * len(metrics)))
            heard.append((found[-undefined.size :].copy(), undefined))
        return found

    monkeypatch.setattr(secure, "words_of", overhear)
    return heard


def test_no_hospital_sums_its_metrics_unless_told_to() -> None:
    assert Settings("brest", ("somewhere",)).sums_metrics is False
    config = Settings("brest", ("somewhere",), sums_metrics=True).to_config()
    del config["sums-metrics"]
    assert Settings.from_config(config).sums_metrics is False


def test_whether_metrics_are_summed_is_kept_in_the_node_configuration(folder: Path) -> None:
    for allowed in (False, True):
        for each in masked.hospitals(folder, sums_metrics=allowed):
            assert Settings.from_config(each.to_config()).sums_metrics is allowed


def test_a_hospital_that_sums_no_metrics_says_undefined_of_each(
    shut: Hospitals, words: list[tuple[Words, Words]]
) -> None:
    Course(masked.study(), shut).run()
    assert len(words) == 3 * len(NAMES)
    for said, undefined in words:
        np.testing.assert_array_equal(said, undefined)


@pytest.mark.parametrize("allows", ["sums_metrics", "discloses"])
def test_a_hospital_that_allows_it_says_more_than_undefined(
    allows: str, shut: Hospitals, words: list[tuple[Words, Words]]
) -> None:
    Course(masked.study(), [replace(each, **{allows: True}) for each in shut]).run()
    assert all((said != undefined).any() for said, undefined in words)


def test_where_no_hospital_sums_its_metrics_the_history_has_no_means(shut: Hospitals) -> None:
    history = Course(masked.study(), shut).run().progress.history
    assert [(record.summed, record.metrics) for record in history] == [({}, {})] * 3


def reported(hospitals: Hospitals, *gone: str) -> dict[str, float]:
    return Course(masked.study(), hospitals, {REPORT: gone}).run().progress.history[-1].summed


def difference(hospitals: Hospitals, name: str) -> dict[str, float]:
    """What two sums of the same model, with and without a hospital, say of its metrics."""
    everybody, rest = reported(hospitals), reported(hospitals, name)
    return {key: 4 * everybody[key] - 3 * rest[key] for key in everybody}


def exact(hospitals: Hospitals, name: str) -> dict[str, float]:
    model = Course(masked.study(), hospitals).run().progress.state.model
    sources = next(each.sources for each in hospitals if each.name == name)
    return evaluate(TASK, model, cohort(TASK.name, sources).test)


def test_two_sums_of_which_one_lacks_a_hospital_say_nothing_of_it(shut: Hospitals) -> None:
    assert difference(shut, "hungary") == {}


def test_two_sums_of_which_one_lacks_a_hospital_that_sums_its_metrics_tell_them(folder: Path) -> None:
    """What the test above would notice."""
    told = masked.hospitals(folder)
    assert difference(told, "hungary") == pytest.approx(exact(told, "hungary"), abs=1e-5)


def test_the_means_are_over_those_who_sum_their_metrics(shut: Hospitals) -> None:
    some = tuple(replace(each, sums_metrics=each.name != "hungary") for each in shut)
    each_one = [exact(some, name) for name in without("hungary")]
    means = {key: np.mean([metrics[key] for metrics in each_one]) for key in METRICS}
    assert reported(some) == pytest.approx(means, abs=1e-6)
