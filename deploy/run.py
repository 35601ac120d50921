"""A study or a comparison on this machine, and its files in one folder."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from client.gallery import galleries
from client.hospital import Settings
from deploy import origin
from deploy.arms import described
from deploy.compare import Arm, epsilon_curve
from deploy.federation import Machine, Outcome, federate
from ground.errors import UsageError
from ground.files import locked
from server import checkpoint, results
from server.events import Event
from server.report.page import Shown
from tasks.contract import Picture
from tasks.registry import find
from tasks.study import Study

STATE = "state"
HOSPITALS = "hospitals"


@dataclass(frozen=True)
class Run:
    """A finished study and what is to be said of it."""

    outcome: Outcome
    result: dict[str, Any]
    card: dict[str, Any]


def run(
    study: Study,
    hospitals: Sequence[Settings],
    machine: Machine,
    out: Path,
    watch: Callable[[Event], None] | None = None,
) -> Run:
    """Run the study, or go on with it where `out` holds an unfinished one, and write its files there.

    Raises StateError where `out` holds another study's unfinished state, UsageError where that was begun
    with other data or other noise.
    """
    with _alone_in(out):
        return _run(study, hospitals, machine, out, watch)


def _alone_in(out: Path) -> AbstractContextManager[None]:
    """Inside, no other run uses this folder."""
    busy = f"{out}: another run is using this folder: choose another --out"
    return locked(out / HOSPITALS / ".lock", 0.0, busy)


def _run(
    study: Study,
    hospitals: Sequence[Settings],
    machine: Machine,
    out: Path,
    watch: Callable[[Event], None] | None,
) -> Run:
    state = out / STATE
    progress = checkpoint.load(state)
    origin.check(state, hospitals, begun=progress is not None and progress.phase != "enrol")
    settled = [replace(each, home=out / HOSPITALS / each.name) for each in hospitals]
    outcome = federate(study, settled, machine, state, watch)
    finished = describe(outcome)
    write_files(finished, out, {"": pictures(outcome, hospitals)})
    (state / origin.FILE).replace(out / HOSPITALS / origin.FILE)  # of which data the result is
    shutil.rmtree(state)
    _forget(study, out)
    return finished


def _forget(study: Study, out: Path) -> None:
    """Remove what hospitals kept of this study between rounds; their books and logs stay."""
    for kept in (out / HOSPITALS).glob(f"*/{study.digest}.safetensors"):
        kept.unlink()


def resumes_at(study: Study, out: Path) -> int | None:
    """The round that an unfinished run in this folder would go on with; None where there is none.

    Raises UsageError where the folder holds an unfinished run of another study, StateError where a run that
    is using it has just begun.
    """
    progress = checkpoint.load(out / STATE)
    if progress is None or progress.phase == "enrol":
        # Nothing was learned yet: whatever stopped it may have been mended, unless it is still running.
        with _alone_in(out) if (out / HOSPITALS).exists() else nullcontext():
            shutil.rmtree(out / STATE, ignore_errors=True)
            _forget(study, out)
        return None
    if progress.study.digest != study.digest:
        raise UsageError(
            f"{out}: holds an unfinished run of another study ({progress.study.name}, "
            f"{progress.study.digest[:12]}): choose another --out, or delete {out / STATE}"
        )
    return progress.round


def write_comparison(
    arms: Sequence[Arm],
    out: Path,
    hospitals: Sequence[Settings] = (),
    also: Mapping[str, Any] = MappingProxyType({}),
    digital: Sequence[Picture] = (),
) -> Run:
    """The files of a comparison: those of its DP arm, with all arms in the result and the report.

    Where that arm was not run they are of the first that was federated. Of it and of the plain federated one
    the report shows what they do for patients of those `hospitals` that disclose. `also` goes into the result
    beside its arms, `digital`, pictures of digital patients, into the report.
    """
    plan = described([arm.plan for arm in arms])
    by_key = {arm.plan.key: arm for arm in arms}
    outcome = None if plan is None else by_key[plan.key].outcome
    if plan is None or outcome is None:
        raise ValueError("a comparison without any federated arm has no model to describe")
    finished = describe(outcome)
    headline = str(finished.result["headline"])
    finished.result["described"] = plan.key
    finished.result["arms"] = {arm.plan.key: arm.to_dict(headline) for arm in arms}
    curve = epsilon_curve(arms, headline)
    if curve is not None:
        finished.result["epsilon_curve"] = curve
    shown = {}
    for key in dict.fromkeys((plan.key, "federated")):
        if key in by_key and (model := by_key[key].outcome) is not None:
            shown[by_key[key].plan.label] = pictures(model, hospitals)
    finished.result.update(also)
    write_files(finished, out, shown, digital)
    return finished


def pictures(outcome: Outcome, hospitals: Sequence[Settings]) -> Mapping[str, Sequence[Picture]]:
    """Hospital -> its best, median and worst test patient under the shared model, where it discloses."""
    study, state = outcome.study, outcome.progress.state
    task = find(study.task, study.task_version, study.options)
    return galleries(task, state.model, hospitals, study.labels)


def describe(outcome: Outcome) -> Run:
    """The result and the privacy card of a finished study."""
    machine = outcome.machine
    said = results.describe(
        outcome.progress,
        engine=machine.engine,
        secret_noise=machine.secret_noise,
        seconds=outcome.seconds,
        left_out=outcome.left_out,
    )
    return Run(outcome, said.result, said.card)


def write_files(
    finished: Run, out: Path, shown: Shown = MappingProxyType({}), digital: Sequence[Picture] = ()
) -> None:
    """The files of `server.results`."""
    said = results.Described(finished.outcome.progress, finished.result, finished.card)
    results.write_files(said, out, shown, digital)
