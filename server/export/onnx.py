"""The model as ONNX: what it computes, readable without torch and without this project.

An example input is a digital patient, so nothing of a real one is touched. What was written is computed again
by ONNX's own reference evaluator, and refused where that gives something else than torch.
"""

from __future__ import annotations

import logging
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from ground.errors import LaennecError, UsageError
from tasks.contract import Task

NEEDED = ("onnx", "onnxscript")
TOLERANCE = 1e-4  # relative and absolute, of an output


def to_onnx(task: Task, model: nn.Module) -> bytes:
    """The file's bytes; the first axis of input and output is the patients.

    Raises UsageError, saying why, where it cannot be made.
    """
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        raise UsageError(f"{' and '.join(missing)} not installed: pip install 'laennec[onnx]'")
    example = _example(task)
    model = model.eval()
    with tempfile.TemporaryDirectory(prefix="laennec-") as folder, _quiet():
        file = Path(folder) / "model.onnx"
        try:
            torch.onnx.export(
                model,
                (example,),
                str(file),
                input_names=["inputs"],
                output_names=["outputs"],
                dynamic_shapes=({0: torch.export.Dim.AUTO},),
                dynamo=True,
                external_data=False,
                verbose=False,
            )
        except Exception as error:  # whatever an exporter cannot do
            raise UsageError(f"torch cannot write this model as ONNX ({type(error).__name__})") from error
        made = file.read_bytes()
    _check(model, example, made)
    return made


def _example(task: Task) -> Tensor:
    """Inputs of two digital patients."""
    if not task.strata:
        raise UsageError(f"task {task.name} has no digital patients to try it with")
    try:
        patients = task.simulate(task.recipes(task.strata[0], 2, 0))
        inputs, _ = patients.batch(np.arange(2), torch.Generator().manual_seed(0))
    except LaennecError as error:
        raise UsageError(f"task {task.name} has no digital patients to try it with: {error}") from error
    return inputs


def _check(model: nn.Module, example: Tensor, made: bytes) -> None:
    """Raises UsageError where the file computes something else than the model."""
    import onnx
    from onnx.reference import ReferenceEvaluator

    with torch.no_grad():
        expected = model(example)
    [found] = ReferenceEvaluator(onnx.load_from_string(made)).run(["outputs"], {"inputs": example.numpy()})
    if not np.allclose(np.asarray(found), expected.numpy(), TOLERANCE, TOLERANCE):
        raise UsageError("the ONNX file would compute something else than the model")


@contextmanager
def _quiet() -> Iterator[None]:
    """Inside, exporters neither warn nor log."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
