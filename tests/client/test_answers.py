from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import clinic
import numpy as np
import pytest
from clinic import Clinic

from client.hospital import cohort
from ground.errors import FederationError, PrivacyError, StudyError, TaskError
from tasks.learners import learner_for
from tasks.learners.model import evaluate
from tasks.messages import pack_reply

PRIVATE = clinic.study()
FREE = clinic.study(None)
SIZE = learner_for(clinic.TASK, FREE).begin().model.size


def test_enrolment_of_a_private_study_gives_one_noisy_count(hospital: Clinic) -> None:
    reply = hospital.ask(PRIVATE, "enrol", 0)
    plan = clinic.plan(PRIVATE)
    assert (reply.hospital, reply.phase, reply.digest, reply.round) == ("brest", "enrol", PRIVATE.digest, 0)
    assert reply.vector is not None
    assert reply.vector.shape == (1,)
    assert reply.vector[0] != len(cohort("heart-disease", hospital.settings.sources).training)
    assert reply.noise == pytest.approx(plan.count_noise_multiplier / 2)
    assert hospital.memory(PRIVATE).accountant.events == (plan.count_event(),)


def test_enrolment_without_privacy_gives_no_count_and_keeps_nothing(brest: Clinic) -> None:
    assert brest.ask(FREE, "enrol", 0).vector is None
    assert brest.memory(FREE).stage == -1


def test_a_round_evaluates_the_incoming_model_and_gives_a_contribution(hospital: Clinic) -> None:
    open_hospital = replace(hospital, discloses=True)
    open_hospital.ask(PRIVATE, "enrol", 0)
    model = np.linspace(-1, 1, SIZE).astype(np.float32)
    reply = open_hospital.ask(PRIVATE, "train", 1, model=model)
    patients = cohort("heart-disease", hospital.settings.sources)
    assert reply.metrics == evaluate(clinic.TASK, model, patients.test)
    assert reply.vector is not None
    assert reply.vector.shape == (SIZE,)
    assert np.isfinite(reply.vector).all()


def test_a_report_evaluates_and_contributes_nothing(hospital: Clinic) -> None:
    reply = replace(hospital, discloses=True).ask(PRIVATE, "report", clinic.ROUNDS)
    assert reply.vector is None
    assert clinic.TASK.headline in reply.metrics
    assert hospital.memory(PRIVATE).stage == -1


def test_the_same_round_asked_again_gets_the_same_bytes_and_spends_nothing(brest: Clinic) -> None:
    secret = replace(brest, secret_noise=True)
    for phase, number in (("enrol", 0), ("train", 1), ("train", 2)):
        first = secret.ask(PRIVATE, phase, number)
        before = secret.memory(PRIVATE)
        again = secret.ask(PRIVATE, phase, number)
        assert (
            pack_reply(again).config_records["text"]["json"]
            == pack_reply(first).config_records["text"]["json"]
        )
        assert clinic.same(first, again)
        assert secret.memory(PRIVATE).accountant == before.accountant
    assert secret.memory(PRIVATE).accountant == clinic.plan(PRIVATE).cost()


def test_the_same_round_with_another_model_gets_the_stored_reply(brest: Clinic) -> None:
    first = brest.ask(PRIVATE, "train", 1)
    other = brest.ask(PRIVATE, "train", 1, model=np.full(SIZE, 3.0, np.float32))
    assert clinic.same(first, other)


def test_a_report_does_not_replace_the_last_round_s_reply(brest: Clinic) -> None:
    first = brest.ask(PRIVATE, "train", clinic.ROUNDS)
    assert brest.ask(PRIVATE, "report", clinic.ROUNDS).phase == "report"
    assert clinic.same(first, brest.ask(PRIVATE, "train", clinic.ROUNDS))


def test_an_older_round_is_refused(brest: Clinic) -> None:
    brest.ask(PRIVATE, "train", 2)
    for phase, number in (("train", 1), ("enrol", 0)):
        with pytest.raises(
            FederationError, match=f"asked for {phase}, round {number}, after train 2 was answered"
        ):
            brest.ask(PRIVATE, phase, number)


def test_two_studies_have_memories_of_their_own(brest: Clinic) -> None:
    other = PRIVATE.with_seed(2)
    brest.ask(PRIVATE, "train", 2)
    brest.ask(other, "train", 1)
    assert (brest.memory(PRIVATE).stage, brest.memory(other).stage) == (12, 7)


def test_a_control_variate_takes_one_step_a_round_however_often_it_is_asked(brest: Clinic) -> None:
    terms = clinic.study(None, "scaffold", 2)
    first = brest.ask(terms, "train", 1)
    kept = brest.memory(terms).arrays["control"]
    assert clinic.same(first, brest.ask(terms, "train", 1))
    np.testing.assert_array_equal(brest.memory(terms).arrays["control"], kept)


