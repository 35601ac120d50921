"""A hospital in a masked study, asked by a coordinator that may lie."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import masked
import numpy as np
import pytest
from clinic import message
from flwr.app import Context
from masked import NAMES, SIX, Course, Settings, with_settings

from client import training
from client.app import app
from ground.arrays import Array
from ground.errors import FederationError, PrivacyError
from tasks.learners.contract import Contribution, Visit
from tasks.messages import EVERYBODY, Instruction, Reply, unpack_reply

STUDY = masked.study()
Hospitals = tuple[Settings, ...]


@pytest.fixture(scope="module")
def hospitals(tmp_path_factory: pytest.TempPathFactory) -> Hospitals:
    return masked.hospitals(tmp_path_factory.mktemp("masked") / "hospitals", names=SIX)


@pytest.fixture
def course(hospitals: Hospitals) -> Course:
    """Four hospitals, of whom any three make a sum."""
    return Course(STUDY, [each for each in hospitals if each.name in NAMES])


def send(course: Course, name: str, asked: Instruction) -> Reply:
    """Through the hospital's app, as a message."""
    node = dict(course.hospitals[name].to_config())
    return unpack_reply(app(message(asked), Context(1, 1, node, course.kept[name], {})).content)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"least_hospitals": 4}, "sums over as few as 3 hospitals, this one insists on 4"),
        ({"peers": ()}, "lists cleveland, whose identity this hospital does not know"),
        ({"peers": tuple((name, "00" * 32) for name in NAMES)}, "lists cleveland with another identity"),
    ],
    ids=["floor", "stranger", "impostor"],
)
def test_a_roster_below_a_hospital_s_own_limits_is_refused_by_its_name(
    changes: dict[str, Any], says: str, course: Course
) -> None:
    with_settings(course, "hungary", **changes)
    with pytest.raises(PrivacyError, match=f"^hospital hungary: .*{says}"):
        course.run()
    assert course.asked == [("enrol", 0), ("roster", 0)]
    assert course.memory("hungary").accountant.events == ()


def test_what_one_hospital_fears_all_sums_are_drawn_up_for(course: Course) -> None:
    with_settings(course, "hungary", colluders=2)
    course.run(until=("train", 1))
    assert course.progress.secure is not None
    roster = course.progress.secure.roster
    assert [each.colluders for each in roster.announcements] == [1, 2, 1, 1]
    assert (roster.fewest, roster.threshold) == (4, 4)
    assert course.run().progress.phase == "done"


def test_a_hospital_that_fears_more_than_it_said_refuses_the_roster(course: Course) -> None:
    course.run(until=("roster", 0))
    with_settings(course, "hungary", colluders=2)
    with pytest.raises(PrivacyError, match=r"^hospital hungary: .*against 2 colluding hospitals"):
        course.run()


def test_more_hospitals_in_a_sum_and_more_colluders_are_what_a_study_can_ask_for(
    hospitals: Hospitals,
) -> None:
    course = Course(masked.study(minimum=4), [each for each in hospitals if each.name in NAMES])
    with_settings(course, "hungary", least_hospitals=4, colluders=2)
    assert course.run().progress.phase == "done"


def test_a_hospital_that_trusts_no_sum_sums_only_behind_masks(course: Course) -> None:
    assert not any(each.trusts_sum for each in course.hospitals.values())
    assert course.run().progress.phase == "done"
    plain = Course(masked.plain(STUDY), course.hospitals.values())
    with pytest.raises(PrivacyError, match=r"this hospital trusts no sum, .*: ask for secure-aggregation"):
        plain.run()


class Noiseless:
    """A learner that forgets its noise, however the plan asks for it."""

    def __init__(self, inner: training.Learner) -> None:
        self.inner = inner

    def contribute(self, visit: Visit) -> tuple[Contribution, dict[str, Array]]:
        assert visit.plan is not None
        return self.inner.contribute(replace(visit, plan=replace(visit.plan, noise_multiplier=0.0)))

    def model_at_hospital(self, *arguments: Any) -> Array:
        return self.inner.model_at_hospital(*arguments)


@pytest.mark.parametrize("noise", ["distributed", "local"])
def test_behind_a_mask_too_an_update_without_noise_stays_here(
    noise: str, hospitals: Hospitals, monkeypatch: pytest.MonkeyPatch
) -> None:
    course = Course(masked.study(noise), hospitals).run(until=("train", 1))
    learner_for = training.learner_for
    monkeypatch.setattr(training, "learner_for", lambda task, study: Noiseless(learner_for(task, study)))
    with pytest.raises(PrivacyError, match="a private study's update lacks its noise: it stays here"):
        course.answer("hungary", course.request())
    assert course.memory("hungary").secure.open.round == 0  # nothing was masked for the round


def test_a_share_of_the_noise_is_one_of_the_fewest_and_not_of_all_who_are_there(course: Course) -> None:
    course.run(until=("train", 1))
    plan = masked.plan(STUDY)
    for told in (4, 1000):  # what a coordinator says of their number changes nothing
        reply = send(course, "hungary", replace(course.request(), hospitals=told))
        assert reply.noise == pytest.approx(plan.noise_multiplier * plan.clip / 3**0.5)


def test_a_replayed_instruction_gets_the_stored_words(course: Course) -> None:
    course.run(until=("train", 2))
    asked = course.request()
    first = send(course, "hungary", asked)
    other = replace(asked, published={"model": np.ones_like(asked.published["model"])})
    for again in (asked, other):
        reply = send(course, "hungary", again)
        assert reply.vector is not None
        np.testing.assert_array_equal(reply.vector, first.vector)
        assert replace(reply, vector=None) == replace(first, vector=None)


def test_an_older_instruction_is_refused(course: Course) -> None:
    old = []
    while course.place != ("train", 2):
        old.append(course.request())
        course.go()
    send(course, "hungary", course.request())
    for asked in old:
        reply = send(course, "hungary", asked)
        assert (reply.vector, reply.secure) == (None, "")
        assert reply.error is not None
        assert f"asked for {asked.phase}, round {asked.round}, after train 2 was answered" in reply.error[1]


def test_an_opening_of_another_round_is_refused_before_a_patient_is_read(
    course: Course, monkeypatch: pytest.MonkeyPatch
) -> None:
    course.run(until=("train", 1))
    asked = course.request()
    monkeypatch.setattr(training, "cohort", lambda *_: pytest.fail("a patient was read"))
    with pytest.raises(PrivacyError, match="round 2 comes with the keys of round 1: refused"):
        course.answer("hungary", replace(asked, round=2))


def test_before_enrolment_there_are_no_keys(course: Course, hospitals: Hospitals) -> None:
    asked = course.run(until=("roster", 0)).request()
    stranger = Course(STUDY, hospitals)
    with pytest.raises(PrivacyError, match="secure aggregation begins with enrolment"):
        stranger.answer("hungary", asked)


def test_a_malformed_opening_is_an_error_that_repeats_nothing_of_it(course: Course) -> None:
    course.run(until=("train", 1))
    reply = send(course, "hungary", replace(course.request(), secure={EVERYBODY: '{"round": "secret"}'}))
    assert reply.error is not None
    assert "a malformed opening" in reply.error[1]
    assert "secret" not in reply.error[1]


def test_a_message_out_of_order_changes_nothing_that_is_kept(course: Course) -> None:
    course.run(until=("train", 1))
    before = course.memory("hungary")
    with pytest.raises(FederationError, match="asked for count, round 0, after unmask 0 was answered"):
        course.answer("hungary", replace(course.request(), phase="count", round=0))
    assert course.memory("hungary").secure == before.secure
