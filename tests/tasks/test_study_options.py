from __future__ import annotations

import pytest

from ground.errors import StudyError
from tasks.study import parse

PLAIN = 'name = "plain"\ntask = "heart-disease"\nrounds = 3\n'

SAID = "options"


def test_a_study_without_options_says_nothing_of_them() -> None:
    study = parse(PLAIN)
    assert SAID not in study.canonical()
    assert SAID not in study.to_toml()
    assert parse(PLAIN + "[options]\n").digest == study.digest


def test_options_are_part_of_what_is_approved() -> None:
    one, other = (parse(PLAIN + f"[options]\na.b = {value}\n") for value in (1.5, 2))
    assert len({one.digest, other.digest, parse(PLAIN).digest}) == 3
    assert one.options == '{"a":{"b":1.5}}'
    again = parse(one.to_toml())
    assert again == one
    assert again.digest == one.digest
    assert hash(again) == hash(one)
    assert one.with_seed(2).options == one.options
    assert one.with_strategy("fedprox").options == one.options


def test_the_order_of_options_means_nothing() -> None:
    assert (
        parse(PLAIN + "[options]\nb = 1\na = 2\n").digest == parse(PLAIN + "[options]\na = 2\nb = 1\n").digest
    )


@pytest.mark.parametrize(
    "options", ["options = 3", "options = '[]'", "[options]\na = nan", "[options]\na = 2020-01-01"]
)
def test_options_that_no_study_can_hold_are_refused(options: str) -> None:
    text = f"{options}\n{PLAIN}" if options.startswith("options") else PLAIN + options
    with pytest.raises(StudyError, match="options"):
        parse(text)
