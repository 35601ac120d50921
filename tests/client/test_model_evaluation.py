from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import clinic
import numpy as np
import pictured
import pytest
from safetensors.numpy import save_file

from client.evaluation import (
    evaluated,
    load_model,
    metrics_by_hospital,
    parse_labels,
    patient_by_patient,
)
from client.hospital import Settings, cohort
from ground.errors import DataError, UsageError
from tasks.learners.model import evaluate, initial_vector, vector_of
from tasks.registry import find

TASK, OTHER = clinic.TASK, find("heart-disease-full")
SHAPES = {name: tuple(p.shape) for name, p in TASK.model().named_parameters()}
SIZE = vector_of(TASK.model()).size


def tensors(**changes: tuple[int, ...]) -> dict[str, np.ndarray]:
    random = np.random.default_rng(1)
    return {
        name: random.normal(size=shape).astype(np.float32) for name, shape in {**SHAPES, **changes}.items()
    }


def written(folder: Path, values: Mapping[str, np.ndarray], metadata: dict[str, str] | None = None) -> Path:
    save_file(dict(values), folder / "model.safetensors", metadata=metadata)
    return folder / "model.safetensors"


def refusal(path: Path) -> str:
    with pytest.raises(DataError) as caught:
        load_model(path, TASK)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("metadata", [None, {}, {"laennec": '{"task": "heart-disease"}'}])
def test_a_model_is_loaded_in_the_order_of_its_parameters(tmp_path: Path, metadata) -> None:
    values = tensors()
    model = load_model(written(tmp_path, dict(reversed(values.items())), metadata), TASK)
    np.testing.assert_array_equal(model, np.concatenate([values[name].ravel() for name in SHAPES]))
    assert model.dtype == np.float32


def test_a_model_in_double_precision_is_brought_to_single(tmp_path: Path) -> None:
    values = {name: value.astype(np.float64) for name, value in tensors().items()}
    assert load_model(written(tmp_path, values), TASK).dtype == np.float32


def test_a_file_that_is_no_model_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("hello")
    (tmp_path / "empty").touch()
    for path in (tmp_path / "text", tmp_path / "empty", tmp_path / "absent", tmp_path):
        assert "no model can be read there: give a model.safetensors" in refusal(path)


@pytest.mark.parametrize("origin", ["", "{", "[]", "null"])
def test_a_model_of_unreadable_origin_is_refused(tmp_path: Path, origin: str) -> None:
    assert "no model can be read there" in refusal(written(tmp_path, tensors(), {"laennec": origin}))


def test_a_model_of_another_task_is_refused_with_the_way_out(tmp_path: Path) -> None:
    said = refusal(written(tmp_path, tensors(), {"laennec": json.dumps({"task": OTHER.name})}))
    assert f"a model for task {OTHER.name}: give --task {OTHER.name}" in said


@pytest.mark.parametrize("wrong", ["shape", "missing", "more", "other names"])
def test_parameters_of_another_model_are_refused(tmp_path: Path, wrong: str) -> None:
    first = next(iter(SHAPES))
    values = {
        "shape": tensors(**{first: (1, SIZE)}),
        "missing": {name: value for name, value in tensors().items() if name != first},
        "more": tensors(extra=(2,)),
        "other names": {f"net.{name}": value for name, value in tensors().items()},
    }[wrong]
    assert "its parameters are not those of task heart-disease: check --task" in refusal(
        written(tmp_path, values)
    )


def test_metrics_are_those_of_each_hospital_s_own_patients(tmp_path: Path) -> None:
    hospitals = [
        Settings(name, (str(clinic.export(tmp_path, name, name)),)) for name in ("cleveland", "hungary")
    ]
    model = np.random.default_rng(2).normal(size=SIZE).astype(np.float32)
    on_test = metrics_by_hospital(TASK, model, hospitals)
    on_all = metrics_by_hospital(TASK, model, hospitals, everybody=True)
    assert list(on_test) == list(on_all) == ["cleveland", "hungary"]
    for hospital in hospitals:
        found = cohort(TASK.name, hospital.sources)
        assert on_test[hospital.name] == evaluate(TASK, model, found.test)
        everybody = TASK.read(Path(hospital.sources[0]))
        assert len(everybody) == len(found.training) + len(found.test)
        assert on_all[hospital.name] == evaluate(TASK, model, everybody)
    assert on_test != on_all


def test_a_model_of_another_size_is_refused_when_it_is_loaded(tmp_path: Path) -> None:
    other = {name: p.detach().numpy() for name, p in OTHER.model().named_parameters()}
    assert initial_vector(OTHER, 1).size != SIZE
    assert "its parameters are not those" in refusal(written(tmp_path, other))


def test_metrics_of_single_patients_come_without_a_name_and_their_mean_is_the_hospital_s(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pictured.install(monkeypatch)
    node = Settings("hungary", (str(clinic.export(tmp_path, "hungary", "hungary")),))
    model = np.random.default_rng(2).normal(size=SIZE).astype(np.float32)
    found = evaluated(pictured.TASK, model, [node])["hungary"]
    rows = patient_by_patient(found)
    assert len(rows) == len(cohort(pictured.NAME, node.sources).test)
    assert [rows[0]["certainty"], list(rows[0])] == [None, ["accuracy", "certainty"]]
    for name in ("accuracy", "certainty"):
        known = [each[name] for each in rows if each[name] is not None]
        assert found.metrics[name] == pytest.approx(np.mean(known))
    assert metrics_by_hospital(pictured.TASK, model, [node]) == {"hungary": found.metrics}
    assert patient_by_patient(evaluated(TASK, model, [node])["hungary"]) == []


def test_labels_are_given_by_name_or_in_a_file(tmp_path: Path) -> None:
    expected = (("lv", 3), ("myocardium", 2))
    assert parse_labels("myocardium=2, lv=3") == expected
    for text in ("lv = 3\nmyocardium = 2\n", "[labels]\nmyocardium = 2\nlv = 3\n"):
        (tmp_path / "labels.toml").write_text(text)
        assert parse_labels(str(tmp_path / "labels.toml")) == expected


@pytest.mark.parametrize("text", ["lv", "lv=", "lv=three", "=,", "lv=1.5"])
def test_labels_that_are_none_are_wrong_use(tmp_path: Path, text: str) -> None:
    with pytest.raises(UsageError, match="as in lv=3,rv=1"):
        parse_labels(text)
    (tmp_path / "labels.toml").write_text('lv = "three"')
    with pytest.raises(UsageError, match="as in lv=3,rv=1"):
        parse_labels(str(tmp_path / "labels.toml"))


def test_a_single_patient_is_enough_for_a_model_that_is_only_tested(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nobody, her = np.arange(0), np.arange(1)
    one = replace(
        pictured.TASK,
        read=lambda path: TASK.read(path).subset(np.array([7])),
        split=lambda patients: (nobody, her),  # noqa: ARG005
    )
    pictured.install(monkeypatch, one)
    node = Settings("hungary", (str(clinic.export(tmp_path, "hungary", "hungary")),))
    model = np.random.default_rng(2).normal(size=SIZE).astype(np.float32)
    found = patient_by_patient(evaluated(one, model, [node], everybody=True)["hungary"])
    assert [each["certainty"] for each in found] == [None]
    with pytest.raises(UsageError, match="no patient to learn from"):
        evaluated(one, model, [node])
