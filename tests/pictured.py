"""A task whose metrics are of single patients and which draws pictures of them: heart-disease in disguise."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from PIL import Image
from torch import nn

from tasks import registry
from tasks.contract import Picture, Task
from tasks.heart_disease.task import COMPLETE
from tasks.patients import Patients

NAME = "pictured"
heard: list[dict[str, int]] = []


def errors_of(model: nn.Module, patients: Patients) -> npt.NDArray[np.float64]:
    everyone = np.arange(len(patients), dtype=np.int64)
    inputs, targets = patients.batch(everyone, torch.Generator())
    found = torch.sigmoid(model(inputs).reshape(-1)) - targets.reshape(-1)
    return found.abs().numpy().astype(np.float64)


def per_patient(model: nn.Module, patients: Patients) -> dict[str, npt.NDArray[np.float64]]:
    """`certainty` is undefined for the first patient."""
    assert not torch.is_grad_enabled()
    wrong = errors_of(model, patients)
    certainty = np.abs(wrong - 0.5)
    certainty[0] = np.nan
    return {"accuracy": (wrong < 0.5).astype(np.float64), "certainty": certainty}


def gallery(model: nn.Module, patients: Patients) -> list[Picture]:
    order = np.argsort(errors_of(model, patients), kind="stable")
    places = {"best": 0, "median": len(order) // 2, "worst": -1}
    return [
        Picture(f"{word} of {len(order)}", png(int(order[place]) % 256)) for word, place in places.items()
    ]


def png(grey: int) -> bytes:
    file = io.BytesIO()
    Image.new("L", (2, 2), grey).save(file, format="PNG")
    return file.getvalue()


def read_labelled(path: Path, labels: Mapping[str, int]) -> Patients:
    heard.append(dict(labels))
    return COMPLETE.read(path)


TASK = replace(COMPLETE, name=NAME, per_patient=per_patient, gallery=gallery, read_labelled=read_labelled)


def install(monkeypatch: pytest.MonkeyPatch, *tasks: Task) -> None:
    """Let this process know the task, beside those that are installed."""
    everyone = {**registry.installed(), **{task.name: task for task in (tasks or (TASK,))}}
    monkeypatch.setattr(registry, "_load", lambda: (everyone, {}))
    heard.clear()
