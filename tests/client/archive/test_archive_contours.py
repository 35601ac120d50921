"""Contours in text files become labels of the images that they were drawn on."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from drawn_dicom import image, save
from pydicom import dcmread

from client.archive import Archive, import_folder, view_of
from client.archive.contours import NO_IMAGE, OTHER, UNREADABLE
from client.deidentify import Pseudonyms
from tasks.hearts.patients import hearts_of
from tasks.registry import find

SQUARE = ((2.5, 3.5), (6.5, 3.5), (6.5, 8.5), (2.5, 8.5))  # columns 3 to 6, rows 4 to 8
LINK = "patient_id,original_id\na,SECRET-NAME\n"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


def contour(folder: Path, number: int, points: tuple[tuple[float, float], ...], part: str = "i") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"IM-0001-{number:04d}-{part}contour-manual.txt"
    file.write_text("".join(f"{x} {y}\n" for x, y in points))
    return file


def drawn(folder: Path) -> Path:
    """Two slices at three phases, numbered as scanners do, and where contours of them belong."""
    for slice_ in range(2):
        for phase in range(3):
            save(folder / "dicoms" / "a", image("a", slice_, phase), f"{slice_ * 20 + phase + 1}.dcm")
    (folder / "link.csv").write_text(LINK)
    return folder / "contours" / "SECRET-NAME" / "drawn"


def labels(home: Path) -> np.ndarray:
    with Archive(home) as archive:
        [patient] = archive.patients()
        [label] = [each for each in archive.images(patient) if each.is_label]
        assert label.convention == (("lv", 3),)
        return archive.volume(patient, label.name).values / 3


def test_a_contour_labels_the_pixels_inside_of_its_own_image(tmp_path: Path, home: Path) -> None:
    folder = drawn(tmp_path / "in")
    contour(folder, 23, SQUARE)
    contour(folder, 23, SQUARE, "o")
    contour(folder, 77, SQUARE)
    report = import_folder(home, tmp_path / "in", workers=0)
    assert (report.stored, report.skipped[OTHER], report.skipped[NO_IMAGE]) == (7, 1, 1)
    assert "1 contour of the left cavity became labels of 1 patient" in report.notes
    expected = np.zeros((16, 12, 2, 3))
    expected[3:7, 4:9, 1, 2] = 1
    assert np.array_equal(labels(home), expected)
    again = import_folder(home, tmp_path / "in", workers=0)
    assert (again.stored, again.known) == (0, 7)


def test_another_contour_takes_the_place_of_the_one_before_and_nothing_of_its_names_is_kept(
    tmp_path: Path, home: Path
) -> None:
    folder = drawn(tmp_path / "in")
    contour(folder, 1, SQUARE)
    import_folder(home, tmp_path / "in", workers=0)
    contour(folder, 1, tuple((x + 1, y) for x, y in SQUARE))
    contour(folder, 22, SQUARE)
    import_folder(home, tmp_path / "in", workers=0)
    found = labels(home)
    assert found.sum() == 40
    assert found[4:8, 4:9, 0, 0].all()
    assert found[3:7, 4:9, 1, 1].all()
    stored = b"".join(each.read_bytes() for each in (home / "archive").rglob("*") if each.is_file())
    assert b"SECRET" not in stored
    assert b"contour-manual" not in stored


@pytest.mark.parametrize("text", ["", "1 2\n", "one two\n1 1\n2 2", "1 1\n2 2\n300 3\n", "1 1\n2 2\nnan 3\n"])
def test_a_contour_that_cannot_be_true_sets_its_patient_aside_until_it_is_mended(
    tmp_path: Path, home: Path, text: str
) -> None:
    file = contour(drawn(tmp_path / "in"), 1, SQUARE)
    file.write_text(text)
    assert import_folder(home, tmp_path / "in", workers=0).newly == {UNREADABLE: 1}
    contour(file.parent, 1, SQUARE)
    assert import_folder(home, tmp_path / "in", workers=0).quarantined == 0
    assert labels(home).sum() == 20


def test_two_images_of_one_number_are_not_guessed_between(tmp_path: Path, home: Path) -> None:
    contour(drawn(tmp_path / "in"), 1, SQUARE)
    save(tmp_path / "in" / "dicoms" / "a" / "more", image("a", 3, 0), "IM-0002-0001.dcm")
    assert import_folder(home, tmp_path / "in", workers=0).skipped[NO_IMAGE] == 1


def test_the_cavity_of_real_hearts_is_read_from_the_archive_where_experts_drew_it(
    data: Path, tmp_path: Path, home: Path
) -> None:
    source = data / "sunnybrook-dicom"
    if not source.is_dir():
        pytest.skip(f"no real data: {source} is absent; set LAENNEC_DATA to the folder that holds it")
    original, name = "SC-HF-I-5", "SCD0000401"
    shutil.copytree(source / "dicoms" / name, tmp_path / "in" / "dicoms" / name)
    shutil.copytree(source / "contourfiles" / original, tmp_path / "in" / "contourfiles" / original)
    shutil.copy(source / "link.csv", tmp_path / "in")
    report = import_folder(home, tmp_path / "in", workers=0)
    files = sorted((tmp_path / "in").rglob("*-icontour-manual.txt"))
    assert f"{len(files)} contours of the left cavity became labels of 1 patient" in report.notes
    patient = Pseudonyms.of(home).patient(name)
    with Archive(home) as archive:
        archive.release(patient, "a test")  # the rest of the cine was not sent
        [label] = [each for each in archive.images(patient) if each.is_label]
        mask = archive.volume(patient, label.name).values > 0
        volume = archive.volume(patient, archive.series(patient)[0].name).values
    seen = 0
    for file in files:
        number = int(file.name.split("-")[2])
        pixels = dcmread(source / "dicoms" / name / f"{number}.dcm").pixel_array
        equal = (volume == pixels.T[:, :, None, None]).all(axis=(0, 1))
        [[slice_, phase]] = np.argwhere(equal)
        x, y = np.loadtxt(file).T
        area = 0.5 * abs(np.dot(x, np.roll(y, 1)) - np.dot(y, np.roll(x, 1)))  # the shoelace formula
        here = mask[:, :, slice_, phase]
        assert here.sum() == pytest.approx(area, abs=0.15 * area + 5)
        middle = np.argwhere(here).mean(axis=0)
        assert middle == pytest.approx([x.mean(), y.mean()], abs=1.5)
        seen += int(here.sum())
    assert mask.sum() == seen  # and nowhere else
    task = find("ventricle-segmentation")
    view = view_of(home, task)
    [heart] = hearts_of(task.read(Path(view.sources[0])))
    assert len(heart) >= len(files) - 1
    assert set(heart.phase.tolist()) == {0, 1}
