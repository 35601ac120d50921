from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from calls import NAMES, PRIVATE, Laennec, write

from client.hospital import Settings
from deploy.federation import Machine, hospitals_in
from deploy.run import run
from server.events import Advanced, Event
from tasks.study import load

FILES = ["model.safetensors", "privacy.json", "report.html", "result.json", "study.toml"]


def one_line(text: str) -> str:
    return " ".join(text.split())


def test_a_run_shows_every_hospital_the_privacy_and_where_the_report_is(
    laennec: Laennec, private: Path, folder: Path, tmp_path: Path
) -> None:
    finished = laennec("run", private, "--data", folder, "--out", tmp_path / "out")
    assert finished.code == 0
    assert all(name in finished.out for name in (*NAMES, "mean", "accuracy", "auc"))
    assert "epsilon 4 at delta 1e-05 for the whole study" in one_line(finished.out)
    assert f"Report: {tmp_path / 'out' / 'report.html'}\n" in finished.out
    assert "2/2 rounds" in finished.err


def test_a_run_without_privacy_says_so(laennec: Laennec, short: Path, folder: Path, tmp_path: Path) -> None:
    finished = laennec("run", short, "--data", folder, "--out", tmp_path / "out")
    assert "No differential privacy" in finished.out


def test_json_is_the_result_and_nothing_else(
    laennec: Laennec, short: Path, folder: Path, tmp_path: Path
) -> None:
    finished = laennec("run", short, "--data", folder, "--out", tmp_path / "out", "--json")
    assert (finished.code, finished.err) == (0, "")
    assert json.loads(finished.out) == json.loads((tmp_path / "out" / "result.json").read_text())
    assert [each["name"] for each in json.loads(finished.out)["hospitals"]] == list(NAMES)


def test_without_data_and_out_digital_hospitals_are_made_in_the_default_folder(
    laennec: Laennec, short: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    finished = laennec("run", short, "--hospitals", 3, "--seed", 7, "--json")
    result = json.loads(finished.out)
    assert (result["seed"], len(result["hospitals"])) == (7, 3)
    assert sorted(path.name for path in (tmp_path / "runs" / "short").iterdir()) == [
        "digital-hospitals",
        "hospitals",
        *FILES,
    ]


def test_an_unfinished_run_goes_on_and_says_at_which_round(
    laennec: Laennec, private: Path, folder: Path, tmp_path: Path
) -> None:
    interrupt_after(1, private, folder, tmp_path / "out")
    resumed = laennec("run", private, "--data", folder, "--out", tmp_path / "out")
    assert f"Going on with the unfinished run in {tmp_path / 'out'}, at round 1.\n" in resumed.err
    laennec("run", private, "--data", folder, "--out", tmp_path / "undisturbed")
    models = [(tmp_path / out / "model.safetensors").read_bytes() for out in ("out", "undisturbed")]
    assert models[0] == models[1]


def interrupt_after(number: int, study: Path, folder: Path, out: Path) -> None:
    def watch(event: Event) -> None:
        if isinstance(event, Advanced) and event.round == number:
            raise KeyboardInterrupt

    hospitals: list[Settings] = hospitals_in("heart-disease", folder, None, secret_noise=False)
    with pytest.raises(KeyboardInterrupt):
        run(load(study), hospitals, Machine(), out, watch)


def test_secret_noise_is_not_warned_of(laennec: Laennec, private: Path, folder: Path, tmp_path: Path) -> None:
    warnings = {}
    for flags in ((), ("--secret-noise",)):
        laennec("run", private, "--data", folder, "--out", tmp_path / "out", *flags, "--json")
        warnings[flags] = json.loads((tmp_path / "out" / "privacy.json").read_text())["warnings"]
    assert any("--secret-noise" in warning for warning in warnings[()])
    assert not any("--secret-noise" in warning for warning in warnings[("--secret-noise",)])


def test_a_comparison_shows_its_arms_in_order(
    laennec: Laennec, private: Path, folder: Path, tmp_path: Path
) -> None:
    arguments = ("--epsilon", 1.0, "--strategy", "ditto", "--seeds", 2)
    finished = laennec("compare", private, "--data", folder, "--out", tmp_path / "out", *arguments)
    arms = json.loads((tmp_path / "out" / "result.json").read_text())["arms"]
    assert list(arms) == [
        *("own", "federated", "federated_dp", "federated_dp_1"),
        *("federated_ditto", "federated_dp_ditto", "pooled"),
    ]
    assert {arm["seeds"] for arm in arms.values()} == {2}
    assert "mean ± sd over 2 seeds" in one_line(finished.out)
    assert "±" in finished.out
    table = finished.out.split("\n\n")[1]
    labels = [line.split("  ")[0] for line in table.splitlines()[2:]]
    assert labels == [arm["label"] for arm in arms.values()]


def test_every_command_lists_the_hospitals_in_alphabetical_order(
    laennec: Laennec, private: Path, uci: Path, tmp_path: Path
) -> None:
    names = ["cleveland", "hungary", "long-beach", "switzerland"]
    for command in ("run", "compare"):
        shown = laennec(command, private, "--data", uci, "--out", tmp_path / command)
        result = json.loads((tmp_path / command / "result.json").read_text())
        assert [each["name"] for each in result["hospitals"]] == names
        assert all(list(arm["hospitals"]) == names for arm in result.get("arms", {}).values())
        assert re.findall("|".join(names), shown.out) == names
    model = tmp_path / "run" / "model.safetensors"
    evaluated = laennec("evaluate", model, "--task", "heart-disease", "--data", uci)
    assert re.findall("|".join(names), evaluated.out) == names


def test_evaluating_a_model_on_its_test_patients_gives_the_metrics_of_its_run(
    laennec: Laennec, short: Path, folder: Path, tmp_path: Path
) -> None:
    result = json.loads(laennec("run", short, "--data", folder, "--out", tmp_path / "out", "--json").out)
    model, task = tmp_path / "out" / "model.safetensors", ("--task", "heart-disease", "--data", folder)
    evaluated = json.loads(laennec("evaluate", model, *task, "--test-only", "--json").out)
    assert evaluated["hospitals"] == {each["name"]: each["metrics"] for each in result["hospitals"]}
    shown = laennec("evaluate", model, *task)
    assert (shown.code, "model.safetensors on all patients" in one_line(shown.out)) == (0, True)


def test_a_model_is_not_evaluated_on_another_task(
    laennec: Laennec, short: Path, folder: Path, tmp_path: Path
) -> None:
    laennec("run", short, "--data", folder, "--out", tmp_path / "out", "--json")
    model = tmp_path / "out" / "model.safetensors"
    finished = laennec("evaluate", model, "--task", "heart-disease-full", "--data", folder)
    assert finished.code == 2
    assert "a model for task heart-disease: give --task heart-disease" in finished.err


def test_the_number_of_hospitals_may_shrink_from_run_to_run(laennec: Laennec, tmp_path: Path) -> None:
    study = write(tmp_path / "private.toml", PRIVATE)
    for count in (5, 3):
        finished = laennec("run", study, "--hospitals", count, "--out", tmp_path / "out", "--json")
        assert len(json.loads(finished.out)["hospitals"]) == count
