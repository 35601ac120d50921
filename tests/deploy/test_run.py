from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn
from xml.etree import ElementTree

import numpy as np
import pictured
import pytest
from safetensors import safe_open
from studies import ALL, DISTRIBUTED, FREE

from client.evaluation import load_model
from client.hospital import Settings
from deploy import run as module
from deploy.arms import chosen, plans
from deploy.compare import run_arm
from deploy.federation import Machine
from deploy.run import Run, resumes_at, run, write_comparison
from ground.errors import LaennecError, StateError, UsageError
from server import checkpoint
from server.events import Advanced, Event
from server.results import to_json
from tasks.registry import find
from tasks.study import Study, load

FILES = ["hospitals", "model.safetensors", "privacy.json", "report.html", "result.json", "study.toml"]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def interrupt(*_: object) -> NoReturn:
    raise KeyboardInterrupt


def interrupt_after(number: int, study: Study, hospitals: Sequence[Settings], out: Path) -> None:
    """Leave an unfinished run in which that round was completed."""

    def watch(event: Event) -> None:
        if isinstance(event, Advanced) and event.round == number:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(study, hospitals, Machine(), out, watch)


@pytest.fixture(scope="module")
def finished(hospitals: Sequence[Settings], tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, Path]:
    out = tmp_path_factory.mktemp("out")
    return run(DISTRIBUTED, hospitals, Machine(), out), out


def test_a_run_leaves_its_five_files_and_no_state(finished: tuple[Run, Path]) -> None:
    assert names(finished[1]) == FILES


def test_the_result_on_disk_is_the_result(finished: tuple[Run, Path]) -> None:
    written, out = finished
    assert json.loads((out / "result.json").read_text()) == written.result
    assert written.result["digest"] == DISTRIBUTED.digest
    assert json.loads((out / "privacy.json").read_text()) == written.card


def test_the_study_on_disk_is_the_study(finished: tuple[Run, Path]) -> None:
    assert load(finished[1] / "study.toml") == DISTRIBUTED


def test_the_model_on_disk_is_the_shared_model_and_says_what_it_was_trained_for(
    finished: tuple[Run, Path],
) -> None:
    written, out = finished
    model = load_model(out / "model.safetensors", find("heart-disease"))
    np.testing.assert_array_equal(model, written.outcome.progress.state.model)
    with safe_open(out / "model.safetensors", framework="numpy") as file:
        origin = {"task": "heart-disease", "task-version": 1, "digest": DISTRIBUTED.digest}
        assert json.loads(file.metadata()["laennec"]) == origin


def test_the_report_loads_nothing_and_names_every_hospital(finished: tuple[Run, Path]) -> None:
    report = (finished[1] / "report.html").read_text()
    assert all(each["name"] in report for each in finished[0].result["hospitals"])
    assert "http://" not in report.replace("http://www.w3.org/", "")
    assert "src=" not in report


@pytest.mark.parametrize("number", [0, 1, 2, 3])
@pytest.mark.parametrize("study", ALL.values(), ids=ALL)
def test_an_interrupted_run_goes_on_to_the_same_model(
    study: Study, number: int, hospitals: Sequence[Settings], tmp_path: Path
) -> None:
    interrupt_after(number, study, hospitals, tmp_path / "interrupted")
    resumed = run(study, hospitals, Machine(), tmp_path / "interrupted")
    undisturbed = run(study, hospitals, Machine(), tmp_path / "undisturbed")
    ends = [checkpoint.to_bytes(each.outcome.progress) for each in (resumed, undisturbed)]
    assert ends[0] == ends[1]
    models = [(tmp_path / out / "model.safetensors").read_bytes() for out in ("interrupted", "undisturbed")]
    assert models[0] == models[1]
    assert names(tmp_path / "interrupted") == FILES


