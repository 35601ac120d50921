from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from drawn_hearts import ACDC, acdc, affine, heart, image, labels, numbered, write

from ground.errors import DataError
from simulation.heart.export.cohort import Wanted, patient_files
from simulation.heart.patient import simulate
from simulation.heart.picture import Protocol
from simulation.heart.strata import recipes
from tasks.hearts.reader import hospitals, read_hospital
from tasks.hearts.volumes import nifti

MMS = {"lv": 1, "myocardium": 2, "rv": 3}
NAME = "Somebody"


def test_a_folder_like_acdc_s_is_one_hospital_of_patients_with_two_phases(tmp_path: Path) -> None:
    for name in ("patient001", "patient002"):
        acdc(tmp_path, name)
    write(tmp_path / "patient001" / "patient001_4d.nii.gz", np.zeros((3, 5, 128, 128), np.float32))
    assert hospitals(tmp_path) == {tmp_path.name: tmp_path}
    one, _ = read_hospital(tmp_path).hearts
    expected = heart()
    assert torch.equal(one.labels, expected.labels)
    assert (one.images - expected.images).abs().max() < 0.02
    assert one.phase.tolist() == expected.phase.tolist()
    assert one.level.tolist() == expected.level.tolist()
    assert (one.spacing, one.gap) == (1.4, 8.0)


def test_a_folder_of_folders_of_patients_is_several_hospitals(tmp_path: Path) -> None:
    for hospital in ("north", "south"):
        for name in ("a", "b"):
            acdc(tmp_path / hospital, name)
    assert list(hospitals(tmp_path)) == ["north", "south"]
    assert len(read_hospital(tmp_path / "north")) == 2
    with pytest.raises(DataError, match="no hospital in it"):
        hospitals(_empty(tmp_path))


def _empty(folder: Path) -> Path:
    (folder / "empty").mkdir()
    return folder / "empty"


def test_labels_by_another_convention_need_a_map_and_a_hospital_s_own_goes_first(tmp_path: Path) -> None:
    acdc(tmp_path, "a", MMS)
    with pytest.raises(DataError, match="not inside the myocardium"):
        read_hospital(tmp_path)
    [mapped] = read_hospital(tmp_path, MMS).hearts
    assert torch.equal(mapped.labels, heart().labels)
    (tmp_path / "labels.toml").write_text("[labels]\nlv = 1\nmyocardium = 2\nrv = 3\n")
    [own] = read_hospital(tmp_path, ACDC).hearts
    assert torch.equal(own.labels, heart().labels)


def test_where_only_the_cavity_is_named_the_rest_is_unknown(tmp_path: Path) -> None:
    acdc(tmp_path, "a")
    [one] = read_hospital(tmp_path, {"lv": 3}).hearts
    assert set(np.unique(one.labels)) == {1, 4}
    assert torch.equal(one.labels == 1, heart().labels == 1)


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ("[labels]\nlv = 1\nlung = 2\n", "no structure 'lung'"),
        ("[labels]\nlv = 1\nrv = 1\n", "the same number"),
        ("[labels]\nrv = 1\n", "lv is missing"),
        ("[labels]\nlv = 0\n", "from 1 to 255"),
        ("[labels]\nlv = true\n", "from 1 to 255"),
        ("lv = 1\n", "something else"),
        ("[labels\n", "not TOML"),
    ],
)
def test_a_map_that_cannot_be_followed_is_refused(tmp_path: Path, said: str, why: str) -> None:
    acdc(tmp_path, "a")
    (tmp_path / "labels.toml").write_text(said)
    with pytest.raises(DataError, match=why):
        read_hospital(tmp_path)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_files_that_somebody_mirrored_hang_as_the_others(tmp_path: Path, axis: int) -> None:
    """Converters store rows or slices backwards, and say so in the header."""
    write(tmp_path / "plain.nii.gz", image(labels((20, 16, 8))))
    plain = nifti(tmp_path / "plain.nii.gz", "here")
    flipped, place = np.flip(image(labels((20, 16, 8))), 2 - axis), affine()
    place[:3, axis] *= -1
    write(tmp_path / "flipped.nii.gz", flipped, place)
    assert np.array_equal(nifti(tmp_path / "flipped.nii.gz", "here").values, plain.values)
    turned = affine()[:, [1, 0, 2, 3]]
    write(tmp_path / "turned.nii.gz", image(labels((20, 16, 8))).swapaxes(1, 2), turned)
    assert np.array_equal(nifti(tmp_path / "turned.nii.gz", "here").values, plain.values)


