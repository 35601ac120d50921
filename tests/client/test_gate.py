from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import clinic
import numpy as np
import pytest
from clinic import Clinic

from client import gate, training
from client.hospital import Settings
from ground.arrays import Array, Arrays
from ground.errors import DataError, FederationError, LaennecError, PrivacyError
from tasks.learners import learner_for
from tasks.learners.contract import Contribution, Visit
from tasks.messages import Phase, Reply

PLAN = clinic.plan(clinic.study())
LOCAL = clinic.plan(clinic.study("local"))
TRAIN, ENROL = (clinic.instruction(clinic.study(), p, n) for p, n in (("train", 1), ("enrol", 0)))
SHARE = PLAN.noise_multiplier * PLAN.clip / 2  # of four hospitals
COUNT_SHARE = PLAN.count_noise_multiplier / 2
VECTOR = np.ones(3)
GOOD = Contribution(VECTOR, SHARE, PLAN.clip, 1)
SHUT = Settings("brest", ("somewhere",))
OPEN = replace(SHUT, discloses=True)


@dataclass(frozen=True)
class Careless:
    """A learner whose contribution went wrong in some way."""

    inner: training.Learner
    wrong: Mapping[str, object]

    def contribute(self, visit: Visit) -> tuple[Contribution, dict[str, Array]]:
        contribution, kept = self.inner.contribute(visit)
        return replace(contribution, **self.wrong), kept

    def model_at_hospital(self, published: Arrays, memory: Arrays) -> Array:
        return self.inner.model_at_hospital(published, memory)


@pytest.mark.parametrize(
    ("phase", "noise", "hospitals", "least"),
    [
        ("train", "distributed", 4, SHARE),
        ("train", "distributed", 1, 2 * SHARE),
        ("train", "local", 4, 2 * SHARE),
        ("enrol", "distributed", 4, COUNT_SHARE),
        ("enrol", "local", 4, 2 * COUNT_SHARE),
    ],
)
def test_the_least_noise_is_a_share_of_the_plan_s_or_all_of_it(
    phase: Phase, noise: str, hospitals: int, least: float
) -> None:
    asked = clinic.instruction(clinic.study(), phase, 0, hospitals)
    assert gate.least_noise(replace(PLAN, noise=noise), asked, asked.hospitals) == pytest.approx(least)


def test_a_contribution_with_its_bound_and_its_noise_passes() -> None:
    gate.check(GOOD, PLAN, TRAIN, TRAIN.hospitals)
    gate.check(Contribution(VECTOR, COUNT_SHARE, 1.0, 1), PLAN, ENROL, ENROL.hospitals)
    gate.check(Contribution(VECTOR, 2 * SHARE, LOCAL.clip, 2), LOCAL, TRAIN, TRAIN.hospitals)
    gate.check(Contribution(VECTOR), None, TRAIN, TRAIN.hospitals)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"noise": 0.0}, "lacks its noise"),
        ({"noise": 0.999 * SHARE}, "lacks its noise"),
        ({"noise": math.nan}, "lacks its noise"),
        ({"noise": -SHARE}, "lacks its noise"),
        ({"bound": math.inf}, "has no bound"),
        ({"bound": math.nan}, "has no bound"),
        ({"bound": 1.001 * PLAN.clip}, "lacks its noise"),
        ({"releases": 0}, "has no bound"),
    ],
)
def test_a_private_contribution_without_noise_or_bound_is_refused(wrong: dict[str, float], says: str) -> None:
    with pytest.raises(PrivacyError, match=f"{says}: it stays here"):
        gate.check(replace(GOOD, **wrong), PLAN, TRAIN, TRAIN.hospitals)


def test_a_share_of_distributed_noise_is_too_little_for_local_noise() -> None:
    with pytest.raises(PrivacyError, match="lacks its noise"):
        gate.check(GOOD, LOCAL, TRAIN, TRAIN.hospitals)


def test_the_noise_of_a_gradient_sum_is_too_little_for_a_count() -> None:
    assert SHARE < COUNT_SHARE
    with pytest.raises(PrivacyError, match="lacks its noise"):
        gate.check(GOOD, PLAN, ENROL, ENROL.hospitals)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("plan", [PLAN, None], ids=["private", "free"])
def test_a_value_that_is_not_finite_is_refused_with_or_without_privacy(value: float, plan) -> None:
    with pytest.raises(FederationError, match="round 1: training left the finite numbers: lower the"):
        gate.check(replace(GOOD, vector=np.array([0.0, value, 1.0])), plan, TRAIN, TRAIN.hospitals)


