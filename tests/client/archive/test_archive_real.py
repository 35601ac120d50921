"""Real studies: what experts drew must lie where our geometry says."""

from __future__ import annotations

import re
import shutil
import tarfile
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from pydicom import dcmread
from scipy import ndimage

from client.archive import Archive, Volume, import_folder
from client.deidentify import Pseudonyms


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


def real(data: Path, name: str) -> Path:
    if not (data / name).is_dir():
        pytest.skip(f"no real data: {data / name} is absent; set LAENNEC_DATA to the folder that holds it")
    return data / name


def unpacked(archive: Path, folder: Path) -> Path:
    with tarfile.open(archive) as packed:
        packed.extractall(folder, filter="data")
    return folder


def mm(dicom: Path, points: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """(point, 3) right-anterior-superior of pixel coordinates (column, row), by the file's own header."""
    header = dcmread(dicom, stop_before_pixels=True)
    position, orientation = np.array(header.ImagePositionPatient), np.array(header.ImageOrientationPatient)
    between = [float(each) for each in header.PixelSpacing]
    across, down = orientation[:3] * between[1], orientation[3:] * between[0]
    left = position + np.outer(points[:, 0], across) + np.outer(points[:, 1], down)
    found: npt.NDArray[np.float64] = np.asarray(left * [-1.0, -1.0, 1.0], dtype=np.float64)
    return found


def voxels(volume: Volume, places: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    inverse = np.linalg.inv(volume.affine)
    return places @ inverse[:3, :3].T + inverse[:3, 3]


def test_expert_contours_lie_on_the_heart_in_our_volumes(data: Path, home: Path) -> None:
    """Drawn on the files' pixels, taken to mm and into the volume: the same pixels, and blood inside."""
    folder = real(data, "sunnybrook-dicom")
    links = dict(line.split(",") for line in (folder / "link.csv").read_text().split("\n")[1:] if "," in line)
    import_folder(home, folder / "dicoms", workers=0)
    pseudonyms = Pseudonyms.of(home)
    checked = brighter = 0
    with Archive(home) as archive:
        assert archive.status().patients == 5
        for name, original in links.items():
            patient = pseudonyms.patient(name)
            if patient not in {each.patient for each in archive.quarantine()}:
                continue
            [one] = archive.series(patient)
            volume = archive.volume(patient, one.name)
            assert volume.values.shape[3] == 2
            for file in sorted((folder / "contourfiles" / original / "i-contours").glob("*.txt")):
                number = int(re.search(r"-(\d{4})-icontour", file.name)[1])
                source = folder / "dicoms" / name / f"{number}.dcm"
                if not source.is_file():
                    continue
                points = np.loadtxt(file)
                inside = voxels(volume, mm(source, points))
                assert np.abs(inside[:, :2] - points).max() < 0.01
                level = float(np.median(inside[:, 2]))
                assert abs(level - round(level)) < 0.02
                pixels = dcmread(source).pixel_array
                here = volume.values[:, :, round(level)]
                phase = int(np.argmin([np.abs(here[:, :, t].T - pixels).sum() for t in range(2)]))
                assert np.array_equal(here[:, :, phase].T, pixels)
                checked += 1
                brighter += _is_blood(here[:, :, phase].T, points)
    assert checked == 95 or checked > 60
    assert brighter > 0.9 * checked


def _is_blood(image: npt.NDArray[np.float32], contour: npt.NDArray[np.float64]) -> bool:
    """Whether it is brighter inside the contour than in the wall around it."""
    from matplotlib.path import Path as Outline

    rows, columns = np.mgrid[: image.shape[0], : image.shape[1]]
    inside = Outline(contour).contains_points(np.stack([columns.ravel(), rows.ravel()], 1))
    cavity = inside.reshape(image.shape)
    wall = ndimage.binary_dilation(cavity, iterations=6) & ~ndimage.binary_dilation(cavity, iterations=2)
    return bool(np.median(image[cavity]) > np.median(image[wall]))


def test_frames_that_are_missing_hold_a_patient_until_the_whole_cine_is_there(
    data: Path, tmp_path: Path, home: Path
) -> None:
    folder = real(data, "sunnybrook-dicom")
    name = "SCD0000301"
    shutil.copytree(folder / "dicoms" / name, tmp_path / "in")
    assert import_folder(home, tmp_path / "in", workers=0).quarantined == 1
    with Archive(home) as archive:
        [held] = archive.quarantine()
        assert "20 are here of the 200 that the scanner counted" in held.reasons[0].text
    whole = unpacked(folder / f"{name}-full-cine.tar.xz", tmp_path / "whole")
    report = import_folder(home, whole, workers=0)
    assert (report.stored, report.known, report.quarantined) == (180, 20, 0)
    with Archive(home) as archive:
        [patient] = archive.patients()
        [one] = archive.series(patient)
        assert one.shape == (256, 256, 10, 20)
        assert np.all(np.diff(archive.volume(patient, one.name).times) > 0)


def test_guide_points_of_a_real_study_lie_on_its_slices(data: Path, tmp_path: Path, home: Path) -> None:
    """Six short-axis slices in six series are one stack; what was drawn in mm lies in its planes."""
    folder = real(data, "dicom-biv-me")
    images = unpacked(folder / "patient1-cine-dicom.tar.xz", tmp_path / "in")
    drawn = unpacked(folder / "patient1-guidepoints-fittedmodels.tar.xz", tmp_path / "drawn")
    report = import_folder(home, images)
    assert (report.stored, report.damaged, report.quarantined) == (275, 0, 0)
    with Archive(home) as archive:
        [patient] = archive.patients()
        found = archive.series(patient)
        assert sorted(each.shape[2:] for each in found) == [(1, 25)] * 5 + [(6, 25)]
        short = next(each for each in found if each.shape[2] == 6)
        volume = archive.volume(patient, short.name)
    [file] = drawn.rglob("GPFile_000.txt")
    rows = [line.split("\t") for line in file.read_text().splitlines()[1:]]
    points = np.array([[float(n) for n in row[:3]] for row in rows if row[3].startswith("SAX_LV_ENDO")])
    assert len(points) > 20
    places = voxels(volume, points * [-1, -1, 1])
    # On a plane of the stack, within a tenth of a slice, and inside the picture.
    assert np.abs(places[:, 2] - np.rint(places[:, 2])).max() < 0.1
    assert ((places[:, :2] > 0) & (places[:, :2] < 255)).all()
    assert set(np.rint(places[:, 2]).astype(int)) <= set(range(6))


def test_a_pig_s_scan_says_that_a_slice_was_not_sent(data: Path, tmp_path: Path, home: Path) -> None:
    folder = real(data, "ep-dataset-pig")
    images = unpacked(folder / "E774S5-shortAxis.tar.xz", tmp_path / "in")
    import_folder(home, images)
    with Archive(home) as archive:
        [held] = archive.quarantine()
        assert [each.text for each in held.reasons] == [
            "MR series 5: images are missing: 400 are here of the 420 that the scanner counted"
        ]
        archive.release(held.patient, "a test")
        [one] = archive.series(held.patient)
        assert one.shape == (256, 256, 20, 20)
        assert np.linalg.norm(one.affine[:3, 2]) == pytest.approx(5.0, abs=0.01)


def test_what_is_no_image_is_counted_by_kind(data: Path, home: Path) -> None:
    report = import_folder(home, real(data, "dicom-highdicom"), workers=0)
    assert report.skipped["segmentation or registration"] == 12
    assert report.skipped["structured report"] == 2
    assert report.skipped["microscopy"] == 8
    assert report.damaged == 0


def test_pictures_with_names_in_them_are_set_aside(data: Path, home: Path) -> None:
    report = import_folder(home, real(data, "dicom-presidio-burnedin"), workers=0)
    assert (report.patients, report.quarantined) == (3, 3)


@pytest.mark.parametrize(
    "name",
    [
        *("MR_small_RLE", "MR_small_jp2klossless", "MR_small_jpeg_ls_lossless", "MR_small_implicit"),
        *("MR_small_bigendian", "MR_small"),
    ],
)
def test_every_transfer_syntax_gives_the_same_picture(tmp_path: Path, home: Path, name: str) -> None:
    """The files come with pydicom."""
    import pydicom

    folder = Path(pydicom.__file__).parent / "data" / "test_files"
    (tmp_path / "in").mkdir()
    shutil.copy(folder / f"{name}.dcm", tmp_path / "in")
    report = import_folder(home, tmp_path / "in", workers=0)
    assert (report.stored, report.damaged) == (1, 0)
    with Archive(home) as archive:
        [patient] = archive.patients() or [each.patient for each in archive.quarantine()]
        values = archive.volume(patient, archive.series(patient)[0].name).values
    expected = dcmread(folder / "MR_small.dcm").pixel_array
    assert np.array_equal(values[:, :, 0, 0].T, expected)
