from __future__ import annotations

from pathlib import Path

import pytest

from ground.errors import UsageError
from server.registry import Registry
from server.registry.studies import Launched, Studies
from tasks.study import Study

STUDY = Study(name="first", task="heart-disease", rounds=2)
OTHER = STUDY.model_copy(update={"seed": 2})


@pytest.fixture
def studies(tmp_path: Path) -> Studies:
    return Registry.begin(tmp_path / "registry.sqlite").studies


def launched(studies: Studies, study: Study = STUDY) -> Launched:
    return studies.launch(study, ["lille", "brest"], 60.0, "anne")


def test_what_was_launched_is_found_again_word_for_word(studies: Studies, tmp_path: Path) -> None:
    made = launched(studies)
    [found] = Registry.open(tmp_path / "registry.sqlite").studies.all()
    assert found == made
    assert (found.study, found.hospitals, found.state, found.due) == (
        STUDY,
        ("brest", "lille"),
        "waiting",
        True,
    )


def test_the_same_study_is_launched_once(studies: Studies) -> None:
    made = launched(studies)
    with pytest.raises(UsageError, match=r"first: was launched before \(waiting\): it is under way"):
        launched(studies)
    studies.move(made.digest, "finished")
    with pytest.raises(UsageError, match="another seed is another study"):
        launched(studies)
    assert launched(studies, OTHER).state == "waiting"


def test_a_study_is_found_by_name_or_by_the_beginning_of_its_digest(studies: Studies) -> None:
    made = launched(studies)
    assert studies.find("first") == studies.find(made.digest[:6]) == made
    for wrong in ("second", made.digest[:5]):
        with pytest.raises(UsageError, match="no such study"):
            studies.find(wrong)
    launched(studies, OTHER)
    with pytest.raises(UsageError, match="several studies have this name"):
        studies.find("first")


def test_a_study_that_runs_is_stopped_by_its_process_and_one_that_waits_at_once(studies: Studies) -> None:
    digest = launched(studies).digest
    assert studies.want(digest, "stop").state == "stopped"
    assert studies.want(digest, "run").due
    studies.move(digest, "running")
    stopping = studies.want(digest, "stop")
    assert (stopping.state, stopping.due) == ("running", False)
    assert studies.move(digest, "waiting").state == "stopped"
    assert studies.want(digest, "run").due


def test_a_study_that_is_being_stopped_and_resumed_at_once_goes_on(studies: Studies) -> None:
    digest = launched(studies).digest
    studies.move(digest, "running")
    studies.want(digest, "stop")
    studies.want(digest, "run")
    assert studies.move(digest, "waiting").due


def test_what_makes_no_sense_is_refused_with_the_way_out(studies: Studies) -> None:
    digest = launched(studies).digest
    with pytest.raises(UsageError, match="is waiting already"):
        studies.want(digest, "run")
    studies.move(digest, "failed", "lille declined")
    with pytest.raises(UsageError, match="does not run: it failed"):
        studies.want(digest, "stop")
    resumed = studies.want(digest, "run")
    assert (resumed.state, resumed.why) == ("waiting", "")
    studies.move(digest, "finished")
    for wanted in ("run", "stop"):
        with pytest.raises(UsageError, match="is finished"):
            studies.want(digest, wanted)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="no such study"):
        studies.move("0" * 64, "running")
