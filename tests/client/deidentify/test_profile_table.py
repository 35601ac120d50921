"""Table E.1-1 of PS3.15 as it is in the package: complete, well formed, and what one knows of it by heart."""

from collections import Counter

import pytest
from pydicom.datadict import DicomDictionary, dictionary_has_tag, keyword_for_tag, tag_for_keyword

from client.deidentify import profile
from client.deidentify.profile import _kept, plan_of, table, vocabulary

GONE = {"remove", "empty", "dummy", "identity"}
CODES = {"D", "Z", "X", "K", "C", "U", "Z/D", "X/Z", "X/D", "X/Z/D", "X/Z/U*"}


def codes(tag):
    return next(row.codes for row in table() if row.tag == tag)


def test_the_table_has_as_many_attributes_as_the_standard():
    """Edition 2026c: 652 attributes, three groups of them, and the private ones."""
    assert len(table()) == 656
    assert len({row.tag for row in table()}) == 656
    assert [row.tag for row in table() if "x" in row.tag] == ["50xxxxxx", "60xx3000", "60xx4000"]
    counted = Counter(row.codes["basic"] for row in table())
    assert counted == {
        "X": 416, "D": 93, "U": 55, "Z": 42, "X/D": 23, "X/Z": 11, "X/Z/D": 8, "Z/D": 6, "X/Z/U*": 2,
    }  # fmt: skip


def test_the_options_have_as_many_attributes_as_the_standard():
    counted = Counter(option for row in table() for option in row.codes)
    assert counted == {
        "basic": 656, "safe-private": 1, "retain-uids": 60, "retain-device": 57, "retain-institution": 10,
        "retain-patient": 19, "full-dates": 169, "modified-dates": 169, "clean-descriptors": 134,
        "clean-structured": 3, "clean-graphics": 4,
    }  # fmt: skip


def test_every_code_is_one_of_the_standards():
    assert {code for row in table() for code in row.codes.values()} <= CODES
    assert all(row.name for row in table())
    assert not [row.tag for row in table() if row.codes["basic"] in ("K", "C")]


@pytest.mark.parametrize(
    ("keyword", "code"),
    [
        ("PatientName", "Z"), ("PatientID", "Z/D"), ("PatientBirthDate", "Z"), ("PatientSex", "Z"),
        ("PatientAge", "X"), ("PatientAddress", "X"), ("OtherPatientIDs", "X"), ("PatientComments", "X"),
        ("StudyDate", "Z"), ("StudyTime", "Z"), ("StudyID", "Z"), ("AccessionNumber", "Z"),
        ("ReferringPhysicianName", "Z"), ("SeriesDate", "X/D"), ("StudyDescription", "X"),
        ("SeriesDescription", "X"), ("ProtocolName", "X/D"), ("InstitutionName", "X/Z/D"),
        ("InstitutionAddress", "X"), ("StationName", "X/Z/D"), ("OperatorsName", "X/Z/D"),
        ("DeviceSerialNumber", "X/Z/D"), ("SOPInstanceUID", "U"), ("StudyInstanceUID", "U"),
        ("SeriesInstanceUID", "U"), ("FrameOfReferenceUID", "U"), ("ReferencedImageSequence", "X/Z/U*"),
        ("ContentSequence", "D"), ("PersonName", "D"), ("ImageComments", "X"), ("ContrastBolusAgent", "Z/D"),
        ("IconImageSequence", "X"), ("OriginalAttributesSequence", "X"), ("RequestAttributesSequence", "X"),
        ("DigitalSignaturesSequence", "X"), ("DataSetTrailingPadding", "X"), ("VerifyingObserverName", "D"),
    ],
)  # fmt: skip
def test_what_one_knows_by_heart(keyword, code):
    assert codes(f"{tag_for_keyword(keyword):08X}")["basic"] == code


def test_options_that_one_knows_by_heart():
    assert codes("00080020")["modified-dates"] == codes("00080030")["modified-dates"] == "C"
    assert codes("00080020")["full-dates"] == "K"
    assert codes("0008103E")["clean-descriptors"] == codes("00081030")["clean-descriptors"] == "C"
    assert codes("00080018")["retain-uids"] == codes("00181000")["retain-device"] == "K"
    assert codes("00100040")["retain-patient"] == codes("00080080")["retain-institution"] == "K"
    assert "modified-dates" not in codes("00100030")  # a birth date goes, whatever happens to the others
    assert codes("private")["safe-private"] == "C"


def test_every_attribute_of_the_table_that_can_stand_in_a_file_is_acted_upon():
    """Nothing that the table would have removed, emptied or replaced is kept as it is."""
    for row in table():
        if row.tag == "private":
            continue
        plan = plan_of(int(row.tag.replace("x", "0"), 16))
        assert plan.action in GONE | {"uid", "shift", "clean", "recurse"}, row.tag
        if plan.action == "shift":
            assert row.codes["modified-dates"] == "C"
        if plan.action == "clean":
            assert row.codes["clean-descriptors"] == "C"
        if plan.action == "recurse":
            assert row.codes["basic"] == "X/Z/U*"


def test_no_name_of_a_person_stays_listed_or_not():
    names = [tag for tag, entry in DicomDictionary.items() if entry[0] == "PN"]
    assert len(names) > 30
    assert {plan_of(tag).action for tag in names} <= GONE


def test_text_stays_only_where_it_is_named():
    named = _kept("verbatim") | _kept("cleaned")
    for tag, entry in DicomDictionary.items():
        if (
            entry[0] in ("LO", "SH", "LT", "ST", "UT", "UC", "UR", "AE", "UN")
            and plan_of(tag).action not in GONE
        ):
            assert tag in named, keyword_for_tag(tag)


def test_every_identifier_is_another_one():
    for tag, entry in DicomDictionary.items():
        if entry[0] == "UI":
            assert plan_of(tag).action in ("uid", "remove")


@pytest.mark.parametrize(
    "tag",
    [
        0x00090010, 0x00291010, 0x00100000, 0x50003000, 0x50FE0005, 0x60003000, 0x60024000, 0x60000010,
        0x00020016, 0x00041220, 0xFFFCFFFC, 0xFFFAFFFA, 0x00000002, 0x001099AA,
    ],
)  # fmt: skip
def test_what_goes_whole(tag):
    """Private, group lengths, curves, overlays, other groups' attributes, and what no dictionary knows."""
    assert plan_of(tag).action == "remove"


def test_a_row_that_is_lost_is_noticed(monkeypatch):
    """The name's row taken out of the table: its kind of value alone still removes it."""
    lost = {tag: codes for tag, codes in profile._listed().items() if tag != 0x00080090}
    monkeypatch.setattr(profile, "_listed", lambda: lost)
    assert profile.plan_of.__wrapped__(0x00080090).action == "remove"


def test_every_keyword_in_the_lists_exists():
    for kind in ("verbatim", "cleaned", "bytes", "needed"):
        assert all(dictionary_has_tag(tag) for tag in _kept(kind))


def test_the_vocabulary_holds_capitals_alone():
    assert len(vocabulary()) > 200
    assert all(word == word.upper() and not word.isdigit() for word in vocabulary())
