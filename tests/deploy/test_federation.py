from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
import troubled_app
from studies import ALL, DISTRIBUTED, FREE, LOCAL

from client.hospital import Settings
from deploy import federation
from deploy.federation import Machine, Outcome, federate, hospitals_in, pooled
from ground.errors import DataError, FederationError, StudyError, UsageError
from server import checkpoint
from server.events import Advanced, Event
from tasks.heart_disease.task import UCI_FILES
from tasks.registry import find
from tasks.study import Privacy, Study

EACH = pytest.mark.parametrize("study", ALL.values(), ids=ALL)


@pytest.fixture
def ill(hospitals: Sequence[Settings], monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The second hospital fails whenever round 2 is asked of it."""
    monkeypatch.setattr(federation, "client_app", troubled_app.app)
    trouble = troubled_app.marker(hospitals[1], "ill")
    trouble.write_text("2")
    yield hospitals[1].name
    trouble.unlink()


@EACH
def test_the_same_study_over_the_same_hospitals_ends_in_the_same_bytes(
    study: Study, hospitals: Sequence[Settings]
) -> None:
    ends = [checkpoint.to_bytes(federate(study, hospitals, Machine()).progress) for _ in range(2)]
    assert ends[0] == ends[1]


@EACH
def test_the_order_in_which_hospitals_are_given_does_not_matter(
    study: Study, hospitals: Sequence[Settings]
) -> None:
    straight, reverse = (federate(study, order, Machine()) for order in (hospitals, hospitals[::-1]))
    assert checkpoint.to_bytes(straight.progress) == checkpoint.to_bytes(reverse.progress)


def test_noise_from_the_operating_system_cannot_be_repeated(
    hospitals: Sequence[Settings], folder: Path
) -> None:
    secret = hospitals_in("heart-disease", folder, None, secret_noise=True)
    seeded = federate(DISTRIBUTED, hospitals, Machine()).progress.state.model
    models = [
        federate(DISTRIBUTED, secret, Machine(secret_noise=True)).progress.state.model for _ in range(2)
    ]
    assert not (models[0] == models[1]).any()
    assert not (models[0] == seeded).any()


def test_another_seed_is_another_study_with_other_noise(hospitals: Sequence[Settings]) -> None:
    first, second = (federate(DISTRIBUTED.with_seed(seed), hospitals, Machine()).progress for seed in (1, 2))
    assert not (first.state.model == second.state.model).any()
    assert first.study.digest != second.study.digest


def test_whoever_watches_sees_every_step_in_order(hospitals: Sequence[Settings]) -> None:
    events: list[Event] = []
    outcome = federate(FREE, hospitals, Machine(), watch=events.append)
    assert [event.round for event in events if isinstance(event, Advanced)] == [0, 1, 2, 3, 3]
    assert isinstance(events[-1], Advanced)
    assert events[-1].progress == outcome.progress


def test_an_outcome_counts_its_seconds(hospitals: Sequence[Settings]) -> None:
    seconds = federate(FREE, hospitals, Machine()).seconds
    assert seconds.total >= seconds.training > 0.0
    assert seconds.overhead_per_round >= 0.0


def test_a_hospital_that_is_left_out_is_named_with_its_round_and_reason(
    ill: str, hospitals: Sequence[Settings]
) -> None:
    outcome: Outcome = federate(LOCAL, hospitals, Machine())
    assert outcome.left_out == ((2, ill, "no memory left"),)
    assert ill not in outcome.progress.history[1].contributors
    assert ill in outcome.progress.history[2].contributors


def test_distributed_noise_ends_where_a_hospital_is_left_out(ill: str, hospitals: Sequence[Settings]) -> None:
    with pytest.raises(FederationError, match=f"round 2: {ill} did not contribute"):
        federate(DISTRIBUTED, hospitals, Machine())


def test_no_hospital_at_all_is_wrong_use() -> None:
    with pytest.raises(UsageError, match="at least one hospital"):
        federate(FREE, [], Machine())


def test_an_epsilon_that_no_noise_reaches_is_wrong_use_before_any_hospital_is_asked(
    hospitals: Sequence[Settings],
) -> None:
    events: list[Event] = []
    study = FREE.model_copy(update={"privacy": Privacy(epsilon=1e-3, delta=1e-12)})
    with pytest.raises(StudyError, match=r"study free: no noise reaches epsilon 0.001 .*: raise epsilon"):
        federate(study, hospitals, Machine(), watch=events.append)
    assert events == []


def test_wrong_data_at_a_hospital_is_named_with_it(hospitals: Sequence[Settings], tmp_path: Path) -> None:
    (tmp_path / "zurich.csv").write_text("1,2,3\n")
    zurich = Settings("zurich", (str(tmp_path / "zurich.csv"),), secret_noise=False, discloses=True)
    with pytest.raises(DataError, match=r"^hospital zurich: .*zurich.csv, line 1: 3 columns"):
        federate(FREE, [*hospitals, zurich], Machine())


def test_every_table_in_a_folder_is_a_hospital_with_its_own_home(folder: Path, tmp_path: Path) -> None:
    found = hospitals_in("heart-disease", folder, tmp_path, secret_noise=True)
    assert [each.name for each in found] == ["cleveland", "hungary", "long-beach"]
    assert [each.home for each in found] == [tmp_path / each.name for each in found]
    assert all(Path(source).is_absolute() for each in found for source in each.sources)
    assert {(each.secret_noise, each.discloses) for each in found} == {(True, True)}


def test_hospitals_stand_in_the_order_of_the_roster_whatever_order_the_task_finds_them_in(
    tmp_path: Path,
) -> None:
    for file in UCI_FILES.values():
        (tmp_path / file).touch()
    names = [each.name for each in hospitals_in("heart-disease", tmp_path, None, secret_noise=False)]
    assert names == sorted(names) != list(find("heart-disease").hospitals(tmp_path))


def test_pooled_hospitals_are_one_with_everybodys_patients(hospitals: Sequence[Settings]) -> None:
    everybody = federate(FREE, [pooled(hospitals)], Machine()).progress.roster
    separate = federate(FREE, hospitals, Machine()).progress.roster
    assert [member.name for member in everybody] == ["pooled"]
    assert everybody[0].patients == sum(member.patients or 0 for member in separate) > 0
