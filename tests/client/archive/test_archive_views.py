"""NIfTI and tables in, and what tasks read out."""

from __future__ import annotations

import gzip
import shutil
import sys
from pathlib import Path

import nibabel
import numpy as np
import pytest
import torch

from client.archive import Archive, import_folder, sources, view_of
from client.deidentify.pseudonyms import FILE as KEY_FILE
from ground.errors import DataError, StateError
from ground.files import write_atomically
from tasks.hearts.reader import read_hospital
from tasks.registry import find

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tasks" / "hearts"))
from drawn_hearts import acdc, affine, labels, numbered, write

SEGMENTATION = "ventricle-segmentation"
NAME = "Jane-Doe"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


def stored_bytes(home: Path) -> bytes:
    files = [each for each in (home / "archive").rglob("*") if each.is_file()]
    raw = [each.read_bytes() for each in files]
    return b"\n".join([*raw, *(gzip.decompress(each) for each in raw if each[:2] == b"\x1f\x8b")])


def test_images_with_labels_train_from_the_archive_as_from_their_folder(tmp_path: Path, home: Path) -> None:
    for name in ("p1", "p2", "p3"):
        acdc(tmp_path / "in", name)
    report = import_folder(home, tmp_path / "in")
    assert (report.stored, report.patients, report.quarantined) == (12, 3, 0)
    task = find(SEGMENTATION)
    [source] = sources(home, task)
    found, expected = task.read(Path(source)), read_hospital(tmp_path / "in")
    assert len(found) == 3
    for one, other in zip(found.hearts, expected.hearts, strict=True):  # all three are alike
        assert torch.equal(one.labels, other.labels)
        assert torch.equal(one.images, other.images)
    assert sources(home, task) == (source,)
    assert [each.parent.name for each in Path(source).rglob("*_gt.nii.gz")].count("p1") == 0


def test_free_text_of_a_nifti_file_is_dropped_and_its_voxels_are_kept(tmp_path: Path, home: Path) -> None:
    values = (np.arange(60).reshape(5, 4, 3) - 30).astype(np.int16)
    image = nibabel.Nifti1Image(values, affine())
    image.header["descrip"], image.header["aux_file"] = NAME.encode(), NAME.encode()
    image.header["db_name"], image.header["intent_name"] = NAME.encode(), NAME.encode()
    image.header.extensions.append(nibabel.nifti1.Nifti1Extension("comment", NAME.encode()))
    image.header.set_slope_inter(2.0, 1.0)
    (tmp_path / "in" / NAME).mkdir(parents=True)
    image.to_filename(tmp_path / "in" / NAME / f"{NAME}.nii.gz")
    before = nibabel.load(tmp_path / "in" / NAME / f"{NAME}.nii.gz")
    import_folder(home, tmp_path / "in")
    assert NAME.encode() not in stored_bytes(home)
    assert not [each for each in (home / "archive").rglob("*") if NAME in each.name]
    with Archive(home) as archive:
        [patient] = archive.patients()
        [one] = archive.images(patient)
        volume = archive.volume(patient, one.name)
    assert np.allclose(volume.affine, before.affine)
    assert np.array_equal(volume.values[..., 0], np.asarray(before.dataobj, dtype=np.float32))


@pytest.mark.parametrize(
    ("files", "patients"),
    [
        (["a.nii.gz", "a_gt.nii.gz", "b.nii.gz", "b_gt.nii.gz"], 2),
        (["a/a_frame01.nii.gz", "a/a_frame12.nii.gz", "b/b_sa.nii.gz"], 2),
        (["north/a.nii.gz", "north/a_gt.nii.gz", "north/b.nii.gz", "north/b_gt.nii.gz"], 2),
        (["p/cine.nii.gz", "p/labels.nii.gz", "q/cine.nii.gz"], 2),
        (["sub-1/anat/t1.nii.gz", "sub-1/func/bold.nii.gz", "sub-2/anat/t1.nii.gz"], 2),
        (["p/first.nii.gz", "p/second.nii.gz"], 1),  # in doubt one patient
    ],
)
def test_whose_a_nifti_file_is_follows_from_its_place(
    tmp_path: Path, home: Path, files: list[str], patients: int
) -> None:
    for file in files:
        write(tmp_path / "in" / file, np.zeros((2, 4, 4), np.uint8))
    assert import_folder(home, tmp_path / "in").patients == patients


