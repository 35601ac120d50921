from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from studies import DISTRIBUTED

from client.hospital import Settings
from deploy import kept as module
from deploy.arms import plans
from deploy.compare import run_arms
from deploy.federation import Machine, Outcome, federate
from deploy.kept import FOLDER, Kept, kept_in
from ground.errors import StateError, UsageError
from server.events import Event
from tasks.learners import digital_start
from tasks.study import Synthetic


def broken_after(monkeypatch: pytest.MonkeyPatch, finished: int) -> list[str]:
    """Let so many federations end, and stop the next; the digests of those that were begun."""
    begun: list[str] = []

    def watched(study: object, *arguments: object, **named: object) -> Outcome:
        if len(begun) == finished:
            raise KeyboardInterrupt
        begun.append(study.digest)  # type: ignore[attr-defined]
        return federate(study, *arguments, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "federate", watched)
    return begun


def results(arms: Sequence[object]) -> list[object]:
    return [arm.to_dict("auc") for arm in arms]  # type: ignore[attr-defined]


def test_an_interrupted_comparison_goes_on_and_ends_as_an_undisturbed_one(
    hospitals: Sequence[Settings], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arms = plans(DISTRIBUTED)
    whole = results(run_arms(arms, hospitals, Machine(), 1))
    begun = broken_after(monkeypatch, 3)
    with pytest.raises(KeyboardInterrupt), kept_in(tmp_path, hospitals) as kept:
        run_arms(arms, hospitals, Machine(), 1, kept=kept)
    assert len(begun) == 3
    again = broken_after(monkeypatch, 1000)
    with kept_in(tmp_path, hospitals) as kept:
        gone_on = results(run_arms(arms, hospitals, Machine(), 1, kept=kept))
    assert gone_on == whole
    assert len(again) == len(hospitals) + 3 - 3  # own ones, federated, with DP, pooled; less what was kept
    assert not (tmp_path / FOLDER).exists()


def test_whoever_watches_sees_every_round_of_what_is_kept(
    hospitals: Sequence[Settings], tmp_path: Path
) -> None:
    told: list[Event] = []
    kept = Kept(tmp_path)
    kept.federated(DISTRIBUTED, hospitals, Machine())
    kept.federated(DISTRIBUTED, hospitals, Machine(), told.append)
    assert len(told) == DISTRIBUTED.rounds + 1


def test_what_is_kept_of_other_data_is_not_gone_on_with(
    hospitals: Sequence[Settings], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken_after(monkeypatch, 1)
    arms = plans(DISTRIBUTED)
    with pytest.raises(KeyboardInterrupt), kept_in(tmp_path, hospitals) as kept:
        run_arms(arms, hospitals, Machine(), 1, kept=kept)
    with pytest.raises(UsageError, match="other data"), kept_in(tmp_path, hospitals[:-1]):
        pass


def test_two_comparisons_do_not_share_a_folder(hospitals: Sequence[Settings], tmp_path: Path) -> None:
    with (
        kept_in(tmp_path, hospitals),
        pytest.raises(StateError, match="another"),
        kept_in(tmp_path, hospitals),
    ):
        pass


def test_a_damaged_file_is_refused(hospitals: Sequence[Settings], tmp_path: Path) -> None:
    kept = Kept(tmp_path)
    kept.federated(DISTRIBUTED, hospitals, Machine())
    (file,) = tmp_path.glob("*.safetensors")
    file.write_bytes(file.read_bytes()[:-7] + b"garbage")
    with pytest.raises(StateError, match="damaged"):
        kept.federated(DISTRIBUTED, hospitals, Machine())


def test_a_digital_start_is_made_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study = DISTRIBUTED.model_copy(update={"synthetic": Synthetic(patients=8, start_steps=3, fill=False)})
    monkeypatch.setattr(digital_start, "_made", {})
    first = Kept(tmp_path).started(study, digital_start.nobody_watches)
    monkeypatch.setattr(digital_start, "_made", {})  # another process
    monkeypatch.setattr(digital_start, "_learn", None)  # that cannot make one
    assert (Kept(tmp_path).started(study, digital_start.nobody_watches) == first).all()
    monkeypatch.setattr(digital_start, "_made", {})
    with pytest.raises(TypeError):
        Kept().started(study, digital_start.nobody_watches)
