"""Real patients of the task: dealt, read, refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from ground.errors import DataError
from tasks.hearts.patients import LEFT, NOT_LEFT, Heart
from tasks.infarct import reading, tables
from tasks.infarct.inputs import measured
from tasks.infarct.task import INFARCT, split, stratify

VALUE = "87654321"


def heart(group: str, slices: int = 4) -> Heart:
    rows, columns = np.mgrid[:128, :128]
    labels, phase, level = [], [], []
    for place in range(slices):
        for when, radius in enumerate((20, 14)):
            inside = np.hypot(rows - 64, columns - 64) < radius
            labels.append(np.where(inside, LEFT, NOT_LEFT))
            phase.append(when)
            level.append(place)
    stacked = torch.from_numpy(np.stack(labels).astype(np.uint8))
    return Heart(torch.zeros(len(labels), 128, 128), stacked, np.array(phase), np.array(level),
                 float("nan"), float("nan"), group)  # fmt: skip


def test_masks_become_shortening_and_a_diagnosis() -> None:
    patients = reading.from_hearts([heart("HF-I"), heart("HYP")])
    assert patients.targets[:, 0].tolist() == [1.0, 0.0]
    assert patients.targets[0, 1:].tolist() == [-1.0] * 17
    assert patients.targets[1, 1:].tolist() == [0.0] * 17
    known = measured(patients.views[0, 0].numpy())
    np.testing.assert_allclose(known["carried"][:16], 0.3, atol=0.03)
    assert np.isnan(known["radial"]).all()
    assert stratify(patients).tolist() == [0, 2]


def test_who_shows_too_little_or_has_no_diagnosis_is_set_aside() -> None:
    patients = reading.from_hearts([heart("N"), heart("N", slices=2), heart("")])
    assert len(patients) == 1
    assert dict(patients.set_aside) == {"fewer than three slices with both phases": 1, "diagnosis unknown": 1}
    with pytest.raises(DataError, match="somewhere: no patient with a known diagnosis"):
        reading.from_hearts([heart("")], where="somewhere")


def test_the_deal_gives_each_patient_of_sunnybrook_to_one_hospital(sunnybrook: Path) -> None:
    found = {name: reading.read(path) for name, path in INFARCT.hospitals(sunnybrook).items()}
    mixes = {name: tuple(np.bincount(each.strata, minlength=4)) for name, each in found.items()}
    assert mixes == {name: tuple(mix) for name, mix in reading.DEAL.items()}
    everybody = torch.cat([each.views[:, 0].flatten(1) for each in found.values()])
    assert len(np.unique(everybody.numpy(), axis=0)) == 45
    for each in found.values():
        training, test = split(each)
        assert each.targets[test, 0].max() == 1.0
        assert each.targets[test, 0].min() == 0.0
        assert len(training) > len(test)


def table(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_strains_are_read_from_a_table(tmp_path: Path) -> None:
    file = table(
        tmp_path / "a.csv", "infarct,radial_1,circumferential_17,infarct_1", "1,0.4,-0.2,1", "0,,-0.1,"
    )
    assert dict(INFARCT.hospitals(tmp_path)) == {"a": file}
    patients = reading.read(file)
    assert patients.targets[0, :3].tolist() == [1.0, 1.0, -1.0]
    assert patients.targets[1].tolist() == [0.0] * 18
    assert measured(patients.views[0, 0].numpy())["radial"][0] == pytest.approx(0.4)
    assert np.isnan(measured(patients.views[1, 0].numpy())["radial"][0])
    assert patients.strata.tolist() == [0, -1]
    assert stratify(patients).tolist() == [0, -1]


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (("infarct,radial_18", "1,0"), "column 2 of its header"),
        (("radial_1", "0"), "its header is wrong"),
        (("infarct", "1,2"), "line 2 has another number of columns"),
        (("infarct,radial_1", f"1,{VALUE}"), "line 2, column radial_1: give a number from -1 to 3"),
        (("infarct", "0.5"), "line 2: an infarct is 1 or 0"),
        (("infarct,stratum", f"1,{VALUE}"), "line 2, column stratum"),
        (("infarct",), "has no patient"),
    ],
)
def test_a_wrong_table_is_refused_by_place_and_without_its_value(
    tmp_path: Path, lines: tuple[str, ...], said: str
) -> None:
    file = table(tmp_path / "a.csv", *lines)
    with pytest.raises(DataError, match=said) as caught:
        tables.read(file)
    assert VALUE not in str(caught.value)


def test_a_file_of_other_examinations_is_refused(tmp_path: Path) -> None:
    patients = reading.from_hearts([heart("HF-I"), heart("N")])
    file = tmp_path / "a.npz"
    reading.write(file, patients)
    again = reading.read(file)
    torch.testing.assert_close(again.views, patients.views)
    np.savez(
        file, views=patients.views.numpy()[:, :, :3], targets=patients.targets.numpy(), strata=patients.strata
    )
    with pytest.raises(DataError, match="of another shape"):
        reading.read(file)