def test_centres_that_number_labels_otherwise_are_read_side_by_side(tmp_path: Path, home: Path) -> None:
    acdc(tmp_path / "one", "a")
    acdc(tmp_path / "two", "b", {"lv": 1, "myocardium": 2, "rv": 3})
    (tmp_path / "two" / "labels.toml").write_text("[labels]\nlv = 1\nmyocardium = 2\nrv = 3\n")
    for folder in ("one", "two"):
        import_folder(home, tmp_path / folder)
    task = find(SEGMENTATION)
    first, second = (task.read(Path(each)).hearts[0] for each in sources(home, task))
    assert torch.equal(first.labels, second.labels)


def test_a_patient_whom_the_task_cannot_read_is_left_out_with_the_reason(tmp_path: Path, home: Path) -> None:
    acdc(tmp_path / "in", "good")
    acdc(tmp_path / "in", "grid")
    drawn = numbered(labels((20, 16, 8)), {"rv": 1, "myocardium": 2, "lv": 3})
    write(tmp_path / "in" / "grid" / "grid_frame01_gt.nii.gz", drawn, affine(2.0))
    acdc(tmp_path / "in", "number")
    drawn[0, 0, 0] = 9
    write(tmp_path / "in" / "number" / "number_frame01_gt.nii.gz", drawn)
    write(tmp_path / "in" / "bare" / "bare.nii.gz", np.zeros((2, 4, 4), np.float32))
    import_folder(home, tmp_path / "in")
    view = view_of(home, find(SEGMENTATION))
    assert view.patients == 1
    assert sorted(view.left_out.values()) == [
        "holds a number that is no structure's",
        "labels do not lie on their image's grid",
        "no labels",
    ]


def test_a_patient_in_quarantine_is_in_no_view(tmp_path: Path, home: Path) -> None:
    for name in ("p1", "p2"):
        acdc(tmp_path / "in", name)
    file = tmp_path / "in" / "p2" / "p2_frame12.nii.gz"
    file.write_bytes(file.read_bytes()[:-300])
    assert import_folder(home, tmp_path / "in").quarantined == 1
    task = find(SEGMENTATION)
    assert len(task.read(Path(sources(home, task)[0]))) == 1


def test_what_laennec_patients_writes_as_dicom_trains_from_the_archive(tmp_path: Path, home: Path) -> None:
    from simulation.heart.export.cohort import Wanted, patient_files
    from simulation.heart.patient import simulate
    from simulation.heart.picture import Protocol
    from simulation.heart.strata import recipes

    protocol = Protocol(slices=4, phases=3, size=64, spacing=2.8)
    made = simulate(recipes("group=normal", 1, 3)[0], protocol)
    for name, content in patient_files(made, Wanted(protocol, True)):
        file = tmp_path / "in" / "patient-0001" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        if name == "labels.nii.gz":
            break
    report = import_folder(home, tmp_path / "in")
    assert (report.patients, report.quarantined) == (1, 0)
    task = find(SEGMENTATION)
    [source] = sources(home, task)
    [found], [expected] = task.read(Path(source)).hearts, read_hospital(tmp_path / "in").hearts
    assert torch.equal(found.labels, expected.labels)
    assert (found.images - expected.images).abs().max() < 0.02


COLUMNS = "age,sex,cp,trestbps,chol,fbs,restecg,thalach,exang,oldpeak,slope,ca,thal,num"


def table(path: Path, rows: int = 20, header: str = COLUMNS, lead: str = "") -> None:
    lines = [header]
    for number in range(rows):
        cells = f"{40 + number},1,4,130,220,0,0,150,0,1,2,0,3,{number % 2}"
        lines.append(f"{lead.format(number)}{cells}")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")


