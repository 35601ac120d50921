import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from client.deidentify.dates import shift_date, shift_moment, time_of_day

DAYS = st.dates(datetime.date(1900, 1, 1), datetime.date(2100, 12, 31))


@given(DAYS, DAYS, st.integers(-4000, -400))
def test_intervals_hold(first, second, days):
    moved = [
        datetime.datetime.strptime(shift_date(day.strftime("%Y%m%d"), days), "%Y%m%d").date()
        for day in (first, second)
    ]
    assert moved[1] - moved[0] == second - first


@given(DAYS, st.integers(-4000, -400))
def test_a_moment_moves_as_its_date_does(day, days):
    text = day.strftime("%Y%m%d")
    assert shift_moment(f"{text}235959.123456+0530", days) == f"{shift_date(text, days)}235959.123456"


@pytest.mark.parametrize(
    "text",
    ["20031301", "20030230", "00000000", "2003", "2003-12-31", "31.12.2003", "Dulcinea", "20031231x"],
)
def test_what_is_no_date_becomes_empty(text):
    assert shift_date(text, -500) == ""


@pytest.mark.parametrize(
    "text", ["2003123125", "20031231 Dulcinea", "200313", "20031231101500.1234567", "2003123199"]
)
def test_what_is_no_moment_becomes_empty(text):
    assert shift_moment(text, -500) == ""


@pytest.mark.parametrize(
    ("text", "length"), [("2003", 4), ("200312", 6), ("20031231", 8), ("2003123110", 10)]
)
def test_a_moment_stays_as_exact_as_it_was_and_is_another(text, length):
    moved = shift_moment(text, -400)
    assert len(moved) == length
    assert moved[:4] < text[:4]


def test_old_dates_with_dots_are_read():
    assert shift_date("2003.12.31", -365) == "20021231"


def test_before_the_calendar_begins_there_is_nothing():
    assert shift_date("00010101", -400) == ""


@pytest.mark.parametrize(
    ("text", "kept"), [("1015", "1015"), ("10:15:30", "10:15:30"), ("", ""), ("25", ""), ("Panza", "")]
)
def test_times_of_day_stay_where_they_are_some(text, kept):
    assert time_of_day(text) == kept
