"""A study's text, however broken, is read or refused in one line."""

import pytest
from corpus import CHANGES, changed, studies
from hypothesis import example, given, settings
from hypothesis import strategies as st
from targets import one_line, study

STUDIES = studies()
KEYS = ("name", "task", "rounds", "[privacy]", "[training]", "[synthetic]", "labels", "epsilon")
SIGNS = ("=", "[", "]", "{", "}", ".", "#", "'''", "-", "_", "\\u0000", "\n")
VALUES = ("1", "1e400", "nan", "inf", "true", '"x"', "1979-05-27", "9" * 40)
WORDS = st.sampled_from(KEYS + SIGNS + VALUES)


@given(st.sampled_from(STUDIES), CHANGES)
@settings(max_examples=200, deadline=None)
def test_broken_studies(text, changes):
    study(changed(text, changes))


@given(st.lists(WORDS, max_size=30).map(" ".join))
@settings(max_examples=200, deadline=None)
@example('name = "' + "x" * 5000 + '"')
@example("rounds = " + "9" * 5000)
@example('name = "s"\ntask = "t"\nrounds = "' + "y" * 5000 + '"')
@example("x" * 5000 + " = 1")
@example("x_" * 2000 + " = 1")
def test_any_words_as_a_study(text):
    study(text.encode())


def test_a_long_error_is_noticed():
    with pytest.raises(AssertionError):
        one_line("x" * 1001)