def test_a_personal_model_is_kept_and_evaluated_and_does_not_leave(hospital: Clinic) -> None:
    terms = clinic.study("distributed", "ditto")
    reply = hospital.ask(terms, "train", 1)
    personal = hospital.memory(terms).arrays["personal"]
    plain = hospital.but(home=None).ask(clinic.study(), "train", 1)
    assert reply.vector is not None
    assert reply.vector.shape == plain.vector.shape == (SIZE,)
    assert personal.any()
    told = replace(hospital, discloses=True).ask(terms, "report", clinic.ROUNDS)
    test = cohort("heart-disease", hospital.settings.sources).test
    assert told.metrics == evaluate(clinic.TASK, personal, test)


def test_a_study_whose_text_has_another_digest_is_refused(brest: Clinic) -> None:
    asked = clinic.instruction(PRIVATE, "train", 1)
    cheaper = PRIVATE.with_epsilon(99.0)
    for wrong in (replace(asked, study=cheaper.to_toml()), replace(asked, digest=cheaper.digest)):
        with pytest.raises(StudyError, match="does not have the digest that was sent with it"):
            brest.answer(wrong, PRIVATE)
    assert brest.memory(PRIVATE).stage == -1


def test_a_study_in_other_words_with_the_same_digest_is_accepted(brest: Clinic) -> None:
    asked = clinic.instruction(FREE, "train", 1)
    assert brest.answer(replace(asked, study="# hello\n" + asked.study), FREE).vector is not None


@pytest.mark.parametrize("change", [{"task": "heart-failure"}, {"task_version": 2}])
def test_a_task_that_is_not_installed_in_that_version_is_refused(
    brest: Clinic, change: dict[str, object]
) -> None:
    terms = FREE.model_copy(update=change)
    asked = replace(clinic.instruction(FREE, "train", 1), study=terms.to_toml(), digest=terms.digest)
    with pytest.raises(TaskError):
        brest.answer(asked, terms)


@pytest.mark.parametrize("noise", ["distributed", "local"])
def test_secret_noise_is_new_in_every_run_and_seeded_noise_is_not(table: Path, noise) -> None:
    terms = clinic.study(noise)

    def vectors(**changes: object) -> list[np.ndarray]:
        runs = [Clinic(table).but(**changes) for _ in range(2)]
        counts = [run.ask(terms, "enrol", 0).vector for run in runs]
        return [
            np.append(run.ask(terms, "train", 1).vector, count)
            for run, count in zip(runs, counts, strict=True)
        ]

    seeded, secret = vectors(secret_noise=False), vectors(secret_noise=True)
    np.testing.assert_array_equal(*seeded)
    assert (secret[0] != secret[1]).all()


def test_two_hospitals_rounds_and_seeds_never_share_noise(table: Path) -> None:
    """The same patients at the same model: whatever differs is noise."""
    runs = [
        (PRIVATE, "brest", 1),
        (PRIVATE, "brest", 2),
        (PRIVATE, "caen", 1),
        (PRIVATE.with_seed(2), "brest", 1),
    ]
    vectors = [Clinic(table, name=name).ask(terms, "train", n).vector for terms, name, n in runs]
    for one in range(len(vectors)):
        for other in range(one):
            assert (vectors[one] != vectors[other]).all()


def test_the_noise_that_is_said_is_the_noise_that_is_there(table: Path) -> None:
    replies = [Clinic(table, name=f"h{n}").ask(PRIVATE, "train", 1, hospitals=9) for n in range(60)]
    vectors = np.stack([reply.vector for reply in replies])
    plan = clinic.plan(PRIVATE)
    assert {reply.noise for reply in replies} == {plan.noise_multiplier * plan.clip / 3}
    assert vectors.std(axis=0).mean() == pytest.approx(replies[0].noise, rel=0.1)


def test_without_privacy_a_contribution_is_the_learner_s_own(hospital: Clinic) -> None:
    reply = hospital.ask(FREE, "train", 1)
    patients = cohort("heart-disease", hospital.settings.sources).training
    assert reply.noise == 0.0
    assert reply.vector[-1] == len(patients)
    assert reply.vector.shape == (SIZE + 1,)


def test_a_hospital_trusts_no_sum_unless_told_to(brest: Clinic) -> None:
    wary = brest.but(trusts_sum=False)
    with pytest.raises(PrivacyError, match="trusts no sum"):
        wary.ask(PRIVATE, "enrol", 0)
    assert wary.memory(PRIVATE).stage == -1


def test_a_hospital_that_trusts_no_sum_still_learns_with_noise_of_its_own(brest: Clinic) -> None:
    assert PRIVATE.privacy is not None
    local = PRIVATE.model_copy(update={"privacy": PRIVATE.privacy.model_copy(update={"noise": "local"})})
    assert brest.but(trusts_sum=False).ask(local, "enrol", 0).vector is not None
