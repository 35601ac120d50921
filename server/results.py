"""A finished study's files, the same whoever ran it: result, report, model, privacy card, study."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from safetensors.numpy import save

from ground.files import write_atomically
from server.progress import Progress
from server.report.card import privacy_card
from server.report.epsilon import epsilon_picture
from server.report.page import Shown, page
from server.report.result import result
from tasks.contract import Picture
from tasks.learners.model import model_from
from tasks.registry import find

READABLE = 0o644  # results are for colleagues; state holds what hospitals keep, for the owner alone
LeftOut = tuple[tuple[int, str, str], ...]


@dataclass(frozen=True)
class Seconds:
    """Wall-clock time of a study.

    Attributes:
        total: from start to end.
        training: sum over steps of the time that the busiest worker was computing.
        overhead_per_round: mean over training rounds of what a round took beyond that.

    """

    total: float
    training: float
    overhead_per_round: float


@dataclass(frozen=True)
class Described:
    """What is to be said of a finished study: its last progress, `result.json` and `privacy.json`."""

    progress: Progress
    result: dict[str, Any]
    card: dict[str, Any]


def describe(
    progress: Progress, *, engine: str, secret_noise: bool, seconds: Seconds, left_out: LeftOut
) -> Described:
    """The result and the privacy card of a finished study."""
    study = progress.study
    task = find(study.task, study.task_version, study.options)
    card = privacy_card(progress, secret_noise=secret_noise)
    values = result(progress, task, card, engine=engine, seconds=asdict(seconds), left_out=left_out)
    return Described(progress, values, card)


def write_files(
    finished: Described, out: Path, shown: Shown = MappingProxyType({}), digital: Sequence[Picture] = ()
) -> None:
    """result.json, report.html, model.safetensors, privacy.json and study.toml, each whole or not at all.

    Where the result has an ε curve, epsilon-curve.svg too. What is `shown` of patients, real or `digital`,
    goes into the report alone. result.json comes last: where it is, all are.
    """
    study = finished.progress.study
    write_atomically(out / "study.toml", study.to_toml(), READABLE)
    write_atomically(out / "model.safetensors", model_file(finished.progress), READABLE)
    write_atomically(out / "privacy.json", to_json(finished.card), READABLE)
    if "epsilon_curve" in finished.result:
        curve = epsilon_picture(finished.result["epsilon_curve"])
        write_atomically(out / "epsilon-curve.svg", curve + "\n", READABLE)
    write_atomically(out / "report.html", page(finished.result, finished.card, shown, digital), READABLE)
    write_atomically(out / "result.json", to_json(finished.result), READABLE)


def model_file(progress: Progress) -> bytes:
    """The shared model as safetensors, its parameters by name; task, version and digest in the metadata."""
    study, state = progress.study, progress.state
    model = model_from(find(study.task, study.task_version, study.options), state.model)
    tensors = {name: value.detach().numpy() for name, value in model.named_parameters()}
    origin = {"task": study.task, "task-version": study.task_version, "digest": study.digest}
    # One key: safetensors writes several in no fixed order, and one model should be one file.
    return save(tensors, metadata={"laennec": json.dumps(origin, sort_keys=True)})


def to_json(values: Mapping[str, Any]) -> str:
    """Indented JSON with a final newline; NaN is refused."""
    return json.dumps(values, indent=2, allow_nan=False, ensure_ascii=False) + "\n"
