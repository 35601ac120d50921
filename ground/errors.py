"""Every error that Laennec raises on purpose.

A message is one line: what went wrong, where, and what to do next. It never carries a patient's value::

    LaennecError                something went wrong that we know the name of      exit 1
    ├── UsageError              the user can put it right                          exit 2
    │   ├── StudyError          a study that cannot be run as written
    │   ├── DataError           files that do not hold what the task needs
    │   └── TaskError           a task that is not installed here
    ├── PrivacyError            a promise about privacy that cannot be kept
    │   ├── BudgetError         a study that costs more than the hospital allows
    │   └── ApprovalError       a study that nobody at the hospital approved
    │       └── DeclinedError   a study that somebody at the hospital decided against
    ├── FederationError         a round that could not be completed
    │   └── LaterError          a hospital that will answer, at another hour
    └── StateError              saved state that is damaged or belongs to something else
"""

from __future__ import annotations


class LaennecError(Exception):
    """Base of the tree; `exit_code` is what the command line returns."""

    exit_code = 1


class UsageError(LaennecError):
    """Wrong use: the message says how to put it right."""

    exit_code = 2


class StudyError(UsageError):
    """A study that cannot be run as written."""


class DataError(UsageError):
    """Files that do not hold what the task needs."""


class TaskError(UsageError):
    """A task that is not installed here, or in another version."""


class PrivacyError(LaennecError):
    """A promise about privacy that cannot be kept."""


class BudgetError(PrivacyError):
    """A study that costs more than the hospital allows; its words are for the hospital alone."""


class ApprovalError(PrivacyError):
    """A study that no person at the hospital approved, or no longer does."""


class DeclinedError(ApprovalError):
    """A study that a person at the hospital decided against: asking again changes nothing."""


class FederationError(LaennecError):
    """A round that could not be completed; names the hospitals concerned."""


class LaterError(FederationError):
    """A hospital that will answer, at another hour: in `seconds` from now, by its own clock."""

    def __init__(self, text: str, seconds: float = 0.0) -> None:
        super().__init__(text)
        self.seconds = seconds


class StateError(LaennecError):
    """Saved state that is damaged or belongs to something else."""


def by_name(name: str) -> type[LaennecError]:
    """The class of that name in the tree, so that an error keeps its kind across a wire; else the base."""
    pending: list[type[LaennecError]] = [LaennecError]
    while pending:
        kind = pending.pop()
        if kind.__name__ == name:
            return kind
        pending.extend(kind.__subclasses__())
    return LaennecError