def test_a_table_is_kept_without_what_identifies(tmp_path: Path, home: Path) -> None:
    table(
        tmp_path / "in" / "t.csv",
        header=f"patient_id,Name,Birth Date,phone,remark,ward,{COLUMNS}",
        lead="4711-{0},Doe^Jane,1950-01-01,0123{0},fell at home,cardiology,",
    )
    report = import_folder(home, tmp_path / "in")
    assert report.rows == 20
    assert report.patients == 20
    raw = stored_bytes(home)
    for planted in (b"4711-", b"Doe", b"1950", b"0123", b"fell", b"cardiology"):
        assert planted not in raw
    task = find("heart-disease-full")
    assert len(task.read(Path(sources(home, task)[0]))) == 20


def test_rows_are_known_again_corrected_and_counted_once(tmp_path: Path, home: Path) -> None:
    file = tmp_path / "in" / "t.csv"
    table(file, header=f"id,{COLUMNS}", lead="n{0},")
    import_folder(home, tmp_path / "in")
    file.write_text(file.read_text().replace("n3,43,", "n3,44,"))
    again = import_folder(home, tmp_path / "in")
    assert (again.rows, again.known, again.patients) == (1, 19, 20)
    file.write_text(file.read_text() + "n3,50,1,4,130,220,0,0,150,0,1,2,0,3,1\n")
    twice = import_folder(home, tmp_path / "in")
    assert twice.quarantined == 1
    with Archive(home) as archive:
        assert archive.quarantine()[0].reasons[0].text == "two rows of one table are of the same patient"


def test_equal_rows_without_a_number_stay_two_patients_and_the_order_is_kept(
    tmp_path: Path, home: Path, uci: Path
) -> None:
    shutil.copytree(uci, tmp_path / "in", ignore=shutil.ignore_patterns("raw76"))
    task = find("heart-disease")
    for _ in range(2):
        report = import_folder(home, tmp_path / "in", task)
    assert report.patients == 920
    assert len(task.read(Path(sources(home, task)[0]))) == 740


def test_cells_that_the_task_does_not_admit_leave_one_patient_out(tmp_path: Path, home: Path) -> None:
    file = tmp_path / "in" / "t.csv"
    table(file, header=f"id,{COLUMNS}", lead="n{0},")
    file.write_text(file.read_text().replace("n3,43,", "n3,430,"))
    import_folder(home, tmp_path / "in")
    view = view_of(home, find("heart-disease"))
    assert view.patients == 19
    [why] = view.left_out.values()
    assert why == "column age: outside 0 to 120 years"


def test_a_lost_key_is_not_made_anew_beside_patients_whom_it_named(tmp_path: Path, home: Path) -> None:
    table(tmp_path / "in" / "t.csv", header=f"id,{COLUMNS}", lead="n{0},")
    import_folder(home, tmp_path / "in")
    key = home / KEY_FILE
    kept = key.read_bytes()
    key.unlink()
    with pytest.raises(StateError, match="second pseudonym"):
        import_folder(home, tmp_path / "in")
    assert not key.exists()
    write_atomically(key, kept)
    assert import_folder(home, tmp_path / "in").patients == 20


def test_a_home_without_a_fitting_patient_says_so(tmp_path: Path, home: Path) -> None:
    table(tmp_path / "in" / "t.csv", header=f"id,{COLUMNS}", lead="n{0},")
    import_folder(home, tmp_path / "in")
    with pytest.raises(DataError, match="no patient in the archive fits ventricle-segmentation"):
        sources(home, find(SEGMENTATION))


def test_labels_that_were_corrected_take_the_place_of_the_old_ones(tmp_path: Path, home: Path) -> None:
    acdc(tmp_path / "in", "a")
    import_folder(home, tmp_path / "in")
    task = find(SEGMENTATION)
    before = task.read(Path(sources(home, task)[0])).hearts[0]
    drawn = numbered(labels((21, 17, 9)), {"rv": 1, "myocardium": 2, "lv": 3})
    write(tmp_path / "in" / "a" / "a_frame01_gt.nii.gz", drawn)
    assert import_folder(home, tmp_path / "in").stored == 1
    with Archive(home) as archive:
        assert archive.status().files == 4
        assert archive.check(thorough=True) == 4
    after = task.read(Path(sources(home, task)[0])).hearts[0]
    assert (after.labels == 1).sum() > (before.labels == 1).sum()
    assert len(list((home / "archive" / "patients").rglob("*.nii.gz"))) == 4
