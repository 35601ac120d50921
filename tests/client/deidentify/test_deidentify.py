import datetime

import numpy as np
import pytest
from planted import NUMBER, SECRETS, STUDIED, again, bytes_of, planted, read
from pydicom.dataset import Dataset, FileDataset
from pydicom.sequence import Sequence
from pydicom.uid import MRImageStorage, generate_uid

from client.deidentify import deidentify
from ground.errors import DataError


def test_no_planted_value_is_in_any_byte(pseudonyms):
    for implicit in (False, True):
        content = bytes_of(deidentify(planted(implicit), pseudonyms).dataset).lower()
        assert not [secret for secret in SECRETS if secret.encode() in content]
        assert not [secret for secret in SECRETS if secret.encode("utf-16-le") in content]


def test_the_planted_values_were_there_before():
    """What the test above would find, were the file stored as it is."""
    content = bytes_of(planted()).lower()
    assert [secret for secret in SECRETS if secret.encode() in content] == list(SECRETS)


def test_values_that_somebody_has_already_looked_at_are_treated_alike(pseudonyms):
    """pydicom converts a value when it is asked for; the outcome must not depend on it."""
    seen = planted()
    str(seen)
    assert bytes_of(deidentify(seen, pseudonyms).dataset) == bytes_of(
        deidentify(planted(), pseudonyms).dataset
    )


@pytest.mark.filterwarnings("ignore:The pixel data is 2056 bytes long")  # as planted
def test_what_an_image_needs_stays(pseudonyms):
    before, after = planted(), again(deidentify(planted(), pseudonyms).dataset)
    for keyword in (
        "Rows", "Columns", "PixelSpacing", "ImagePositionPatient", "ImageOrientationPatient", "BitsStored",
        "InstanceNumber", "Modality", "ImageType", "BodyPartExamined", "SOPClassUID", "SliceThickness",
        "Manufacturer",
    ):  # fmt: skip
        assert after[keyword].value == before[keyword].value, keyword
    assert np.array_equal(after.pixel_array, before.pixel_array)


def test_the_file_says_what_was_done(pseudonyms):
    cleaned = deidentify(planted(), pseudonyms)
    after = again(cleaned.dataset)
    assert after.PatientIdentityRemoved == "YES"
    assert after.LongitudinalTemporalInformationModified == "MODIFIED"
    codes = [item.CodeValue for item in after.DeidentificationMethodCodeSequence]
    assert codes == ["113100", "113105", "113107"]
    assert str(after.PatientName) == after.PatientID == cleaned.patient == pseudonyms.patient(NUMBER)


def test_the_header_of_the_file_is_ours(pseudonyms):
    content = bytes_of(deidentify(planted(), pseudonyms).dataset)
    after = again(deidentify(planted(), pseudonyms).dataset)
    assert content[:128] == bytes(128)
    assert after.file_meta.MediaStorageSOPInstanceUID == after.SOPInstanceUID
    assert "SourceApplicationEntityTitle" not in after.file_meta
    assert after.file_meta.ImplementationVersionName == "LAENNEC"


def test_identifiers_change_and_still_point_at_one_another(pseudonyms):
    before, after = planted(), again(deidentify(planted(), pseudonyms).dataset)
    assert after.SOPInstanceUID != before.SOPInstanceUID
    assert after.SOPInstanceUID.startswith("2.25.")
    reference = after.ReferencedImageSequence[0]
    assert reference.ReferencedSOPInstanceUID == after.SOPInstanceUID
    assert reference.ReferencedSOPClassUID == MRImageStorage
    assert after.AnatomicRegionSequence[0].ReferencedSOPInstanceUID == after.SOPInstanceUID


def test_dates_move_together_also_in_sequences(pseudonyms):
    cleaned = deidentify(planted(), pseudonyms)
    after = again(cleaned.dataset)
    moved = datetime.datetime.strptime(STUDIED, "%Y%m%d") + datetime.timedelta(
        pseudonyms.shift(cleaned.patient)
    )
    day = moved.strftime("%Y%m%d")
    assert after.StudyDate == after.SeriesDate == after.AnatomicRegionSequence[0].StudyDate == day
    assert after.AcquisitionDateTime == f"{day}101500.5"
    assert after.StudyTime == "101500.25"
    assert after.PatientBirthDate == ""


def test_descriptions_keep_the_terms_of_imaging_alone(pseudonyms):
    after = again(deidentify(planted(), pseudonyms).dataset)
    assert after.StudyDescription == "CARDIAC MRI OF"
    assert after.SeriesDescription == "CINE SAX"
    assert after.AnatomicRegionSequence[0].CodeMeaning == "HEART OF"
    assert "ImageComments" not in after
    assert "SequenceName" not in after  # it carried the accession number
    assert "ManufacturerModelName" not in after  # and this the name


def test_a_name_that_is_a_term_of_imaging_is_a_name(pseudonyms):
    image = planted()
    image.PatientName = "Long^Axial"
    image.SeriesDescription = "LONG AXIS AXIAL CINE"
    assert again(deidentify(image, pseudonyms).dataset).SeriesDescription == "AXIS CINE"


