"""A study or a comparison on this machine, and its files in one folder."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from safetensors.numpy import save

from client.hospital import Settings
from deploy import origin
from deploy.compare import Arm
from deploy.federation import Machine, Outcome, federate
from ground.errors import UsageError
from ground.files import locked, write_atomically
from server import checkpoint
from server.events import Event
from server.report.card import privacy_card
from server.report.page import page
from server.report.result import result
from tasks.learners.model import model_from
from tasks.registry import find
from tasks.study import Study

STATE = "state"
HOSPITALS = "hospitals"
READABLE = 0o644  # results are for colleagues; state holds what hospitals keep, for the owner alone


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
    write_files(finished, out)
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


def write_comparison(arms: Sequence[Arm], out: Path) -> Run:
    """The files of a comparison: those of its DP arm, with all arms in the result and the report."""
    private = next(arm.outcome for arm in arms if arm.plan.key == "federated_dp")
    if private is None:
        raise ValueError("the DP arm of a comparison is a federation, and has an outcome")
    finished = describe(private)
    headline = str(finished.result["headline"])
    finished.result["arms"] = {arm.plan.key: arm.to_dict(headline) for arm in arms}
    write_files(finished, out)
    return finished


def describe(outcome: Outcome) -> Run:
    """The result and the privacy card of a finished study."""
    task = find(outcome.study.task)
    card = privacy_card(outcome.progress, secret_noise=outcome.machine.secret_noise)
    seconds = asdict(outcome.seconds)
    values = result(
        outcome.progress,
        task,
        card,
        engine=outcome.machine.engine,
        seconds=seconds,
        left_out=outcome.left_out,
    )
    return Run(outcome, values, card)


def write_files(finished: Run, out: Path) -> None:
    """result.json, report.html, model.safetensors, privacy.json and study.toml, each whole or not at all."""
    study = finished.outcome.study
    write_atomically(out / "study.toml", study.to_toml(), READABLE)
    write_atomically(out / "model.safetensors", model_file(finished.outcome), READABLE)
    write_atomically(out / "privacy.json", to_json(finished.card), READABLE)
    write_atomically(out / "report.html", page(finished.result, finished.card), READABLE)
    write_atomically(out / "result.json", to_json(finished.result), READABLE)


def model_file(outcome: Outcome) -> bytes:
    """The shared model as safetensors, its parameters by name; task, version and digest in the metadata."""
    study, state = outcome.study, outcome.progress.state
    model = model_from(find(study.task), state.model)
    tensors = {name: value.detach().numpy() for name, value in model.named_parameters()}
    origin = {"task": study.task, "task-version": study.task_version, "digest": study.digest}
    # One key: safetensors writes several in no fixed order, and one model should be one file.
    return save(tensors, metadata={"laennec": json.dumps(origin, sort_keys=True)})


def to_json(values: dict[str, Any]) -> str:
    """Indented JSON with a final newline; NaN is refused."""
    return json.dumps(values, indent=2, allow_nan=False, ensure_ascii=False) + "\n"
