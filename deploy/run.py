"""A study or a comparison on this machine, and its files in one folder."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from safetensors.numpy import save

from client.gallery import galleries
from client.hospital import Settings
from deploy import origin
from deploy.arms import described
from deploy.compare import Arm, epsilon_curve
from deploy.federation import Machine, Outcome, federate
from ground.errors import UsageError
from ground.files import locked, write_atomically
from server import checkpoint
from server.events import Event
from server.report.card import privacy_card
from server.report.epsilon import epsilon_picture
from server.report.page import Shown, page
from server.report.result import result
from tasks.contract import Picture
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
    study = outcome.study
    return galleries(find(study.task), outcome.progress.state.model, hospitals, study.labels)


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


def write_files(
    finished: Run, out: Path, shown: Shown = MappingProxyType({}), digital: Sequence[Picture] = ()
) -> None:
    """result.json, report.html, model.safetensors, privacy.json and study.toml, each whole or not at all.

    Where the result has an ε curve, epsilon-curve.svg too. What is `shown` of patients, real or `digital`,
    goes into the report alone.
    """
    study = finished.outcome.study
    write_atomically(out / "study.toml", study.to_toml(), READABLE)
    write_atomically(out / "model.safetensors", model_file(finished.outcome), READABLE)
    write_atomically(out / "privacy.json", to_json(finished.card), READABLE)
    if "epsilon_curve" in finished.result:
        curve = epsilon_picture(finished.result["epsilon_curve"])
        write_atomically(out / "epsilon-curve.svg", curve + "\n", READABLE)
    write_atomically(out / "report.html", page(finished.result, finished.card, shown, digital), READABLE)
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
