"""The folder that is handed on."""

from __future__ import annotations

import json
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import torch
from safetensors.torch import load
from torch import nn

from ground.errors import StateError, UsageError
from ground.files import write_atomically
from server.export.card import model_card
from server.results import READABLE
from tasks.contract import Task
from tasks.registry import find
from tasks.study import parse

CARD = "MODEL_CARD.md"


@dataclass(frozen=True)
class Exported:
    """What was written.

    Attributes:
        out: the folder.
        files: name -> SHA-256.
        without: what could not be written -> why.

    """

    out: Path
    files: dict[str, str]
    without: dict[str, str]


def export(folder: Path, out: Path, *, onnx: bool = True) -> Exported:
    """Write the model of the finished study in `folder` into `out`, with its card.

    Raises UsageError where the study is not finished, or `out` holds files of another.
    """
    try:
        held = {name: (folder / name).read_bytes() for name in _KEPT}
    except FileNotFoundError as error:
        raise UsageError(
            f"{folder.name[:12]}: is not finished: `laennec coordinator status` shows it"
        ) from error
    result, privacy = json.loads(held["result.json"]), json.loads(held["privacy.json"])
    _check_free(out, held["study.toml"])
    study = parse(held["study.toml"].decode(), "study.toml")
    task = find(study.task, study.task_version, study.options)
    without: dict[str, str] = {}
    if onnx:
        from server.export.onnx import to_onnx

        try:
            held["model.onnx"] = to_onnx(task, _model(task, held["model.safetensors"], folder))
        except UsageError as error:
            without["model.onnx"] = str(error)
    digests = {name: sha256(content).hexdigest() for name, content in held.items()}
    said = {name: f"{_WHAT[name]} (SHA-256 `{digest}`)" for name, digest in digests.items()}
    said |= {name: f"is missing: {why}" for name, why in without.items()}
    held[CARD] = model_card(task, result, privacy, said).encode()
    for name, content in held.items():
        write_atomically(out / name, content, READABLE)
    return Exported(out, {name: sha256(content).hexdigest() for name, content in held.items()}, without)


def _model(task: Task, content: bytes, folder: Path) -> nn.Module:
    """The trained model; raises StateError where the file is of another."""
    model, tensors = task.model(), load(content)
    known = dict(model.named_parameters())
    if {name: value.shape for name, value in known.items()} != {n: t.shape for n, t in tensors.items()}:
        raise StateError(f"{folder / 'model.safetensors'}: does not fit task {task.name}: restore it")
    with torch.no_grad():
        for name, value in known.items():
            value.copy_(tensors[name])
    return model


def _check_free(out: Path, study: bytes) -> None:
    if out.exists() and not out.is_dir():
        raise UsageError(f"{out}: is a file: give a folder with --out")
    there = out / "study.toml"
    if there.is_file() and there.read_bytes() != study:
        raise UsageError(f"{out}: holds another study's model: choose another --out")


_KEPT = ("model.safetensors", "study.toml", "privacy.json", "result.json")
_WHAT = {
    "model.safetensors": "the weights, by name",
    "model.onnx": "what it computes; input `inputs`, output `outputs`, the first axis is the patients",
    "study.toml": "the study, word for word as hospitals approved it",
    "privacy.json": "the privacy card",
    "result.json": "metrics, rounds, who contributed",
}
