"""Hospitals that vanish on purpose, on the local engine."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import masked
import numpy as np
import pytest
from masked import NAMES, Settings, without

from client.ledger import Ledger
from deploy.engines.faults import Drop, parse_drops
from deploy.federation import Machine, Outcome, federate
from deploy.run import Run, run
from ground.errors import FederationError, UsageError
from server import checkpoint
from tasks.study import Study

STUDY = masked.study()
Hospitals = tuple[Settings, ...]
GONE = "its node is gone"
SENT = f"it has sent, and did not help to unmask: {GONE}"


@pytest.fixture(scope="module")
def four(tmp_path_factory: pytest.TempPathFactory) -> Hospitals:
    """As on a machine whose owner has all the data."""
    found = masked.hospitals(tmp_path_factory.mktemp("masked") / "hospitals")
    return tuple(replace(each, discloses=True, trusts_sum=True) for each in found)


def dropped(study: Study, hospitals: Hospitals, *drops: Drop) -> Outcome:
    return federate(study, hospitals, Machine(drops=drops))


def contributors(outcome: Outcome) -> list[tuple[str, ...]]:
    return [record.contributors for record in outcome.progress.history]


def test_a_hospital_that_vanishes_before_sending_is_left_out_and_named(four: Hospitals) -> None:
    outcome = dropped(STUDY, four, Drop("hungary", 1))
    assert contributors(outcome) == [without("hungary"), NAMES, ()]
    assert outcome.left_out == ((1, "hungary", GONE),)


def test_a_hospital_that_vanishes_after_sending_is_in_the_sum_and_is_named(four: Hospitals) -> None:
    outcome = dropped(STUDY, four, Drop("hungary", 2, late=True))
    assert contributors(outcome) == [NAMES, NAMES, ()]
    assert outcome.left_out == ((2, "hungary", SENT),)
    undisturbed = dropped(STUDY, four).progress
    np.testing.assert_array_equal(outcome.progress.state.model, undisturbed.state.model)


def test_two_that_vanish_abandon_the_round_and_the_study_completes(four: Hospitals) -> None:
    outcome = dropped(STUDY, four, Drop("hungary", 1), Drop("switzerland", 1))
    assert contributors(outcome) == [(), NAMES, ()]
    assert "hungary, switzerland sent nothing" in outcome.progress.history[0].abandoned
    assert masked.spent_at(outcome.progress) == 1


def test_the_same_drops_give_the_same_study_to_the_last_bit(four: Hospitals) -> None:
    ends = [
        checkpoint.to_bytes(replace(dropped(STUDY, four, Drop("hungary", 1)).progress, secure=None))
        for _ in range(2)
    ]
    assert ends[0] == ends[1]


def test_a_plain_study_with_noise_of_each_goes_on_without_a_hospital(four: Hospitals) -> None:
    local = masked.plain(masked.study("local"))
    outcome = dropped(local, four, Drop("hungary", 1))
    assert contributors(outcome) == [without("hungary"), NAMES, ()]
    assert outcome.left_out == ((1, "hungary", GONE),)


def test_a_plain_study_with_shared_noise_ends_where_a_share_is_missing(four: Hospitals) -> None:
    with pytest.raises(FederationError, match=r"^round 2: hungary did not contribute, and the study needs 4"):
        dropped(masked.plain(STUDY), four, Drop("hungary", 2))


@pytest.mark.parametrize(
    ("text", "drop"),
    [
        ("hungary@1", Drop("hungary", 1)),
        ("hungary@2:late", Drop("hungary", 2, late=True)),
        ("a@b@2", Drop("a@b", 2)),
    ],
)
def test_a_drop_is_a_hospital_a_round_and_whether_it_is_late(text: str, drop: Drop) -> None:
    assert parse_drops([text], ["hungary", "a@b"], 2, secure=True) == (drop,)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        *[
            (text, "write HOSPITAL@ROUND")
            for text in ("hungary", "@1", "hungary@", "hungary@-1", "hungary@x")
        ],
        *[
            (text, "write HOSPITAL@ROUND")
            for text in ("hungary@1:soon", "hungary@1:late ", "hungary@1.5", "")
        ],
        ("brest@1", "no such hospital: there are hungary, zurich"),
        ("Hungary@1", "no such hospital"),
        *[(f"hungary@{number}", "the study has rounds 1 to 2") for number in (0, 3, 10**30)],
    ],
)
def test_anything_else_is_wrong_use(text: str, says: str) -> None:
    with pytest.raises(UsageError, match=f"^--drop {text}: {says}"):
        parse_drops([text], ["zurich", "hungary"], 2, secure=True)


def test_nothing_is_asked_after_sending_without_secure_aggregation() -> None:
    with pytest.raises(UsageError, match=r"^--drop hungary@1:late: only a study with secure aggregation"):
        parse_drops(["hungary@1:late"], ["hungary"], 2, secure=False)
    assert parse_drops(["hungary@1"], ["hungary"], 2, secure=False) == (Drop("hungary", 1),)


@pytest.fixture(scope="module")
def finished(four: Hospitals, tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, Path]:
    out = tmp_path_factory.mktemp("out")
    return run(STUDY, four, Machine(drops=(Drop("hungary", 1),)), out), out


def test_the_card_of_a_masked_run_keeps_to_what_was_asked(finished: tuple[Run, Path]) -> None:
    card = json.loads((finished[1] / "privacy.json").read_text())
    assert STUDY.privacy is not None
    assert (card["secure_aggregation"], card["model"]) == (True, "secure sum")
    assert 0.9 * STUDY.privacy.epsilon < card["epsilon"] <= card["epsilon_asked"] == STUDY.privacy.epsilon
    assert card["delta"] == STUDY.privacy.delta
    assert card["epsilon_towards_another_hospital"] > card["epsilon"]
    assert (card["fewest_hospitals_in_a_sum"], card["shares_that_restore_a_mask"]) == (3, 3)
    assert "sum is trusted" not in " ".join(card["warnings"])


def test_the_result_says_who_was_left_out_and_who_contributed(finished: tuple[Run, Path]) -> None:
    result = json.loads((finished[1] / "result.json").read_text())
    assert result["left_out"] == [{"round": 1, "hospital": "hungary", "reason": GONE}]
    assert [each["contributors"] for each in result["history"]] == [
        [*without("hungary")],
        [*NAMES],
        [],
    ]
    assert result["privacy"]["secure_aggregation"] is True


def test_a_run_leaves_each_hospital_its_book_and_its_lock_and_nothing_of_the_study(
    finished: tuple[Run, Path],
) -> None:
    _, out = finished
    assert not (out / "state").exists()
    kept = {path.name for path in (out / "hospitals").glob("*/*")}
    assert kept == {".lock", "ledger.sqlite", "ledger.sqlite.head"}
    assert {path.name for path in (out / "hospitals").iterdir() if path.is_dir()} == set(NAMES)


def test_a_second_run_in_the_folder_is_booked_on_top(four: Hospitals, tmp_path: Path) -> None:
    costs, kinds = [], Counter[str]()
    for _ in range(2):
        run(STUDY, four, Machine(), tmp_path)
        with Ledger(tmp_path / "hospitals" / "hungary" / "ledger.sqlite") as ledger:
            costs.append(ledger.spent("hungary"))
            kinds = Counter(entry.kind for entry in ledger.history() if entry.kind != "disclose")
    assert [event.times for event in costs[1].events] == [2 * event.times for event in costs[0].events]
    assert kinds == {"reserve": 6, "settle": 6}
    assert costs[1].epsilon(1e-3) > costs[0].epsilon(1e-3)
