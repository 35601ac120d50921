from __future__ import annotations

import stat
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from drawn_dicom import image, pixels, place, save, series

from client.archive import Archive, import_folder
from ground.errors import UsageError

NAME = "Jane-Doe-77"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


def corrupt(folder: Path) -> None:
    file = folder / "im0003.dcm"
    file.write_bytes(file.read_bytes()[:-200])


def no_dicom_at_all(folder: Path) -> None:
    (folder / "im0003.dcm").write_bytes(b"\0" * 128 + b"DICM" + b"\xff" * 300)


def missing_slice(folder: Path) -> None:
    for phase in range(3):
        remove(folder, 1, phase)


def missing_phase(folder: Path) -> None:
    remove(folder, 2, 1)


def remove(folder: Path, slice_: int, phase: int) -> None:
    from pydicom import dcmread

    for file in sorted(folder.iterdir()):
        if int(dcmread(file).InstanceNumber) == slice_ * 100 + phase + 1:
            file.unlink()


def add(**changed: object) -> Callable[[Path], None]:
    return lambda folder: void(save(folder, image(NAME, 0, 0, **changed), "more.dcm"))


def void(_: object) -> None:
    return None


FAULTS = {
    "cut short": (corrupt, "damaged or cut short"),
    "no DICOM": (no_dicom_at_all, "damaged or cut short"),
    "a slice": (missing_slice, "a slice is missing: a gap of 16.0 mm where others are 8.0 mm"),
    "a phase": (missing_phase, "a phase is missing: 1 of 4 slices"),
    "spacing of zero": (add(SOPInstanceUID="1.2.3", PixelSpacing=[0, 1.25]), "pixel spacing is impossible"),
    "spacing of a metre": (
        add(SOPInstanceUID="1.2.3", PixelSpacing=[1e3, 1e3]),
        "pixel spacing is impossible",
    ),
    "no place": (add(SOPInstanceUID="1.2.3", ImagePositionPatient=None), "does not say where it lies"),
    "far away": (add(SOPInstanceUID="1.2.3", ImagePositionPatient=[1e6, 0, 0]), "position is impossible"),
    "crooked axes": (
        add(SOPInstanceUID="1.2.3", ImageOrientationPatient=[1, 0, 0, 1, 0, 0]),
        "orientation is impossible",
    ),
    "another spacing": (add(SOPInstanceUID="1.2.3", PixelSpacing=[3, 3], TriggerTime=0), "geometry is mixed"),
    "uneven": (add(SOPInstanceUID="1.2.3", ImagePositionPatient=place(3, 9.0)), "uneven distances"),
    "shifted": (
        add(SOPInstanceUID="1.2.3", ImagePositionPatient=(np.array(place(4)) + np.array([0, 0, 9])).tolist()),
        "shifted against each other",
    ),
    "the same identifier": (add(PixelData=pixels(9, 9).tobytes()), "same identifier and different content"),
    "the same place": (add(SOPInstanceUID="1.2.3", InstanceNumber=77), "the same place and time"),
    "fewer than counted": (add(ImagesInAcquisition=30, SOPInstanceUID="1.2.3"), "of the 30 that the scanner"),
    "writing": (add(SOPInstanceUID="1.2.3", BurnedInAnnotation="YES"), "burned into the picture"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_patient_with_a_fault_is_set_aside_with_a_plain_reason_and_nobody_else(
    tmp_path: Path, home: Path, fault: str
) -> None:
    source = tmp_path / "in"
    series(source / "hers", NAME)
    series(source / "his", "John-Roe-66")
    spoil, why = FAULTS[fault]
    spoil(source / "hers")
    report = import_folder(home, source, workers=0)
    assert report.quarantined == 1
    with Archive(home) as archive:
        [held] = archive.quarantine()
        assert len(archive.patients()) == 1
        assert held.patient not in archive.patients()
        texts = " | ".join(reason.text for reason in held.reasons)
        assert why in texts
        assert NAME not in texts
        assert str(tmp_path) not in texts
        status = archive.status()
        assert (status.patients, status.usable, len(status.quarantined)) == (2, 1, 1)


def test_a_person_releases_and_a_later_reason_holds_again(tmp_path: Path, home: Path) -> None:
    series(tmp_path / "in", NAME)
    missing_phase(tmp_path / "in")
    import_folder(home, tmp_path / "in", workers=0)
    with Archive(home) as archive:
        [held] = archive.quarantine()
        before = archive.revision()
        with pytest.raises(UsageError, match="needs a name"):
            archive.release(held.patient, " ")
        assert archive.release(held.patient, "Dr. Roe") == tuple(each.text for each in held.reasons)
        assert archive.patients() == [held.patient]
        assert archive.revision() != before
        assert archive.status().released == 1
        # What lacks a phase is left out of the volume.
        [one] = archive.series(held.patient)
        assert archive.volume(held.patient, one.name).values.shape[2] == 3
        with pytest.raises(UsageError, match="not set aside"):
            archive.release(held.patient, "Dr. Roe")
    add(SOPInstanceUID="1.2.3", BurnedInAnnotation="YES", SeriesInstanceUID="1.9")(tmp_path / "in")
    import_folder(home, tmp_path / "in", workers=0)
    with Archive(home) as archive:
        [again] = archive.quarantine()
        assert [each.text for each in again.reasons] == [
            "a picture says that text is burned into the picture (0028,0301)"
        ]


def test_what_is_sent_later_or_mended_frees_the_patient(tmp_path: Path, home: Path) -> None:
    whole = tmp_path / "whole"
    series(whole, NAME)
    series(tmp_path / "in", NAME)
    missing_slice(tmp_path / "in")
    corrupt_file = sorted((tmp_path / "in").iterdir())[0]
    content = corrupt_file.read_bytes()
    corrupt_file.write_bytes(content[:-100])
    assert import_folder(home, tmp_path / "in", workers=0).quarantined == 1
    corrupt_file.write_bytes(content)
    report = import_folder(home, whole, workers=0)
    assert report.quarantined == 1  # the damaged file is still there as it was known
    assert import_folder(home, tmp_path / "in", workers=0).quarantined == 0
    with Archive(home) as archive:
        [patient] = archive.patients()
        assert archive.series(patient)[0].shape == (16, 12, 4, 3)


def test_one_identifier_with_two_patients_sets_both_aside(tmp_path: Path, home: Path) -> None:
    series(tmp_path / "in" / "a", "a")
    series(tmp_path / "in" / "b", "b")
    save(tmp_path / "in" / "c", image("b", 0, 0, PatientID="a"), "c.dcm")
    for again in range(2):  # what is in conflict is never "known before"
        report = import_folder(home, tmp_path / "in", workers=0)
        assert (report.stored, report.known, report.conflicting) == ((24, 0, 1), (0, 24, 1))[again]
        assert sum(report.newly.values()) == (2, 0)[again]
    with Archive(home) as archive:
        held = archive.quarantine()
        assert len(held) == 2
        assert {each.reasons[0].text for each in held} == {
            "an image has the same identifier as one of another patient"
        }


def test_a_scout_is_kept_and_holds_nobody(tmp_path: Path, home: Path) -> None:
    series(tmp_path / "in" / "cine", "a")
    scout = {"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"], "SeriesInstanceUID": "1.7"}
    for slice_, distance in ((0, 5.0), (1, 5.0), (2, 40.0)):
        made = image("a", slice_, 0, SOPInstanceUID=f"1.7.{slice_ + 1}", **scout)
        made.ImagePositionPatient = place(slice_, distance)
        save(tmp_path / "in" / "scout", made, f"{slice_}.dcm")
    assert import_folder(home, tmp_path / "in", workers=0).quarantined == 0


def test_a_damaged_file_of_nobody_is_counted_and_others_are_kinds(tmp_path: Path, home: Path) -> None:
    folder = tmp_path / "in"
    series(folder / "a", "a")
    (folder / "lost").mkdir()
    (folder / "lost" / "x.dcm").write_bytes(b"\0" * 128 + b"DICM" + b"\xff" * 64)
    save(folder / "a", image("a", 0, 0, SOPClassUID="1.2.840.10008.5.1.4.1.1.88.33"), "report.dcm")
    (folder / "readme.txt").write_text("hello")
    (folder / "more.zip").write_bytes(b"PK")
    report = import_folder(home, folder, workers=0)
    assert report.unplaced == 1
    assert report.skipped == {"neither image nor table": 1, "packed": 1, "structured report": 1}
    assert report.quarantined == 0
    assert any("unpack" in note for note in report.notes)


def test_the_source_is_never_changed_and_the_archive_is_its_owner_s(tmp_path: Path, home: Path) -> None:
    series(tmp_path / "in", NAME)
    before = {file: (file.read_bytes(), file.stat().st_mtime_ns) for file in (tmp_path / "in").iterdir()}
    import_folder(home, tmp_path / "in", workers=0)
    assert {f: (f.read_bytes(), f.stat().st_mtime_ns) for f in (tmp_path / "in").iterdir()} == before
    for path in (home / "archive").rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path
        assert NAME.encode() not in (path.read_bytes() if path.is_file() else b"")
        assert NAME not in path.name
