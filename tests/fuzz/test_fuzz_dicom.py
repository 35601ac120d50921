"""No file, however broken, makes the import of DICOM fail but by name, or say what is a patient's."""

import pytest
from corpus import CHANGES, changed, images, streams
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from targets import SECRETS, dicom, stream, unsaid

IMAGES, STREAMS = images(), streams()
SLOW = settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@given(st.sampled_from(IMAGES), CHANGES)
@SLOW
def test_broken_images(image, changes):
    dicom(changed(image, changes))


@given(st.binary(max_size=300))
@SLOW
def test_any_bytes_as_a_file(content):
    dicom(bytes(128) + b"DICM" + content)


@given(st.binary(max_size=200))
@settings(max_examples=60, deadline=None)
@example(b"")
def test_any_bytes_without_a_preamble(content):
    dicom(content)


@given(st.sampled_from(STREAMS), CHANGES)
@settings(max_examples=300, deadline=None)
def test_broken_streams(content, changes):
    stream(changed(content, changes))


def test_real_files_broken(data):
    folder = data / "dicom-highdicom"
    if not folder.is_dir():
        pytest.skip(f"no real data: {folder} is absent")
    files = [path.read_bytes() for path in sorted(folder.glob("*.dcm")) if path.stat().st_size < 30_000]
    assert len(files) >= 8

    @given(st.sampled_from(files), CHANGES)
    @settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    def one(image, changes):
        dicom(changed(image, changes))

    one()


def test_what_is_said_is_listened_to():
    with pytest.raises(AssertionError):
        unsaid([f"cannot read {SECRETS[0].upper()}"])