def test_a_run_that_was_stopped_before_its_files_were_written_writes_them_next_time(
    hospitals: Sequence[Settings], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(module, "write_files", interrupt)
        with pytest.raises(KeyboardInterrupt):
            run(FREE, hospitals, Machine(), tmp_path)
    assert names(tmp_path) == ["hospitals", "state"]
    again = run(FREE, hospitals, Machine(), tmp_path)
    assert names(tmp_path) == FILES
    assert again.result["history"][-1]["after"] == 3


def test_a_folder_says_at_which_round_its_unfinished_run_goes_on(
    hospitals: Sequence[Settings], tmp_path: Path
) -> None:
    assert resumes_at(FREE, tmp_path) is None
    interrupt_after(2, FREE, hospitals, tmp_path)
    # Round 3 was not yet asked for when round 2 was told, so its checkpoint is that of round 2.
    assert resumes_at(FREE, tmp_path) == 2


def test_an_unfinished_run_of_another_study_is_refused_and_stays_as_it_was(
    hospitals: Sequence[Settings], tmp_path: Path
) -> None:
    interrupt_after(1, FREE, hospitals, tmp_path)
    before = (tmp_path / "state" / checkpoint.FILE).read_bytes()
    for another in (DISTRIBUTED, FREE.with_seed(2)):
        with pytest.raises(
            UsageError, match=r"unfinished run of another study .*: choose another --out"
        ) as caught:
            resumes_at(another, tmp_path)
        assert caught.value.exit_code == 2
        with pytest.raises(StateError, match="holds another study"):
            run(another, hospitals, Machine(), tmp_path)
    assert (tmp_path / "state" / checkpoint.FILE).read_bytes() == before


def test_a_finished_run_is_replaced_by_the_next_one(hospitals: Sequence[Settings], tmp_path: Path) -> None:
    run(FREE, hospitals, Machine(), tmp_path)
    run(DISTRIBUTED, hospitals, Machine(), tmp_path)
    assert load(tmp_path / "study.toml") == DISTRIBUTED
    assert names(tmp_path) == FILES


def test_a_comparison_leaves_the_files_of_its_private_arm_with_all_arms_in_the_result(
    hospitals: Sequence[Settings], tmp_path: Path, finished: tuple[Run, Path]
) -> None:
    arms = [run_arm(plan, hospitals, Machine(), 1) for plan in plans(DISTRIBUTED)]
    written = write_comparison(arms, tmp_path)
    values: dict[str, Any] = json.loads((tmp_path / "result.json").read_text())
    assert names(tmp_path) == FILES[1:]
    assert list(values["arms"]) == ["own", "federated", "federated_dp", "pooled"]
    assert values["privacy"] == finished[0].result["privacy"]
    assert (tmp_path / "model.safetensors").read_bytes() == (finished[1] / "model.safetensors").read_bytes()
    assert written.result == values


def test_a_number_that_json_does_not_have_is_not_written() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        to_json({"epsilon": float("inf")})


def test_an_unfinished_run_does_not_go_on_with_other_noise(
    hospitals: Sequence[Settings], tmp_path: Path
) -> None:
    """One privacy card cannot speak for rounds with predictable and rounds with secret noise."""
    interrupt_after(1, DISTRIBUTED, hospitals, tmp_path)
    secret = [replace(each, secret_noise=True) for each in hospitals]
    with pytest.raises(UsageError, match="began with other noise"):
        run(DISTRIBUTED, secret, Machine(secret_noise=True), tmp_path)
    assert run(DISTRIBUTED, hospitals, Machine(), tmp_path).result["study"] == DISTRIBUTED.name


def test_an_unfinished_run_does_not_go_on_with_other_data(
    hospitals: Sequence[Settings], tmp_path: Path
) -> None:
    interrupt_after(1, FREE, hospitals, tmp_path)
    first, second, *others = hospitals
    swapped = [replace(first, sources=second.sources), second, *others]
    with pytest.raises(UsageError, match="began with other data"):
        run(FREE, swapped, Machine(), tmp_path)


def test_what_stopped_before_anything_was_learned_blocks_nothing(
    hospitals: Sequence[Settings], tmp_path: Path
) -> None:
    broken = [*hospitals[:-1], replace(hospitals[-1], sources=(str(tmp_path / "absent.csv"),))]
    with pytest.raises(LaennecError):
        run(FREE, broken, Machine(), tmp_path / "out")
    assert resumes_at(DISTRIBUTED, tmp_path / "out") is None
    assert run(DISTRIBUTED, hospitals, Machine(), tmp_path / "out").result["rounds"] == DISTRIBUTED.rounds


def test_a_comparison_over_several_epsilons_leaves_their_curve(
    hospitals: Sequence[Settings], tmp_path: Path
) -> None:
    every = plans(DISTRIBUTED, (8.0,))
    done = run_arm(every[1], hospitals, Machine(), 1)
    # What the curve shows is not asked here: one federation stands for all arms.
    written = write_comparison([replace(done, plan=plan) for plan in every], tmp_path)
    assert names(tmp_path) == ["epsilon-curve.svg", *FILES[1:]]
    assert [each["epsilon"] for each in written.result["epsilon_curve"]["ways"][0]["points"]] == [4.0, 8.0]
    curve = (tmp_path / "epsilon-curve.svg").read_text()
    assert ElementTree.fromstring(curve).tag == "{http://www.w3.org/2000/svg}svg"  # noqa: S314  our own
    assert curve.strip() in (tmp_path / "report.html").read_text()


def test_a_comparison_of_some_arms_is_described_by_the_first_that_was_federated(
    hospitals: Sequence[Settings], tmp_path: Path
) -> None:
    some = chosen(plans(DISTRIBUTED), ["own", "federated"])
    written = write_comparison([run_arm(plan, hospitals, Machine(), 1) for plan in some], tmp_path)
    assert written.result["described"] == "federated"
    assert written.card["protected"] is False
    assert list(written.result["arms"]) == ["own", "federated"]


@pytest.fixture
def pictured_study(monkeypatch: pytest.MonkeyPatch) -> Study:
    pictured.install(monkeypatch)
    return FREE.model_copy(update={"task": pictured.NAME, "labels": (("lv", 3),)})


def test_pictures_are_in_the_report_of_a_run_and_in_no_other_file(
    hospitals: Sequence[Settings], tmp_path: Path, pictured_study: Study
) -> None:
    first, second, third = hospitals
    mixed = [first, replace(second, discloses=False), third]
    study = pictured_study.model_copy(update={"labels": (("lv", 3), ("rv", 1))})
    run(study, mixed, Machine(), tmp_path)
    report = (tmp_path / "report.html").read_text()
    alone = re.findall(r'<img src="data:image/png;base64,[^"]+" alt="([^"]*): (best|median|worst) of', report)
    assert sorted(alone) == sorted(
        (n, w) for n in (first.name, third.name) for w in ("best", "median", "worst")
    )
    for file in FILES[1:]:
        assert (b"PNG" in (tmp_path / file).read_bytes()) is False
    assert "png" not in (tmp_path / "result.json").read_text().lower()
    assert pictured.heard == [{"lv": 3, "rv": 1}] * 3


def test_a_comparison_shows_patients_under_its_private_and_its_plain_model(
    hospitals: Sequence[Settings], tmp_path: Path, pictured_study: Study
) -> None:
    study = pictured_study.model_copy(update={"privacy": DISTRIBUTED.privacy})
    arms = [run_arm(plan, hospitals, Machine(), 1) for plan in plans(study)]
    write_comparison(arms, tmp_path, hospitals)
    report = (tmp_path / "report.html").read_text()
    assert re.findall(r"<h3>(.*), first seed</h3>", report) == ["federated + DP ε=4", "federated"]
    assert report.count("<img ") == 2 * 3 * len(hospitals)
    assert "png" not in (tmp_path / "result.json").read_text().lower()