def test_private_groups_overlays_curves_and_padding_are_gone(pseudonyms):
    after = again(deidentify(planted(), pseudonyms).dataset)
    groups = {element.tag.group for element in after.iterall()}
    assert not {group for group in groups if group & 1 or 0x5000 <= group <= 0x60FF or group > 0x7FE0}


def test_a_place_that_equals_an_identifier_is_still_a_place(pseudonyms):
    image = planted()
    image.PatientID = "-193.05291"
    image.ImagePositionPatient = ["-193.05291", "0", "0"]
    image.EchoTime = "-193.05291"
    after = again(deidentify(image, pseudonyms).dataset)
    assert after.ImagePositionPatient[0] == pytest.approx(-193.05291)
    assert "EchoTime" not in after


def test_text_in_the_guise_of_a_number_is_removed(pseudonyms):
    image = planted()
    content = bytes_of(image).replace(b"IS\x02\x003 ", b"IS\x02\x00D.")
    cleaned = deidentify(read(content), pseudonyms).dataset
    assert "InstanceNumber" not in cleaned


@pytest.mark.filterwarnings("ignore:The value length")  # as planted
def test_a_sentence_in_the_guise_of_a_code_is_removed(pseudonyms):
    image = planted()
    image.ScanOptions = "ASKED FOR BY HER SON"
    image.BodyPartExamined = "HEART OF SON"
    cleaned = deidentify(image, pseudonyms).dataset
    assert "ScanOptions" not in cleaned
    assert cleaned.BodyPartExamined == "HEART OF"


def test_another_kind_of_value_than_the_dictionary_knows_is_removed(pseudonyms):
    image = planted()
    image.add_new(0x00180083, "LT", "free text in the number of averages")
    assert 0x00180083 not in deidentify(image, pseudonyms).dataset


def test_what_follows_the_picture_is_dropped(pseudonyms):
    content = bytes_of(planted()) + b"\xfe\x7f\x10\x00UN\x00\x00\x08\x00\x00\x00Dulcinea"
    assert b"Dulcinea" not in bytes_of(deidentify(read(content), pseudonyms).dataset)


def test_bits_that_no_picture_uses_are_cleared(pseudonyms):
    after = deidentify(planted(), pseudonyms).dataset
    assert np.frombuffer(after.PixelData, "<u2").max() < 4096
    assert len(after.PixelData) == 2 * 32 * 32


def test_negative_values_keep_their_sign(pseudonyms):
    image = planted()
    image.PixelRepresentation = 1
    values = np.arange(-512, 512, dtype="<i2")
    image.PixelData = values.tobytes()
    assert np.array_equal(np.frombuffer(deidentify(image, pseudonyms).dataset.PixelData, "<i2"), values)


def test_a_dataset_is_not_changed(pseudonyms):
    image = planted()
    before = bytes_of(image)
    deidentify(image, pseudonyms)
    assert bytes_of(image) == before


def test_without_a_number_the_name_and_birth_date_make_the_patient(pseudonyms):
    first, second, other = planted(), planted(), planted()
    for image in (first, second, other):
        image.PatientID = ""
    other.PatientBirthDate = "19371119"
    patients = [deidentify(image, pseudonyms).patient for image in (first, second, other)]
    assert patients[0] == patients[1] != patients[2]


def test_a_file_of_nobody_is_refused(pseudonyms):
    with pytest.raises(DataError, match="no patient and no study"):
        deidentify(FileDataset("", {}), pseudonyms)


def test_sequences_without_end_are_refused(pseudonyms):
    image = planted()
    deep = Dataset()
    for _ in range(40):
        outer = Dataset()
        outer.AnatomicRegionSequence = Sequence([deep])
        deep = outer
    image.AnatomicRegionSequence = Sequence([deep])
    with pytest.raises(DataError, match="too deeply"):
        deidentify(image, pseudonyms)


@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("BurnedInAnnotation", "YES"),
        ("RecognizableVisualFeatures", "YES"),
        ("ImageType", ["DERIVED", "SECONDARY"]),
        ("ImageType", ["ORIGINAL", "PRIMARY", "SCREEN SAVE"]),
        ("Modality", "US"),
        ("Modality", "SC"),
        ("SOPClassUID", "1.2.840.10008.5.1.4.1.1.7"),
        ("SOPClassUID", "1.2.840.10008.5.1.4.1.1.7.4"),
        ("ConversionType", "WSD"),
    ],
)
def test_a_picture_that_may_carry_a_name_is_suspected_by_its_attributes(pseudonyms, keyword, value):
    image = planted()
    assert not deidentify(image, pseudonyms).suspicions
    setattr(image, keyword, value)
    assert deidentify(image, pseudonyms).suspicions


def test_microscopy_is_no_secondary_capture(pseudonyms):
    image = planted()
    image.SOPClassUID = "1.2.840.10008.5.1.4.1.1.77.1.6"
    assert not deidentify(image, pseudonyms).suspicions


def test_an_identifier_with_the_root_of_the_standard_is_not_taken_for_the_standards(pseudonyms):
    image = planted()
    image.SeriesInstanceUID = generate_uid(prefix="1.2.840.10008.", entropy_srcs=["not registered"])
    assert deidentify(image, pseudonyms).dataset.SeriesInstanceUID.startswith("2.25.")
