import os
import stat
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.uid import UID

from client.deidentify import Pseudonyms
from ground.errors import StateError

ONE, OTHER = Pseudonyms(bytes(32)), Pseudonyms(bytes([1] * 32))


def test_the_key_is_made_once_and_for_its_owner_alone(tmp_path):
    first = Pseudonyms.of(tmp_path)
    assert stat.S_IMODE((tmp_path / "pseudonyms.key").stat().st_mode) == 0o600
    assert Pseudonyms.of(tmp_path) == first
    assert len(first.key) == 32


def test_many_who_come_first_at_once_get_one_key(tmp_path):
    with ThreadPoolExecutor(8) as pool:
        assert len({each.key for each in pool.map(lambda _: Pseudonyms.of(tmp_path), range(8))}) == 1


def test_a_key_that_others_can_read_is_refused(tmp_path):
    Pseudonyms.of(tmp_path)
    (tmp_path / "pseudonyms.key").chmod(0o644)
    with pytest.raises(StateError, match="others can read"):
        Pseudonyms.of(tmp_path)


def test_a_key_cut_short_is_refused_and_not_replaced(tmp_path):
    Pseudonyms.of(tmp_path)
    os.truncate(tmp_path / "pseudonyms.key", 31)
    with pytest.raises(StateError, match="second pseudonym"):
        Pseudonyms.of(tmp_path)


def test_the_key_is_in_no_text():
    assert "\\x00" not in repr(ONE)
    assert "key" not in repr(ONE)


def test_another_hospital_calls_the_same_patient_otherwise():
    assert ONE.patient("4711") != OTHER.patient("4711")
    assert ONE.uid("1.2.3") != OTHER.uid("1.2.3")


def test_the_same_patient_written_otherwise_is_the_same():
    assert ONE.patient(" ab-12 ") == ONE.patient("AB-12") != ONE.patient("AB-13")


@given(st.text(max_size=64))
def test_a_pseudonym_fits_where_a_number_stood(identity):
    pseudonym = ONE.patient(identity)
    assert pseudonym.startswith("P-")
    assert len(pseudonym) == 18
    assert pseudonym.isascii()


@given(st.text(max_size=64))
def test_a_remapped_identifier_is_a_valid_one(uid):
    mapped = ONE.uid(uid)
    assert UID(mapped).is_valid
    assert mapped.startswith("2.25.")
    assert int(mapped[5:]) >> 76 & 0xF == 8  # a UUID of version 8, variant 10
    assert int(mapped[5:]) >> 62 & 0x3 == 2


@given(st.text(max_size=16))
def test_days_go_into_the_past_by_more_than_a_year(identity):
    assert -4000 <= ONE.shift(ONE.patient(identity)) <= -400


def test_days_are_asked_for_by_pseudonym():
    with pytest.raises(ValueError, match="by pseudonym"):
        ONE.shift("4711")
