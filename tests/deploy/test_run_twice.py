"""Two runs at once in one folder: the second is refused, and leaves the first alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from studies import DISTRIBUTED

from client.hospital import Settings
from deploy.federation import Machine
from deploy.run import Run, resumes_at, run
from ground.errors import StateError
from server.events import Advanced, Event

Hospitals = Sequence[Settings]


def disturbed(out: Path, hospitals: Hospitals, act: Callable[[], object]) -> tuple[Run, list[str]]:
    """A run during whose steps somebody does that, and what was said to them."""
    said: list[str] = []

    def watch(event: Event) -> None:
        if isinstance(event, Advanced):
            with pytest.raises(StateError) as caught:
                act()
            said.append(str(caught.value))

    return run(DISTRIBUTED, hospitals, Machine(), out, watch), said


def test_a_second_run_is_refused_in_one_line_and_the_first_is_undisturbed(
    hospitals: Hospitals, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    finished, said = disturbed(out, hospitals, lambda: run(DISTRIBUTED, hospitals, Machine(), out))
    assert set(said) == {f"{out}: another run is using this folder: choose another --out"}
    alone = run(DISTRIBUTED, hospitals, Machine(), tmp_path / "alone")
    models = [each.outcome.progress.state.model for each in (finished, alone)]
    np.testing.assert_array_equal(*models)


def test_the_folder_is_free_when_the_run_is_over(hospitals: Hospitals, tmp_path: Path) -> None:
    for _ in range(2):
        assert run(DISTRIBUTED, hospitals, Machine(), tmp_path / "out").card["protected"]


def test_a_run_that_has_just_begun_is_not_cleared_away_by_a_second(
    hospitals: Hospitals, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until somebody has learned something, an unfinished run is removed: not while it is running."""
    out, found = tmp_path / "out", []
    from deploy import run as module

    federate = module.federate

    def begun(*arguments: object) -> object:
        with pytest.raises(StateError, match="another run is using this folder"):
            resumes_at(DISTRIBUTED, out)
        found.append((out / "state").exists())
        return federate(*arguments)

    monkeypatch.setattr(module, "federate", begun)
    run(DISTRIBUTED, hospitals, Machine(), out)
    assert found == [True]


def test_a_folder_that_is_not_there_is_not_begun_by_asking(tmp_path: Path) -> None:
    assert resumes_at(DISTRIBUTED, tmp_path / "out") is None
    assert list(tmp_path.iterdir()) == []
