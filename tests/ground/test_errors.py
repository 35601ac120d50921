from __future__ import annotations

import json

import pytest

from ground import errors
from ground.errors import (
    ApprovalError,
    BudgetError,
    DataError,
    DeclinedError,
    FederationError,
    LaennecError,
    LaterError,
    PrivacyError,
    StateError,
    StudyError,
    TaskError,
    UsageError,
    by_name,
)

TREE = (
    LaennecError,
    UsageError,
    StudyError,
    DataError,
    TaskError,
    PrivacyError,
    BudgetError,
    ApprovalError,
    DeclinedError,
    FederationError,
    LaterError,
    StateError,
)


@pytest.mark.parametrize("kind", TREE)
def test_an_error_keeps_its_kind_and_text_across_a_wire(kind: type[LaennecError]) -> None:
    sent = kind("Cleveland: no file: give its path")
    name, text = json.loads(json.dumps([type(sent).__name__, str(sent)]))
    received = by_name(name)(text)
    assert type(received) is kind
    assert str(received) == str(sent)


@pytest.mark.parametrize("name", ["", "ValueError", "laennecerror", "NoSuchError"])
def test_an_unknown_name_gives_the_base(name: str) -> None:
    assert by_name(name) is LaennecError


@pytest.mark.parametrize("kind", TREE)
def test_the_user_s_errors_exit_with_two_and_all_others_with_one(kind: type[LaennecError]) -> None:
    assert kind.exit_code == (2 if issubclass(kind, UsageError) else 1)


def test_study_data_and_task_errors_are_the_user_s() -> None:
    assert {kind for kind in TREE if issubclass(kind, UsageError)} == {
        UsageError,
        StudyError,
        DataError,
        TaskError,
    }


def test_a_budget_error_is_a_privacy_error() -> None:
    assert issubclass(BudgetError, PrivacyError)


def test_the_drawn_tree_names_every_error_of_the_module() -> None:
    defined = {name for name, value in vars(errors).items() if isinstance(value, type)}
    drawing = errors.__doc__ or ""
    assert {kind.__name__ for kind in TREE} == defined
    assert all(name in drawing for name in defined)
