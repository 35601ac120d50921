from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import clinic
import numpy as np
import pytest
from clinic import Clinic
from flwr.app import ArrayRecord, ConfigRecord, Context, RecordDict

from client import training
from client.app import app
from client.hospital import HOSPITALS_VARIABLE, Settings, cohort
from ground.errors import FederationError, UsageError
from tasks.messages import Phase, pack_reply

PRIVATE = clinic.study()
STUDY: list[tuple[Phase, int]] = [("enrol", 0), ("train", 1), ("train", 2), ("report", clinic.ROUNDS)]


def test_a_whole_study_is_answered_message_by_message(brest: Clinic) -> None:
    replies = [brest.send(clinic.instruction(PRIVATE, phase, number)) for phase, number in STUDY]
    assert [(reply.phase, reply.round) for reply in replies] == STUDY
    assert {(reply.hospital, reply.digest, reply.error) for reply in replies} == {
        ("brest", PRIVATE.digest, None)
    }
    assert [reply.vector is not None for reply in replies] == [True, True, True, False]
    assert brest.memory(PRIVATE).accountant == clinic.plan(PRIVATE).cost()


def test_the_app_answers_as_the_function_behind_it_does(brest: Clinic) -> None:
    asked = clinic.instruction(PRIVATE, "train", 1)
    through_app = brest.send(asked)
    assert clinic.same(through_app, brest.answer(asked, PRIVATE))


def test_the_same_message_twice_gets_the_same_bytes(brest: Clinic) -> None:
    asked = clinic.instruction(PRIVATE, "train", 1)
    secret = replace(brest, secret_noise=True)
    first, second = (pack_reply(secret.send(asked)) for _ in range(2))
    assert first.config_records["text"] == second.config_records["text"]
    assert first.array_records["arrays"]["vector"].data == second.array_records["arrays"]["vector"].data


def test_a_reply_belongs_to_its_message(hospital: Clinic) -> None:
    message = clinic.message(clinic.instruction(PRIVATE, "enrol", 0))
    reply = app(message, Context(1, 1, dict(hospital.settings.to_config()), RecordDict(), {}))
    assert reply.metadata.reply_to_message_id == message.metadata.message_id
    assert reply.metadata.message_type == message.metadata.message_type
    assert (reply.metadata.src_node_id, reply.metadata.dst_node_id) == (1, 0)


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ({"study": PRIVATE.with_seed(9).to_toml()}, "StudyError"),
        ({"study": "rounds = "}, "StudyError"),
        ({"published": {"model": np.zeros(2, np.float32)}}, "FederationError"),
        ({"hospitals": 0}, "FederationError"),
    ],
)
@pytest.mark.filterwarnings("ignore:divide by zero:RuntimeWarning")
def test_what_cannot_be_answered_is_a_reply_that_says_why(
    hospital: Clinic, change: dict[str, object], kind: str
) -> None:
    reply = hospital.send(replace(clinic.instruction(PRIVATE, "train", 1), **change))
    assert reply.error is not None
    assert reply.error[0] == kind
    assert reply.vector is None
    assert hospital.memory(PRIVATE).stage == -1


def test_data_that_cannot_be_read_is_a_reply_without_a_value(tmp_path: Path) -> None:
    table = clinic.export(tmp_path, "brest", "cleveland")
    lines = table.read_text().splitlines()
    lines[5] = f"{clinic.VALUE}," + lines[5].partition(",")[2]
    table.write_text("\n".join(lines))
    reply = Clinic(table, discloses=True).send(clinic.instruction(PRIVATE, "enrol", 0))
    assert reply.error is not None
    assert reply.error[0] == "DataError"
    assert "line 6, column age" in reply.error[1]
    assert clinic.VALUE not in repr(reply)


def test_the_text_of_a_foreign_error_stays_in_the_hospital(
    hospital: Clinic, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise ValueError(f"could not convert string to float: '{clinic.VALUE}'")

    monkeypatch.setattr(training, "cohort", fail)
    context = Context(1, 1, dict(hospital.settings.to_config()), RecordDict(), {})
    reply = app(clinic.message(clinic.instruction(PRIVATE, "train", 1)), context)
    sent = reply.content.config_records["text"]["json"]
    assert clinic.VALUE not in sent
    assert json.loads(sent)["error"] == [
        "FederationError",
        "it failed with ValueError: its own log has the details",
    ]
    assert not reply.content.array_records["arrays"]
    shown = [record.getMessage() for record in caplog.records if record.levelname != "DEBUG"]
    assert shown == ["train round 1 refused: ValueError"]


def test_a_message_that_is_no_instruction_is_refused(hospital: Clinic) -> None:
    message = clinic.message(clinic.instruction(PRIVATE, "train", 1))
    message.content = RecordDict({"text": ConfigRecord({"json": "{}"}), "arrays": ArrayRecord()})
    with pytest.raises(FederationError, match="an instruction is malformed"):
        app(message, Context(1, 1, dict(hospital.settings.to_config()), RecordDict(), {}))


@pytest.mark.parametrize("home", [None, Path("some") / "home"])
@pytest.mark.parametrize("flags", [(True, False, False), (False, True, False), (False, False, True)])
def test_settings_come_through_a_node_s_configuration(
    home: Path | None, flags: tuple[bool, bool, bool]
) -> None:
    settings = Settings("brest", ("a.csv", "b, c.csv"), home, *flags)
    assert Settings.from_config(settings.to_config()) == settings


def test_a_node_that_is_not_told_otherwise_keeps_its_secrets() -> None:
    settings = Settings.from_config({"hospital": "brest", "sources": '["a.csv"]'})
    assert settings == Settings("brest", ("a.csv",), None, secret_noise=True, discloses=False)


def test_a_node_of_a_simulation_finds_its_own_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    listed = [Settings(name, (f"{name}.csv",)) for name in ("amiens", "brest")]
    for number, each in enumerate(listed):
        (tmp_path / f"{number}.json").write_text(json.dumps(each.to_config()))
    monkeypatch.setenv(HOSPITALS_VARIABLE, str(tmp_path))
    assert Settings.from_config({"partition-id": 1, "num-partitions": 2}) == listed[1]


def test_a_node_that_is_no_hospital_is_refused() -> None:
    with pytest.raises(UsageError, match="which hospital it is: set hospital and sources"):
        Settings.from_config({})


def test_several_sources_are_split_first_and_pooled_then(tmp_path: Path) -> None:
    paths = [clinic.export(tmp_path, name, name) for name in ("cleveland", "hungary")]
    one, other, both = (cohort("heart-disease", tuple(map(str, p))) for p in (paths[:1], paths[1:], paths))
    assert other.quarantined > 0
    for part in ("training", "test"):
        assert len(getattr(both, part)) == len(getattr(one, part)) + len(getattr(other, part))
    assert both.quarantined == one.quarantined + other.quarantined


def test_nobody_is_both_learnt_from_and_tested_on(table: Path) -> None:
    found = cohort("heart-disease", (str(table),))
    rows = [part.batch(np.arange(len(part)), None)[0].numpy() for part in (found.training, found.test)]
    everybody = {row.tobytes() for row in np.concatenate(rows)}
    assert len(everybody) == clinic.PATIENTS == sum(map(len, rows))
