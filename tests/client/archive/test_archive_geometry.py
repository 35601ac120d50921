from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np
import pytest
from drawn_dicom import COLUMN, CORNER, NORMAL, ROW, enhanced, image, pixels, save, series

from client.archive import Archive, import_folder


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


def expected_mm(column: int, row: int, slice_: int) -> np.ndarray:
    """Right-anterior-superior, by PS3.3 C.7.6.2.1.1."""
    left = CORNER + 1.25 * column * ROW + 1.5 * row * COLUMN + 8.0 * slice_ * NORMAL
    return left * [-1, -1, 1]


@pytest.mark.parametrize("form", ["single frames", "one file"])
def test_voxels_lie_where_the_headers_say_whatever_the_order_of_files(
    tmp_path: Path, home: Path, form: str
) -> None:
    if form == "one file":
        save(tmp_path / "in", enhanced("a"), "cine.dcm")
    else:
        series(tmp_path / "in", "a")
    report = import_folder(home, tmp_path / "in", workers=0)
    assert (report.damaged, report.quarantined) == (0, 0)
    with Archive(home) as archive:
        [patient] = archive.patients()
        [one] = archive.series(patient)
        volume = archive.volume(patient, one.name)
    assert volume.values.shape == (16, 12, 4, 3)
    assert volume.times.tolist() == [0.0, 40.0, 80.0]
    for slice_ in range(4):
        for phase in range(3):
            assert np.array_equal(volume.values[:, :, slice_, phase].T, pixels(slice_, phase))
    for index in [(0, 0, 0), (15, 0, 0), (0, 11, 0), (3, 7, 3)]:
        found = volume.affine @ [*index, 1]
        assert np.allclose(found[:3], expected_mm(*index), atol=1e-3)


def test_a_volume_written_back_opens_in_the_right_place_and_orientation(tmp_path: Path, home: Path) -> None:
    series(tmp_path / "in", "a")
    import_folder(home, tmp_path / "in", workers=0)
    with Archive(home) as archive:
        [patient] = archive.patients()
        volume = archive.volume(patient, archive.series(patient)[0].name)
    volume.write(tmp_path / "back.nii.gz")
    opened = nibabel.load(tmp_path / "back.nii.gz")
    assert np.allclose(opened.get_sform(), volume.affine, atol=1e-3)
    assert np.allclose(opened.get_qform(), volume.affine, atol=1e-3)
    assert opened.header.get_zooms() == pytest.approx((1.25, 1.5, 8.0, 40.0), abs=1e-4)
    assert opened.header.get_xyzt_units() == ("mm", "msec")
    # Rows run to the left and back, columns to the feet.
    assert nibabel.aff2axcodes(opened.affine)[1] == "I"
    assert nibabel.aff2axcodes(opened.affine)[0] in ("L", "P")
    assert np.array_equal(np.asarray(opened.dataobj), volume.values)


def test_rescaling_and_signed_pixels_are_applied(tmp_path: Path, home: Path) -> None:
    made = image("a", 0, 0, RescaleSlope=2, RescaleIntercept=-100, PixelRepresentation=1, Modality="CT")
    made.PixelData = (pixels(0, 0).astype(np.int16) - 50).tobytes()
    save(tmp_path / "in", made, "a.dcm")
    import_folder(home, tmp_path / "in", workers=0)
    with Archive(home) as archive:
        [patient] = archive.patients()
        values = archive.volume(patient, archive.series(patient)[0].name).values
    assert np.array_equal(values[:, :, 0, 0].T, (pixels(0, 0).astype(float) - 50) * 2 - 100)


def test_slices_that_are_a_series_each_make_one_stack(tmp_path: Path, home: Path) -> None:
    for slice_ in (2, 0, 3, 1):
        series(tmp_path / "in" / str(slice_), "a", [slice_], SeriesInstanceUID=f"1.2.{slice_ + 1}")
    import_folder(home, tmp_path / "in", workers=0)
    with Archive(home) as archive:
        [patient] = archive.patients()
        [one] = archive.series(patient)
        assert one.shape == (16, 12, 4, 3)
        values = archive.volume(patient, one.name).values
    assert [int(values[0, 0, slice_, 1]) for slice_ in range(4)] == [1_000, 11_000, 21_000, 31_000]


def test_planes_that_cross_are_stacks_of_their_own(tmp_path: Path, home: Path) -> None:
    series(tmp_path / "in" / "short", "a", range(3))
    crossed = [*NORMAL.round(6), *COLUMN]
    series(
        tmp_path / "in" / "long", "a", [7], ImageOrientationPatient=crossed, ImagePositionPatient=[0, 0, 0]
    )
    report = import_folder(home, tmp_path / "in", workers=0)
    assert report.quarantined == 0
    with Archive(home) as archive:
        [patient] = archive.patients()
        assert sorted(each.shape[2] for each in archive.series(patient)) == [1, 3]


def test_slice_location_is_not_believed(tmp_path: Path, home: Path) -> None:
    """Sunnybrook's first patient has 6.72 mm in it where positions are 10 mm apart."""
    for slice_ in range(3):
        save(tmp_path / "in", image("a", slice_, 0, SliceLocation=100 - slice_ * 5.5), f"{slice_}.dcm")
    import_folder(home, tmp_path / "in", workers=0)
    with Archive(home) as archive:
        [patient] = archive.patients()
        [one] = archive.series(patient)
        assert np.linalg.norm(one.affine[:3, 2]) == pytest.approx(8.0, abs=1e-3)
        assert archive.volume(patient, one.name).values[0, 0, :, 0].tolist() == [0, 10_000, 20_000]
