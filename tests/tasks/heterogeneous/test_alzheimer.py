"""Four hospitals of the published table, and the study that stands beside it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from deploy.federation import Machine, federate, hospitals_in
from ground.errors import DataError, StudyError
from tasks.channels.patients import ChannelPatients
from tasks.heterogeneous import alzheimer
from tasks.heterogeneous.model import MultiChannel
from tasks.heterogeneous.options import parse
from tasks.heterogeneous.pictures import overview
from tasks.learners.model import model_from
from tasks.registry import find
from tasks.study import Study, load

EXAMPLE = Path(__file__).parents[3] / "examples" / "alzheimer.toml"


@pytest.fixture(scope="module")
def folder(data: Path) -> Path:
    found = data / "modeldata-alzheimer"
    if not (found / alzheimer.FILE).is_file():
        pytest.skip(f"no real data: {found} is absent; set LAENNEC_DATA to the folder that holds it")
    return found


@pytest.fixture(scope="module")
def short() -> Study:
    study = load(EXAMPLE)
    training = study.training.model_copy(update={"local_steps": 1})
    return study.model_copy(update={"rounds": 2, "training": training})


def test_no_two_hospitals_have_the_same_channels(folder: Path, short: Study) -> None:
    task = find(short.task, short.task_version, short.options)
    has = {}
    for name, path in task.hospitals(folder).items():
        patients = task.read(path)
        assert isinstance(patients, ChannelPatients)
        assert not patients.set_aside
        joint = parse(short.options).agreed()
        has[name] = tuple(
            channel for channel in joint.names if patients.inputs[:, joint.columns(channel)].isfinite().any()
        )
    assert len(set(has.values())) == len(has) == 4
    for name, lacks in alzheimer.LACKS.items():
        assert set(has[name]) == {"csf", "genotype", "person", "proteins"} - {lacks}


def test_nobody_is_dealt_twice_and_held_out_people_stay_so(folder: Path) -> None:
    deals = [alzheimer.divide(folder / alzheimer.FILE, seed) for seed in (0, 1)]
    for deal in deals:
        lines = [line for each in deal.hospitals.values() for line in each] + list(deal.reference)
        assert sorted(lines) == list(range(333))
    assert deals[0].held_out == deals[1].held_out
    assert deals[0].reference == deals[1].reference
    assert len(deals[0].held_out) == alzheimer.HELD_OUT
    assert deals[0].hospitals != deals[1].hospitals


def test_the_reference_sample_is_of_controls_alone_and_in_no_hospital(folder: Path) -> None:
    table, deal = alzheimer.cells(folder / alzheimer.FILE), alzheimer.divide(folder / alzheimer.FILE)
    assert {table["Class"][line] for line in deal.reference} == {"Control"}
    assert not deal.held_out & set(deal.reference)


def test_hospitals_written_as_folders_are_the_same_patients(
    folder: Path, short: Study, tmp_path: Path
) -> None:
    task = find(short.task, short.task_version, short.options)
    written = alzheimer.write(folder / alzheimer.FILE, tmp_path)
    for name, path in task.hospitals(folder).items():
        one, other = task.read(path), task.read(written[name])
        assert isinstance(one, ChannelPatients)
        assert isinstance(other, ChannelPatients)
        torch.testing.assert_close(one.inputs, other.inputs, equal_nan=True)
        torch.testing.assert_close(one.targets, other.targets)
        training, test = task.split(one)
        assert len(training) in (50, 51)
        assert len(test) == 25


def test_the_examples_scales_are_those_of_the_reference_sample(folder: Path) -> None:
    said = load(EXAMPLE)
    study = said.model_copy(update={"options": ""})
    again = Study.model_validate(
        study.model_dump(by_alias=True)
        | {
            "options": {
                "dimensions": 8,
                "target": "impaired",
                "target-weight": 60.0,
                "shrinkage": 2.0,
                "channels": alzheimer.study_options(folder / alzheimer.FILE),
            }
        }
    )
    assert again.options == said.options
    assert again.digest == said.digest


def test_the_federation_learns_from_missing_channels_the_same_way_twice(folder: Path, short: Study) -> None:
    free = short.without_privacy()
    nodes = hospitals_in(free.task, folder, None, secret_noise=False)
    one, other = (federate(free, nodes, Machine()).progress for _ in range(2))
    np.testing.assert_array_equal(one.state.model, other.state.model)
    assert set(one.history[-1].metrics) == set(alzheimer.LACKS)
    task = find(free.task, free.task_version, free.options)
    model = model_from(task, one.state.model).eval()
    assert isinstance(model, MultiChannel)
    hospitals = {node.name: task.read(Path(node.sources[0])) for node in nodes}
    with torch.no_grad():
        shown = overview(model, hospitals)
    assert [each.png[:4] for each in shown] == [b"\x89PNG"] * 3


@pytest.mark.slow
def test_a_masked_sum_says_how_many_trained_each_block(folder: Path, short: Study) -> None:
    """Weights per block inside the sum: with little noise the coordinator can count who has each channel."""
    privacy = {"epsilon": 30.0, "delta": 1e-3, "secure-aggregation": True, "learning-rate": 0.01}
    study = Study.model_validate({**short.model_dump(by_alias=True), "rounds": 1, "privacy": privacy})
    nodes = hospitals_in(study.task, folder, None, secret_noise=False)
    state = federate(study, nodes, Machine()).progress.state
    rounds, *counted = state.slots["blocks"]
    assert rounds == 1
    expected = {"latent": 201, "read-out": 201, "csf": 151, "genotype": 151, "person": 201, "proteins": 150}
    assert np.abs(np.asarray(counted) - list(expected.values())).max() < 30
    assert np.isfinite(state.model).all()


def test_a_damaged_table_and_an_unknown_hospital_are_refused(folder: Path, tmp_path: Path) -> None:
    joint = parse(load(EXAMPLE).options).agreed()
    (tmp_path / alzheimer.FILE).write_bytes(b"not gzip")
    with pytest.raises(DataError, match="cannot be read"):
        alzheimer.read(Path(f"{tmp_path / alzheimer.FILE}#lille"), joint)
    with pytest.raises(DataError, match="has the hospitals"):
        alzheimer.read(Path(f"{folder / alzheimer.FILE}#paris"), joint)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("{}", "missing key channels"),
        ('{"channels":{"csf":{"tau":{"kind":"gausian"}}}}', "csf.tau.kind"),
        ('{"channels":{"csf":{"tau":{}}},"dimension":3}', "did you mean dimensions"),
        ('{"channels":{"csf":{"tau":{"kind":"categorical"}}}}', "levels are of kind"),
        ('{"channels":{"csf":{"tau":{"kind":"bernoulli","log":true}}}}', "log, centre and scale"),
    ],
)
def test_wrong_options_are_refused_in_one_line(options: str, said: str) -> None:
    with pytest.raises(StudyError) as caught:
        find("heterogeneous", 1, options)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_task_without_options_refuses_them() -> None:
    with pytest.raises(StudyError, match="has no options"):
        find("heart-disease", 1, '{"x":1}')
