"""What was planted in real files is in none of the bytes of the archive that they were imported into."""

import json
import shutil

import pytest

from client.archive.importing import import_folder
from client.deidentify.leaks import Needles

CALLED = "MILLER_BEVERLY 9894340694"  # hospitals name folders after patients


@pytest.fixture
def imported(pseudo_phi, tmp_path):
    """A home into which a folder called after the patient was imported; what to look for; the source."""
    source, home = tmp_path / "source" / CALLED, tmp_path / "home"
    source.mkdir(parents=True)
    home.mkdir(mode=0o700)
    for path in sorted((pseudo_phi / "dicom").iterdir())[:10]:
        shutil.copy(path, source / f"{path.stem} 555-225-5887.dcm")
    report = import_folder(home, source.parent, workers=0)
    assert report.stored == 10
    needles = Needles()
    needles.add_files(sorted(source.iterdir()))
    needles.add_dump((pseudo_phi / "originalHeader.txt").read_text())
    return home, needles, report


def test_nothing_planted_is_in_the_archive(imported):
    home, needles, _ = imported
    assert sum(path.is_file() for path in home.rglob("*")) > 2
    assert needles.found_in(home) == {}


def test_nothing_planted_is_in_what_the_import_says(imported):
    _, needles, report = imported
    assert needles.found_in_bytes(json.dumps(report.__dict__, default=str).encode()) == set()


def test_a_source_copied_into_the_home_is_found(imported, pseudo_phi):
    home, needles, _ = imported
    shutil.copy(next((pseudo_phi / "dicom").iterdir()), home / "archive" / "copy")
    assert list(needles.found_in(home)) == ["archive/copy"]
