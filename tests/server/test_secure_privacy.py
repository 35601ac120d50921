"""What the coordinator of a masked study can see, and how much noise is in what it sees."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import masked
import numpy as np
import pytest
import torch
from masked import NAMES, TASK, Course, Settings, without
from scipy import stats
from torch import nn

from client import secure as client_secure
from client import training
from client.hospital import Cohort, cohort
from ground.arrays import Array, Words
from ground.errors import FederationError
from privacy.secagg.wire import Opening
from server import secure
from server.round import absorb, step
from tasks.learners.contract import Total
from tasks.learners.model import evaluate
from tasks.messages import Reply, pack_reply, reply_to_text
from tasks.patients import TablePatients

PARAMETERS = 4001
FEWEST = 3
Hospitals = tuple[Settings, ...]
EACH_NOISE = pytest.mark.parametrize("noise", ["distributed", "local"])


@pytest.fixture(scope="module")
def hospitals(tmp_path_factory: pytest.TempPathFactory) -> Hospitals:
    return masked.hospitals(tmp_path_factory.mktemp("masked") / "hospitals")


def zeros(count: int) -> TablePatients:
    return TablePatients(torch.zeros(count, PARAMETERS - 1), torch.arange(count).remainder(2).float())


@pytest.fixture
def wide(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A task of a few thousand parameters whose hospitals have nobody to learn from: all of it is noise."""
    task = replace(TASK, model=lambda: nn.Linear(PARAMETERS - 1, 1))
    monkeypatch.setattr(training, "find", lambda *_: task)
    monkeypatch.setattr(training, "cohort", lambda *_: Cohort(zeros(0), zeros(6), 0))
    return task


@pytest.fixture
def totals(monkeypatch: pytest.MonkeyPatch) -> list[Total]:
    """What the coordinator gets to see, sum by sum."""
    seen: list[Total] = []

    def overheard(act: Callable[..., Any]) -> Callable[..., Any]:
        def look(progress: Any, total: Total, *rest: Any) -> Any:
            seen.append(replace(total, vector=total.vector.copy()))  # what learns may work in place
            return act(progress, total, *rest)

        return look

    monkeypatch.setattr(secure, "counted", overheard(secure.counted))
    monkeypatch.setattr(secure, "learned", overheard(secure.learned))
    return seen


def assert_normal(values: Array, deviation: float) -> None:
    """Mean 0, that standard deviation and the normal shape, each of which chance misses once in 10⁵."""
    assert abs(values.mean()) < 4.5 * deviation / math.sqrt(values.size)
    assert values.std() == pytest.approx(deviation, rel=4.5 / math.sqrt(2 * values.size))
    assert stats.kstest(values / deviation, "norm").pvalue > 1e-5


@pytest.mark.parametrize("gone", [(), ("hungary",)], ids=["all four", "the fewest"])
def test_the_noise_in_a_sum_is_that_of_the_plan_times_what_came_beyond_the_fewest(
    gone: tuple[str, ...], wide: Any, hospitals: Hospitals, totals: list[Total]
) -> None:
    course = Course(masked.study(), hospitals, {("train", 1): gone}, wide).run(until=("train", 2))
    plan, active = masked.plan(masked.study()), len(NAMES) - len(gone)
    more = math.sqrt(active / FEWEST)
    assert totals[-1].hospitals == active
    assert totals[-1].vector.shape == (PARAMETERS,)
    assert_normal(totals[-1].vector, plan.noise_multiplier * plan.clip * more)
    assert course.progress.accountant.events[-1].noise_multiplier == pytest.approx(
        plan.noise_multiplier * more
    )