@pytest.mark.parametrize(
    "wrong",
    [{"noise": 0.0}, {"bound": math.inf}, {"vector": np.full(14, math.nan)}, {"bound": 2 * PLAN.clip}],
    ids=["no noise", "no bound", "nan", "too large a bound"],
)
def test_what_the_gate_refuses_neither_leaves_nor_is_kept(
    brest: Clinic, wrong: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        training, "learner_for", lambda task, study: Careless(learner_for(task, study), wrong)
    )
    reply = brest.send(TRAIN)
    assert reply.vector is None
    assert reply.error is not None
    assert reply.error[0] in ("PrivacyError", "FederationError")
    assert brest.memory(clinic.study()).stage == -1


def test_noise_that_is_left_out_of_the_sum_is_noticed(brest: Clinic, monkeypatch: pytest.MonkeyPatch) -> None:
    weak = replace(PLAN, noise_multiplier=PLAN.noise_multiplier / 10)

    class Forgetful(Careless):
        def contribute(self, visit: Visit) -> tuple[Contribution, dict[str, Array]]:
            return self.inner.contribute(replace(visit, plan=weak))

    monkeypatch.setattr(training, "learner_for", lambda task, study: Forgetful(learner_for(task, study), {}))
    assert brest.send(TRAIN).error == (
        "PrivacyError",
        "a private study's update lacks its noise: it stays here",
    )


@pytest.mark.parametrize(("settings", "tells"), [(OPEN, True), (SHUT, False)], ids=["open", "shut"])
def test_metrics_and_counts_leave_only_where_the_hospital_discloses_them(
    settings: Settings, tells: bool
) -> None:
    reply = Reply("brest", "train", "d", 1, VECTOR, 1.0, {"auc": 0.7}, patients=61, quarantined=5)
    out = gate.let_out(reply, settings)
    assert (out.metrics, out.patients, out.quarantined) == (
        ({"auc": 0.7}, 61, 5) if tells else ({}, None, None)
    )
    assert out.vector is VECTOR


def test_nobody_discloses_unless_told_to() -> None:
    assert SHUT.discloses is False
    assert SHUT.secret_noise is True


@pytest.mark.parametrize(("phase", "number"), [("enrol", 0), ("train", 1), ("report", clinic.ROUNDS)])
@pytest.mark.parametrize("noise", ["distributed", None], ids=["private", "free"])
def test_no_count_and_no_metric_is_in_any_reply_of_a_hospital_that_discloses_nothing(
    hospital: Clinic, noise, phase: Phase, number: int
) -> None:
    asked = clinic.instruction(clinic.study(noise), phase, number)
    told, kept = (hospital.but(home=None, discloses=each).send(asked) for each in (True, False))
    assert told.patients == clinic.PATIENTS
    assert told.quarantined == 0
    assert bool(told.metrics) == (phase != "enrol")
    assert (kept.metrics, kept.patients, kept.quarantined) == ({}, None, None)


@pytest.mark.parametrize("error", [DataError("line 3"), FederationError("a"), LaennecError("b")])
def test_our_own_errors_leave_in_their_words(error: LaennecError) -> None:
    reply = gate.refusal(error, TRAIN, OPEN)
    problem = reply.problem()
    assert type(problem) is type(error)
    assert str(problem) == str(error)
    assert (reply.hospital, reply.digest, reply.phase, reply.round) == ("brest", TRAIN.digest, "train", 1)


@pytest.mark.parametrize("kind", [ValueError, KeyError, RuntimeError, MemoryError, UnicodeError])
def test_the_text_of_a_foreign_error_never_leaves(kind: type[Exception]) -> None:
    reply = gate.refusal(kind(f"could not convert string to float: '{clinic.VALUE}'"), TRAIN, OPEN)
    assert clinic.VALUE not in repr(reply)
    assert reply.error is not None
    assert reply.error[0] == "FederationError"
    assert kind.__name__ in reply.error[1]
    assert reply.vector is None
    assert reply.metrics == {}


def test_what_is_wrong_with_the_data_is_said_only_where_the_hospital_discloses_it() -> None:
    wrong = DataError("brest.csv: 5 patients left to learn from: add patients")
    asked = ENROL
    assert gate.refusal(wrong, asked, OPEN).error == ("DataError", str(wrong))
    kind, text = gate.refusal(wrong, asked, SHUT).error or ("", "")
    assert kind == "DataError"
    assert "5" not in text
    assert "its own log has the details" in text
