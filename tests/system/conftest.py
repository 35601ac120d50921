"""The table of faults: `pytest.mark.fault(fault, step, expected)` declares a line, `seen` what came of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

Seen = Callable[..., None]
COLUMNS = ("fault", "step", "expected", "seen")


@pytest.fixture
def seen(request: pytest.FixtureRequest) -> Iterator[Seen]:
    """Call it with what was seen, and with the fault or the step where a test has several lines."""
    said: dict[str, str] = {}

    def note(what: str, of: str = "") -> None:
        said[of] = what

    yield note
    request.node.user_properties.append(("seen", said))


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "fault(fault, step, expected): a line of the table of `make faults`")
    if "fault" in config.getoption("markexpr"):
        config.pluginmanager.register(Table(), "table of faults")


def pytest_runtest_setup(item: pytest.Item) -> None:
    item.user_properties.append(("faults", [list(mark.args) for mark in item.iter_markers("fault")][::-1]))


class Table:
    """Collects the lines as reports come in, from whichever process, and prints them at the end."""

    def __init__(self) -> None:
        self._tests: dict[str, dict[str, Any]] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        test = self._tests.setdefault(report.nodeid, {"outcome": "", "why": ""})
        test |= dict(report.user_properties)
        if report.when == "call" or report.outcome != "passed":
            test["outcome"] = report.outcome
            if report.skipped and isinstance(report.longrepr, tuple):
                test["why"] = report.longrepr[2].removeprefix("Skipped: ")

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        lines = [row(columns, test) for test in self._tests.values() for columns in test.get("faults", ())]
        terminalreporter.write_line("")
        for line in [COLUMNS, ("---",) * len(COLUMNS), *sorted(set(lines))]:
            terminalreporter.write_line(f"| {' | '.join(line)} |")


def row(columns: list[str], test: dict[str, Any]) -> tuple[str, ...]:
    fault, step, expected = columns
    said = test.get("seen", {})
    found = said.get(fault) or said.get(step) or said.get("") or "as expected"
    if test["outcome"] == "skipped":
        found = f"not run: {test['why']}"
    elif test["outcome"] != "passed":
        found = "FAILED"
    return fault, step, expected, found