def test_where_a_hospital_s_noise_is_missing_it_is_seen(
    wide: Any, hospitals: Hospitals, totals: list[Total], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the test above would notice: one hospital of three that adds none, and says that it did."""
    contribute = training._contribute

    def silent(asked: training.Asked, *rest: Any) -> Any:
        contribution, arrays = contribute(asked, *rest)
        still = asked.settings.name == "cleveland" and asked.instruction.phase == "train"
        return (replace(contribution, vector=contribution.vector * 0.0) if still else contribution), arrays

    monkeypatch.setattr(training, "_contribute", silent)
    Course(masked.study(), hospitals, {("train", 1): ("hungary",)}, wide).run(until=("train", 2))
    with pytest.raises(AssertionError):
        assert_normal(totals[-1].vector, masked.plan(masked.study()).noise_multiplier)


def test_the_noise_of_the_count_is_the_plan_s_over_many_seeds(
    wide: Any, hospitals: Hospitals, totals: list[Total]
) -> None:
    for seed in range(25):
        Course(masked.study().with_seed(seed), hospitals, None, wide).run(until=("train", 1))
    counts = np.concatenate([total.vector for total in totals])
    deviation = masked.plan(masked.study()).count_noise_multiplier * math.sqrt(4 / FEWEST)
    assert counts.shape == (25,)
    assert 0.5 < counts.std() / deviation < 1.6


@pytest.fixture
def words(wide: Any, hospitals: Hospitals, monkeypatch: pytest.MonkeyPatch) -> tuple[Words, Words]:
    """One hospital's words of a round: before and after they were masked."""
    before: list[Words] = []
    words_of = client_secure.words_of

    def overhear(*arguments: Any, **named: Any) -> Words:
        found = words_of(*arguments, **named)
        before.append(found.copy())
        return found

    monkeypatch.setattr(client_secure, "words_of", overhear)
    course = Course(masked.study(), hospitals, None, wide).run(until=("train", 1))
    reply = course.ask(["hungary"])["hungary"]
    assert reply.vector is not None
    return before[-1], np.asarray(reply.vector)


def bits(values: Words) -> Array:
    return np.unpackbits(values.view(np.uint8)).astype(np.float64)


def test_the_words_of_a_reply_are_masked_and_look_uniform(words: tuple[Words, Words]) -> None:
    """Every byte as often as every other, and every bit set half of the time; chance misses once in 10⁶."""
    plain, sent = words
    assert plain.shape == sent.shape
    assert (plain != sent).mean() > 0.999
    counts = np.bincount(sent.view(np.uint8), minlength=256)
    assert stats.chisquare(counts).pvalue > 1e-6
    set_bits = bits(sent)
    assert abs(set_bits.mean() - 0.5) < 5.0 * 0.5 / math.sqrt(set_bits.size)
    assert abs(np.corrcoef(bits(sent), bits(plain))[0, 1]) < 5.0 / math.sqrt(set_bits.size)


def test_words_without_a_mask_do_not_look_uniform(words: tuple[Words, Words]) -> None:
    assert stats.chisquare(np.bincount(words[0].view(np.uint8), minlength=256)).pvalue < 1e-6


@EACH_NOISE
def test_no_count_and_no_metric_leaves_in_the_clear_and_the_means_are_known(
    noise: str, hospitals: Hospitals
) -> None:
    course = Course(masked.study(noise), hospitals)
    while course.progress.phase != "done":
        for name, reply in course.ask().items():
            sent = json.loads(reply_to_text(reply))
            assert (sent["metrics"], sent["patients"], sent["quarantined"]) == ({}, None, None)
            packed = pack_reply(reply)
            assert [list(record) for record in packed.array_records.values()] in ([[]], [["vector"]])
            said = sent["secure"] + json.dumps(sent["summed"])
            exact = cohort(TASK.name, course.hospitals[name].sources)
            metrics = evaluate(TASK, course.progress.state.model, exact.test)
            assert not any(str(value) in said for value in metrics.values() if value not in (0.0, 1.0, 0.5))
        course.go()
    assert all(record.metrics == {} for record in course.progress.history)
    assert all(record.summed.keys() == {"accuracy", "auc"} for record in course.progress.history)
    assert {(each.patients, each.quarantined) for each in course.progress.roster} == {(None, None)}


def test_a_metric_that_one_hospital_cannot_define_is_the_mean_over_the_others(
    hospitals: Hospitals, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = dict(zip(NAMES, (0.25, math.nan, 0.75, 1000.0), strict=True))
    original = training._visited

    def visited(asked: training.Asked, *rest: Any) -> Any:
        monkeypatch.setattr(training, "evaluate", lambda *_: {"accuracy": values[asked.settings.name]})
        return original(asked, *rest)

    monkeypatch.setattr(training, "_visited", visited)
    course = Course(masked.study(), hospitals).run()
    # Not a number, and a number beyond what the words hold, are left out of the mean.
    assert [record.summed for record in course.progress.history] == [{"accuracy": pytest.approx(0.5)}] * 3


def asked_to_train(hospitals: Hospitals) -> tuple[Course, dict[str, Reply]]:
    course = Course(masked.study(), hospitals).run(until=("train", 1))
    return course, course.ask()


def test_a_plain_vector_in_a_masked_study_is_refused_by_name(hospitals: Hospitals) -> None:
    course, replies = asked_to_train(hospitals)
    plain = replace(replies["hungary"], vector=np.zeros(16, np.float32))
    alone, _ = absorb(course.progress, plain)
    together, _ = step(course.progress, {**replies, "hungary": plain}, TASK)
    for progress in (alone, together):
        assert [(each.round, each.why) for each in secure.refusals(progress)] == [
            (1, "hungary sent no masked words: refused")
        ]
    assert together.secure.active == without("hungary")


def test_words_in_a_plain_study_are_refused_by_name(hospitals: Hospitals) -> None:
    free = masked.study().model_copy(update={"privacy": None})
    course = Course(free, hospitals).run(until=("train", 1))
    replies = course.ask()
    words = {name: replace(each, vector=each.vector.astype(np.uint32)) for name, each in replies.items()}
    with pytest.raises(FederationError, match="hospital cleveland sent words where numbers are due"):
        step(course.progress, words, TASK)
    with pytest.raises(FederationError, match="hospital hungary sent a contribution of another size"):
        step(course.progress, {**replies, "hungary": words["hungary"]}, TASK)


def test_an_opening_holds_no_share_for_another_hospital(hospitals: Hospitals) -> None:
    course = Course(masked.study(), hospitals).run(until=("train", 1))
    request = course.request()
    for name in NAMES:
        opening = Opening.from_text(request.only_for(name).said_to(name))
        assert {reader for each in opening.preparations for reader in each.sealed} == {name}
        assert {each.hospital for each in opening.preparations if each.sealed} == set(without(name))