def test_a_stack_that_begins_at_the_apex_is_counted_from_the_base(tmp_path: Path) -> None:
    for name, radii in (("ED", (8, 16, 20)), ("ES", (4, 10, 14))):
        write(tmp_path / f"a_{name}.nii.gz", image(labels(radii)))
        write(tmp_path / f"a_{name}_gt.nii.gz", numbered(labels(radii), ACDC))
    [one] = read_hospital(tmp_path).hearts
    areas = [int((each == 1).sum()) for each in one.labels[one.phase == 0]]
    assert areas == sorted(areas, reverse=True)
    assert one.level[one.phase == 0].tolist() == [0, 1, 2]


def test_a_cine_labelled_at_two_phases_gives_these_at_1_4_mm(tmp_path: Path) -> None:
    radii = {1: (30, 20, 10), 3: (20, 12, 5)}
    drawn = np.zeros((3, 5, 200, 200), np.uint8)
    for phase, each in radii.items():
        drawn[:, phase] = labels(each, 200)
    write(tmp_path / "x_sa.nii.gz", image(drawn), affine(1.0))
    write(tmp_path / "x_sa_gt.nii.gz", numbered(drawn, ACDC), affine(1.0))
    [one] = read_hospital(tmp_path).hearts
    assert one.images.shape == (6, 128, 128)
    for phase, each in enumerate(radii.values()):
        area = (one.labels[one.phase == phase] == 1).sum((1, 2)).numpy() * 1.4**2
        assert np.allclose(area, np.pi * np.array(each) ** 2, rtol=0.1)


def test_a_patient_whose_cavity_is_not_labelled_is_set_aside(tmp_path: Path) -> None:
    acdc(tmp_path, "a")
    acdc(tmp_path, "b")
    for file in (tmp_path / "b").glob("*_gt.nii.gz"):
        write(file, np.zeros((3, 128, 128), np.uint8))
    patients = read_hospital(tmp_path)
    assert len(patients) == 1
    assert sum(patients.set_aside.values()) == 1


@pytest.mark.parametrize("spoilt", ["numbers", "size", "place", "bytes", "values"])
def test_files_that_do_not_fit_are_refused_without_a_name(tmp_path: Path, spoilt: str) -> None:
    acdc(tmp_path, NAME)
    file = tmp_path / NAME / f"{NAME}_frame01_gt.nii.gz"
    drawn = numbered(labels((20, 16, 8)), ACDC)
    if spoilt == "numbers":
        drawn[0, 0, 0] = 7
        write(file, drawn)
    if spoilt == "size":
        write(file, drawn[:, :100])
    if spoilt == "place":
        write(file, drawn, affine(2.0))
    if spoilt == "bytes":
        file.write_bytes(b"no image")
    if spoilt == "values":
        write(tmp_path / NAME / f"{NAME}_frame01.nii.gz", np.full((3, 128, 128), np.nan, np.float32))
    with pytest.raises(DataError) as refused:
        read_hospital(tmp_path)
    assert "patient 1 in order of names" in str(refused.value)
    assert NAME not in str(refused.value)
    assert "\n" not in str(refused.value)


def test_what_laennec_patients_writes_is_read_alike_as_nifti_and_as_dicom(tmp_path: Path) -> None:
    protocol = Protocol(slices=5, phases=3, size=64, spacing=2.8)
    made = simulate(recipes("group=normal", 1, 3)[0], protocol)
    found = []
    for as_dicom in (False, True):
        folder = tmp_path / str(as_dicom)
        for name, content in patient_files(made, Wanted(protocol, as_dicom)):
            file = folder / "patient-0001" / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
            if name == "labels.nii.gz":  # what follows is not read
                break
        assert hospitals(folder) == {folder.name: folder}
        [one] = read_hospital(folder).hearts
        found.append(one)
    as_nifti, as_dicom_ = found
    assert torch.equal(as_nifti.labels, as_dicom_.labels)
    assert (as_nifti.images - as_dicom_.images).abs().max() < 0.02
    assert as_nifti.level.tolist() == as_dicom_.level.tolist()
    assert as_nifti.is_whole
    # As radiologists hang it: the right cavity on the left.
    middle = as_nifti.labels[len(as_nifti) // 2]
    left, right = ((middle == label).nonzero()[:, 1].float().mean() for label in (1, 3))
    assert right < left
    file = tmp_path / "True" / "patient-0001" / "dicom" / "slice-01-phase-01.dcm"
    file.unlink()
    with pytest.raises(DataError, match="different numbers of phases"):
        read_hospital(tmp_path / "True")
