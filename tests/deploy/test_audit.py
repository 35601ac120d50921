from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

import numpy as np
import pytest
from studies import ALL, DISTRIBUTED, FREE

from client.audit import rehearsal
from client.audit.rehearsal import Terms
from client.hospital import Settings, cohort
from deploy import audit as module
from deploy.audit import Audited, attack, audit, finished
from deploy.federation import Machine, federate
from deploy.run import run
from ground.errors import UsageError
from privacy.randomness import seeded_key
from tasks.registry import find
from tasks.study import Study

FILES = ["audit.json", "model.safetensors", "privacy.json", "report.html", "result.json", "study.toml"]


@pytest.fixture(autouse=True)
def _few_canaries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CANARIES", 60)
    monkeypatch.setattr(module, "DRAWS", 1)


@pytest.fixture(scope="module")
def audited(hospitals: Sequence[Settings], tmp_path_factory: pytest.TempPathFactory) -> tuple[Audited, Path]:
    out = tmp_path_factory.mktemp("out")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "CANARIES", 60)
        patch.setattr(module, "DRAWS", 1)
        return audit(DISTRIBUTED, hospitals, out, runs=2, shadows=8), out


@pytest.mark.parametrize("study", ALL.values(), ids=ALL)
def test_a_rehearsal_with_the_study_s_own_noise_is_the_study_bit_for_bit(
    study: Study, hospitals: Sequence[Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    patients = {each.name: cohort(study.task, each.sources).training for each in hospitals}

    def own_key(seed: int, digest: str, purpose: str, name: str) -> bytes:
        assert (seed, purpose) == (study.seed, "audit")
        return seeded_key(seed, digest, name)

    monkeypatch.setattr(rehearsal, "seeded_key", own_key)
    rehearsed = rehearsal.train(Terms.of(study, study.seed), patients)
    model = federate(study, hospitals, Machine()).progress.state.model
    np.testing.assert_array_equal(rehearsed, model)


def test_an_audit_draws_other_noise_than_the_study(hospitals: Sequence[Settings]) -> None:
    patients = {each.name: cohort(DISTRIBUTED.task, each.sources).training for each in hospitals}
    rehearsed = rehearsal.train(Terms.of(DISTRIBUTED, DISTRIBUTED.seed), patients)
    model = federate(DISTRIBUTED, hospitals, Machine()).progress.state.model
    assert not np.array_equal(rehearsed, model)


def test_an_audit_leaves_the_study_s_files_and_its_own(audited: tuple[Audited, Path]) -> None:
    written, out = audited
    assert {path.name for path in out.iterdir() if path.is_file()} == set(FILES)
    assert json.loads((out / "audit.json").read_text()) == written.audit
    assert json.loads((out / "privacy.json").read_text()) == written.card
    result = json.loads((out / "result.json").read_text())
    assert result == written.result
    assert result["audit"] == written.audit
    assert result["digest"] == written.audit["digest"] == DISTRIBUTED.digest


def test_every_run_is_reported(audited: tuple[Audited, Path]) -> None:
    sights = audited[0].audit["canaries"]["sights"]
    assert [(each["sees"], each["noise"]) for each in sights] == [
        ("sum", True),
        ("each", True),
        ("sum", False),
    ]
    assert all(len(each["bounds"]) == 2 for each in sights)
    assert sights[0]["claim"] <= 4.0 < sights[1]["claim"]


def test_findings_stand_worst_first_in_audit_card_and_report(audited: tuple[Audited, Path]) -> None:
    written, out = audited
    own = [each for each in written.audit["findings"] if each["study"]]
    assert [each["share"] for each in own] == sorted((each["share"] for each in own), reverse=True)
    assert written.card["audit"] == [*(each["says"] for each in own), written.audit["cannot_show"]]
    report = (out / "report.html").read_text()
    assert report.index("<h2>Audit</h2>") < report.index("<h2>Privacy card</h2>")
    assert report.count("A lower bound on epsilon is not a proof") >= 2
    assert "A digital patient and her reconstructions" in report


def test_a_finished_run_of_the_same_study_is_not_run_again(
    audited: tuple[Audited, Path], hospitals: Sequence[Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> NoReturn:
        raise AssertionError("run again")

    monkeypatch.setattr(module, "run", refuse)
    model = (audited[1] / "model.safetensors").read_bytes()
    again = audit(DISTRIBUTED, hospitals, audited[1], runs=2, shadows=8)
    times = {"seconds": 0.0}
    assert {**again.audit, **times} == {**audited[0].audit, **times}
    assert (audited[1] / "model.safetensors").read_bytes() == model


def test_a_result_of_another_study_or_other_hospitals_is_not_taken_for_this_one(
    audited: tuple[Audited, Path], hospitals: Sequence[Settings], tmp_path: Path
) -> None:
    assert finished(DISTRIBUTED, hospitals, audited[1]) is not None
    assert finished(DISTRIBUTED.with_seed(2), hospitals, audited[1]) is None
    assert finished(DISTRIBUTED, hospitals[:2], audited[1]) is None
    assert finished(DISTRIBUTED, hospitals, tmp_path) is None
    (tmp_path / "result.json").write_text('{"digest": ')
    assert finished(DISTRIBUTED, hospitals, tmp_path) is None


def test_a_study_without_privacy_is_attacked_as_it_is_and_has_no_canaries(
    hospitals: Sequence[Settings], tmp_path: Path
) -> None:
    run(FREE, hospitals, Machine(), tmp_path)
    found = audit(FREE, hospitals, tmp_path, runs=1, shadows=8)
    assert found.audit["canaries"] is None
    assert "claims no epsilon" in found.card["audit"][-2]
    assert all(each["study"] for each in found.audit["findings"])
    assert found.audit["findings"][0]["attack"] == "inversion, no privacy"
    assert found.holds


def test_a_study_whose_noise_is_missing_does_not_hold(
    hospitals: Sequence[Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not the control, in which it must be missing: the study itself."""
    monkeypatch.setattr(module, "CANARIES", 300)
    honest = Terms.of

    def careless(study: Study, seed: int) -> Terms:
        terms = honest(study, seed)
        assert terms.plan is not None
        return replace(terms, plan=replace(terms.plan, noise_multiplier=terms.plan.noise_multiplier / 50))

    patients = {each.name: cohort(DISTRIBUTED.task, each.sources).training for each in hospitals}
    long = DISTRIBUTED.with_epsilon(1.0).model_copy(update={"rounds": 12})
    sights = [module.one_run(make(long, 1), patients, 150)["sum"] for make in (honest, careless)]
    claim = sights[0].claim
    assert [each.bound <= claim for each in sights] == [True, False]
    measured = {
        "canaries": {
            "sights": [
                {"sees": "sum", "noise": True, "claimed": True, "seen": True, "claim": claim, "bounds": [b]}
                for b in (each.bound for each in sights)
            ]
        },
        "membership": None,
        "inversion": None,
        "private": True,
    }
    found = module.findings(measured)
    assert [each["holds"] for each in found] == [False, True]
    assert not Audited({}, {}, {"findings": found}).holds


def test_under_secure_aggregation_a_hospital_s_own_update_is_a_comparison(
    hospitals: Sequence[Settings],
) -> None:
    privacy = DISTRIBUTED.privacy
    assert privacy is not None
    secure = DISTRIBUTED.model_copy(
        update={"privacy": privacy.model_copy(update={"secure_aggregation": True})}
    )
    found = attack(secure, hospitals, runs=1, shadows=8)["findings"]
    own = {each["attacker"] for each in found if each["study"]}
    assert "sees each hospital's update" not in own
    assert "sees the sum of each round" in own
    assert any(each["attacker"] == "sees each hospital's update" for each in found if not each["study"])


def test_a_task_without_digital_patients_has_no_pictures_and_says_why(
    hospitals: Sequence[Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rehearsal, "find", lambda *_: replace(find("heart-disease"), strata=()))
    found = attack(FREE, hospitals, runs=1, shadows=8)
    assert found["inversion"] is None
    assert "must never be of a real patient" in found["skipped"][-1]


def test_a_task_that_does_not_learn_by_gradients_is_refused(
    hospitals: Sequence[Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Terms, "learns_by_gradients", lambda _: False)
    with pytest.raises(UsageError, match="does not learn by gradients"):
        attack(FREE, hospitals)


def test_a_result_of_other_data_under_the_same_names_is_not_taken_for_this_one(
    hospitals: list[Settings], audited: tuple[Audited, Path], tmp_path: Path
) -> None:
    other = tmp_path / Path(hospitals[0].sources[0]).name
    other.write_bytes(Path(hospitals[1].sources[0]).read_bytes())
    changed = [replace(hospitals[0], sources=(str(other),)), *hospitals[1:]]
    assert finished(DISTRIBUTED, changed, audited[1]) is None
