"""What was planted in real files is found in none of the bytes that de-identification lets through."""

import gzip
import shutil
import sqlite3
import zipfile

import pytest
from planted import bytes_of, planted
from pydicom import dcmread

from client.deidentify import cleaning, deidentify
from client.deidentify.leaks import Needles
from client.deidentify.profile import Plan, plan_of


@pytest.fixture
def needles(pseudo_phi):
    found = Needles()
    found.add_files(sorted((pseudo_phi / "dicom").iterdir()))
    found.add_dump((pseudo_phi / "originalHeader.txt").read_text())
    assert {"miller", "9894340694", "19310227", "555-225-5887", "87009668"} <= set(found.texts)
    assert len(found.texts) >= 60
    return found


def test_nothing_planted_is_in_what_we_write(needles, pseudo_phi, pseudonyms, tmp_path):
    for path in sorted((pseudo_phi / "dicom").iterdir()):
        deidentify(dcmread(path), pseudonyms).dataset.save_as(tmp_path / path.name, enforce_file_format=True)
    assert len(list(tmp_path.iterdir())) == 26
    assert needles.found_in(tmp_path) == {}


def test_the_same_search_finds_what_another_tool_left(needles, pseudo_phi, tmp_path):
    """The files as that tool wrote them keep dates, private values, identifiers and a serial number."""
    found = needles.found_in(few(pseudo_phi / "dicomDeidentified", tmp_path))
    assert len(found) == 5
    left = set.intersection(*found.values())
    assert {"(0008,0023)", "(0013,1013)", "(0018,1000)", "(0020,000D)", "(0040,0009)"} <= left
    assert "(0010,0010)" not in left


def test_the_same_search_finds_everything_in_the_source(needles, pseudo_phi, tmp_path):
    assert len(set.union(*needles.found_in(few(pseudo_phi / "dicom", tmp_path)).values())) >= 30


def few(source, to):
    """Five of a folder's files: the search is slow and they are alike."""
    for path in sorted(source.iterdir())[:5]:
        shutil.copy(path, to)
    return to


@pytest.mark.parametrize(
    "how", ["as it is", "in capitals", "as UTF-16", "packed", "in a packed file's name", "in a table"]
)
def test_a_value_is_found_however_it_is_stored(needles, tmp_path, how):
    text = "the patient is Miller."
    file = tmp_path / "stored"
    if how == "as it is":
        file.write_text(text)
    elif how == "in capitals":
        file.write_text(text.upper())
    elif how == "as UTF-16":
        file.write_text(text, encoding="utf-16")
    elif how == "packed":
        file.write_bytes(gzip.compress(text.encode()))
    elif how == "in a packed file's name":
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("beverly.npy", b"")
    else:
        with sqlite3.connect(file) as book:
            book.execute("CREATE TABLE t (v)")
            book.execute("INSERT INTO t VALUES (?)", ("x" * 5000 + text,))
        book.close()
    assert needles.found_in(tmp_path) == {"stored": {"(0010,0010)"}}


def test_a_name_of_a_file_is_a_byte_that_is_stored(needles, tmp_path):
    (tmp_path / "MILLER.bin").write_bytes(b"")
    assert needles.found_in(tmp_path)


def test_a_rule_that_is_forgotten_is_found(pseudonyms, monkeypatch, tmp_path):
    """A station kept as if an image needed its name: the search sees that the town in it stayed."""
    (tmp_path / "source.dcm").write_bytes(bytes_of(planted()))
    needles = Needles()
    needles.add_files([tmp_path / "source.dcm"])
    assert needles.found_in_bytes(bytes_of(deidentify(planted(), pseudonyms).dataset)) == set()
    kept = Plan("check", ("SH",), needed=True)
    monkeypatch.setattr(cleaning, "plan_of", lambda tag: kept if tag == 0x00081010 else plan_of(tag))
    assert needles.found_in_bytes(bytes_of(deidentify(planted(), pseudonyms).dataset))
