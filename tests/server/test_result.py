from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_round import DISTRIBUTED, FREE, NAMES, TASK, advance, begin, reply

from server.progress import Progress
from server.report.card import privacy_card
from server.report.result import mean, plain, result, worst
from tasks.study import Study

# The design's promise, whole; beside it stands what a reader of the file needs to draw it.
PROMISED = {
    *("study", "digest", "task", "engine", "seed", "rounds", "hospitals", "metrics", "privacy", "seconds"),
}
BESIDE = {"task_version", "headline", "strategy", "history", "left_out"}
SECONDS = {"total": 3.0, "training": 2.0, "overhead_per_round": 0.1}
ACCURACY = dict(zip(NAMES, (0.8, 0.6, 0.7, 0.6), strict=True))

VALUES = st.floats(0.0, 1.0) | st.just(math.nan)
TABLES = st.dictionaries(
    st.sampled_from(["a", "b", "c", "d"]),
    st.fixed_dictionaries({"accuracy": VALUES, "auc": VALUES}),
    max_size=4,
)


def finished(terms: Study) -> Progress:
    progress = begin(terms, TASK)
    while progress.phase != "done":
        metrics = {
            name: {} if progress.phase == "enrol" else {"accuracy": ACCURACY[name], "auc": math.nan}
            for name in NAMES
        }
        progress = advance(progress, {name: reply(progress, name, metrics=metrics[name]) for name in NAMES})
    return progress


def result_of(progress: Progress, left_out: tuple[tuple[int, str, str], ...] = ()) -> dict[str, Any]:
    card = privacy_card(progress, secret_noise=False)
    return result(progress, TASK, card, engine="local", seconds=SECONDS, left_out=left_out)


@pytest.mark.parametrize("terms", [FREE, DISTRIBUTED], ids=["free", "private"])
def test_a_result_has_the_fields_that_the_design_promises(terms: Study) -> None:
    values = result_of(finished(terms))
    assert values.keys() == PROMISED | BESIDE
    assert values["privacy"].keys() == {"unit", "epsilon", "delta", "noise", "secure_aggregation"}
    assert values["seconds"].keys() == {"total", "training", "overhead_per_round"}
    assert values["metrics"].keys() == {"accuracy", "auc", "worst_hospital"}
    for hospital in values["hospitals"]:
        assert hospital.keys() == {"name", "patients", "quarantined", "metrics"}


def test_a_result_says_what_was_run_on_what() -> None:
    values = result_of(finished(DISTRIBUTED))
    assert (values["study"], values["digest"], values["task"]) == (
        "steps",
        DISTRIBUTED.digest,
        "heart-disease",
    )
    assert (values["engine"], values["seed"], values["rounds"]) == ("local", 1, 2)
    assert [hospital["name"] for hospital in values["hospitals"]] == list(NAMES)
    assert {(hospital["patients"], hospital["quarantined"]) for hospital in values["hospitals"]} == {(75, 3)}


def test_the_privacy_of_a_result_is_that_of_its_card() -> None:
    progress = finished(DISTRIBUTED)
    card = privacy_card(progress, secret_noise=False)
    assert result_of(progress)["privacy"].items() <= card.items()
    assert result_of(finished(FREE))["privacy"] == {
        "unit": "patient",
        "epsilon": None,
        "delta": None,
        "noise": "none",
        "secure_aggregation": False,
    }


def test_the_metrics_of_a_result_are_the_mean_and_the_worst_hospital() -> None:
    metrics = result_of(finished(FREE))["metrics"]
    assert metrics["accuracy"] == pytest.approx(0.675)
    assert metrics["worst_hospital"] == {"name": "hungary", "accuracy": 0.6}


def test_a_result_is_json_with_null_for_what_is_undefined() -> None:
    values = result_of(finished(FREE), ((1, "hungary", "no reply"),))
    assert json.loads(json.dumps(values, allow_nan=False)) == values
    assert values["metrics"]["auc"] is None
    assert values["hospitals"][0]["metrics"] == {"accuracy": 0.8, "auc": None}
    assert values["left_out"] == [{"round": 1, "hospital": "hungary", "reason": "no reply"}]


def test_the_history_of_a_result_has_one_entry_for_each_evaluation() -> None:
    history = result_of(finished(FREE))["history"]
    assert [entry["after"] for entry in history] == [0, 1, 2]
    assert [entry["contributors"] for entry in history] == [list(NAMES), list(NAMES), []]
    assert history[0]["hospitals"]["long-beach"] == {"accuracy": 0.7, "auc": None}


def test_hospitals_that_disclose_nothing_leave_a_result_without_numbers() -> None:
    progress = finished(FREE)
    silent = replace(
        progress,
        roster=tuple(replace(member, patients=None, quarantined=None) for member in progress.roster),
        history=tuple(replace(record, metrics={}) for record in progress.history),
    )
    values = result_of(silent)
    assert values["metrics"] == {"worst_hospital": None}
    assert values["hospitals"][0] == {
        "name": "cleveland",
        "patients": None,
        "quarantined": None,
        "metrics": {},
    }


def test_the_worst_of_equals_is_the_first_by_name() -> None:
    metrics = {"b": {"auc": 0.5}, "a": {"auc": 0.5}, "c": {"auc": 0.9}}
    assert worst(metrics, "auc") == {"name": "a", "auc": 0.5}


def test_a_hospital_where_the_headline_is_undefined_is_not_the_worst() -> None:
    assert worst({"a": {"auc": math.nan}, "b": {"auc": 0.9}, "c": {}}, "auc") == {"name": "b", "auc": 0.9}


@pytest.mark.parametrize("metrics", [{}, {"a": {}}, {"a": {"auc": math.nan}, "b": {"auc": math.nan}}])
def test_there_is_no_worst_hospital_where_nobody_discloses_the_headline(
    metrics: dict[str, dict[str, float]],
) -> None:
    assert worst(metrics, "auc") is None


@given(TABLES)
def test_a_mean_lies_between_the_known_values_and_is_undefined_where_none_is(
    metrics: dict[str, dict[str, float]],
) -> None:
    means = mean(metrics)
    for name in means:
        known = [values[name] for values in metrics.values() if not math.isnan(values[name])]
        if known:
            assert min(known) - 1e-12 <= means[name] <= max(known) + 1e-12
        else:
            assert math.isnan(means[name])


@given(TABLES)
def test_no_hospital_is_worse_than_the_worst(metrics: dict[str, dict[str, float]]) -> None:
    found = worst(metrics, "accuracy")
    known = [v["accuracy"] for v in metrics.values() if not math.isnan(v["accuracy"])]
    assert (found is None) == (known == [])
    if found is not None:
        assert found["accuracy"] == min(known) == metrics[found["name"]]["accuracy"]


@given(st.dictionaries(st.text(), VALUES))
def test_plain_metrics_have_null_for_nan_and_nothing_else_is_changed(metrics: dict[str, float]) -> None:
    values = plain(metrics)
    assert values.keys() == metrics.keys()
    assert all(values[n] is None if math.isnan(v) else values[n] == v for n, v in metrics.items())
