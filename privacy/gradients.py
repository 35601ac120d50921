"""Gradients per patient, and their clipped sum, which knows its own bound.

Per-patient gradients come from Opacus (Yousefpour et al. 2021); clipping is that of DP-SGD (Abadi et al.
2016, algorithm 1): g ← g · min(1, C/‖g‖₂), with the norm over all trainable parameters together.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from opacus import GradSampleModule
from opacus.utils.module_utils import trainable_modules
from opacus.validators import ModuleValidator
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from ground.arrays import Array
from ground.errors import PrivacyError
from ground.memory import give_back
from privacy.plan import UNIT
from privacy.randomness import Stream

Loss = Callable[[Tensor, Tensor], Tensor]
# Values of gradients that are held at a time, one patient's at the least: 256 MiB of them.
GRADIENTS = 1 << 26
# From so many values of gradients on, what they took is given back to the system.
LARGE = 1 << 18
# Values at a time of what is done to each: they stay in the processor's cache, and nothing is held twice.
STRETCH = 1 << 15


@dataclass(frozen=True)
class ClippedSum:
    """A sum to which one patient contributes at most `bound` in L2 norm: the only thing that noise accepts.

    Sensitive until noised: it must not leave the hospital as it is. Where `step` is not 0, every patient's
    part is a whole number of steps, and so the noise will be: a secure sum adds whole numbers.
    """

    vector: Array
    bound: float
    unit: str = UNIT
    step: float = 0.0

    def within(self, box: float) -> tuple[ClippedSum, int]:
        """The nearest sum with every value within ±`box`, and how many were not: its bound stays.

        A projection on a convex set brings no two sums further apart (`privacy.secagg.encoding`). How many is
        as sensitive as the sum.
        """
        outside = int(np.count_nonzero(self.vector > box)) + int(np.count_nonzero(self.vector < -box))
        return (replace(self, vector=np.clip(self.vector, -box, box)), outside) if outside else (self, 0)


@dataclass(frozen=True)
class NoisySum:
    """A sum with its bound and the standard deviation of the noise that is in it."""

    vector: Array
    bound: float
    noise: float


class PatientGradients:
    """Per-patient gradients of one model, which is hooked once and used for many steps.

    The hooks are taken off again by `close`, or at the end of a `with` block.
    """

    def __init__(self, model: nn.Module, loss: Loss) -> None:
        """`loss` maps (outputs, targets) to one loss per patient, shape (patient,).

        Raises PrivacyError for a model in which a patient's gradient is not that patient's alone.
        """
        if kinds := _without_gradients(model):
            raise PrivacyError(
                f"this model gives no gradient per patient, because of {', '.join(kinds)}: "
                "replace the layer, for instance BatchNorm by GroupNorm, LSTM by Opacus' DPLSTM"
            )
        if not model.training:
            raise PrivacyError("this model is in evaluation mode and gives no gradients: call its train()")
        self._loss = loss
        self._module = GradSampleModule(model, batch_first=True, loss_reduction="sum")
        self._parameters = [p for p in self._module.parameters() if p.requires_grad]

    def __enter__(self) -> PatientGradients:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Take the hooks off the model."""
        self._module.to_standard_module()

    def of(self, inputs: Tensor, targets: Tensor) -> Tensor:
        """One gradient a patient, shape (patient, parameter), in the order of the model's parameters."""
        self._module.zero_grad(set_to_none=True)
        with warnings.catch_warnings():
            # Torch remarks that the inputs need no gradient. They do not: only the parameters' are used.
            warnings.filterwarnings("ignore", message="Full backward hook is firing")
            # Opacus asks for float32 by the name of mixed precision, of unknown layers: none is cast.
            warnings.filterwarnings("ignore", message="In CPU autocast")
            losses = self._loss(self._module(inputs), targets)
            if losses.shape != (len(inputs),):
                raise PrivacyError(
                    f"the loss has shape {tuple(losses.shape)} for {len(inputs)} patients: it must be one "
                    'number a patient, or nobody is bounded; in torch, reduction="none"'
                )
            losses.sum().backward()
        kind = next((p.dtype for p in self._parameters), torch.float32)
        rows = torch.empty(len(inputs), sum(p.numel() for p in self._parameters), dtype=kind)
        start = 0
        for p in self._parameters:  # each is let go once it is copied
            p.grad = None
            rows[:, start : start + p.numel()] = p.grad_sample.detach().reshape(len(inputs), p.numel())
            p.grad_sample = None
            start += p.numel()
        self._module.zero_grad(set_to_none=True)
        return rows

    def clipped_sum(
        self,
        inputs: Tensor,
        targets: Tensor,
        clip: float,
        *,
        step: float = 0.0,
        views: int = 1,
        chunk: int = 256,
    ) -> ClippedSum:
        """The sum over patients of their clipped gradients.

        Each patient has `views` rows, one after the other; her gradient is their mean, which is then clipped,
        so that many views of her are worth as much privacy as one (De et al. 2022, section 3.2). At most
        `chunk` rows are held in memory at a time, and fewer of a model so large that their gradients would be
        more than `GRADIENTS` values, but one patient's at the least. With a `step`, each patient's clipped
        gradient is rounded towards zero to whole steps.
        """
        if len(inputs) % views:
            raise ValueError(f"{len(inputs)} rows are not {views} views of each patient")
        count = sum(p.numel() for p in self._parameters)
        chunk = max(1, min(chunk, GRADIENTS // max(1, count)) // views) * views
        total = torch.zeros(count, dtype=torch.float64)
        for start in range(0, len(inputs), chunk):
            gradients = self.of(inputs[start : start + chunk], targets[start : start + chunk])
            if views > 1:
                gradients = gradients.view(-1, views, count).mean(dim=1)
            add_rows(total, _clip(gradients, clip), step)
            del gradients  # before the next ones are made
        if count * min(chunk, len(inputs)) >= LARGE:
            give_back()  # what follows, noise and words, needs far less than the gradients did
        return ClippedSum(total.numpy(), clip, step=step)


def _without_gradients(model: nn.Module) -> list[str]:
    """The kinds of layers that mix patients, or whose gradients Opacus cannot tell apart, by name."""
    kinds = set()
    for _, layer in trainable_modules(model):
        check = ModuleValidator.VALIDATORS.get(type(layer))
        # What a layer keeps from batch to batch, its buffers, would carry patients into one another.
        if any(True for _ in layer.buffers()) or (check is not None and check(layer)):
            kinds.add(type(layer).__name__)
    # Opacus looks at trainable layers alone, but BatchNorm mixes patients without parameters too.
    kinds |= {type(layer).__name__ for layer in model.modules() if isinstance(layer, _BatchNorm)}
    return sorted(kinds)


def clip_rows(rows: Tensor, clip: float) -> Tensor:
    """Each row scaled down to L2 norm `clip` where it is longer; shape (patient, value) kept.

    A row that is not finite becomes zero: one patient's overflow must not void the bound of the sum.
    """
    return _clip(rows.clone(), clip)


def _clip(rows: Tensor, clip: float) -> Tensor:
    """`clip_rows` in place. A norm is not finite where the row is not, or where it is too long for floats."""
    norms = rows.norm(dim=1, keepdim=True)
    rows *= (clip / norms.clamp_min(1e-12)).clamp_max(1.0)
    rows[~torch.isfinite(norms[:, 0])] = 0.0
    return rows


def add_rows(total: Tensor, rows: Tensor, step: float) -> None:
    """Add the rows, in whole steps, to the float64 total, shape (value,), in place."""
    width = max(1, (1 << 20) // max(1, len(rows)))
    for start in range(0, len(total), width):
        part = whole_rows(rows[:, start : start + width], step)
        total[start : start + width] += part.sum(dim=0, dtype=torch.float64)


def whole_rows(rows: Tensor, step: float) -> Tensor:
    """Each value rounded towards zero to whole steps, which makes no row longer; as it is where step is 0."""
    if step == 0.0:
        return rows
    whole: Tensor = torch.trunc(rows.to(torch.float64) / step) * step
    return whole


def add_noise(
    total: ClippedSum, noise_multiplier: float, shares: int, stream: Stream, *, in_place: bool = False
) -> NoisySum:
    """The sum with one of `shares` equal shares of Gaussian noise, σ·bound in all.

    The shares of all hospitals together have standard deviation σ·bound, since variances add up;
    `shares=1` is the whole noise. σ = 0 adds none: that is clipping without privacy, for tests. The noise of
    a sum in whole steps is rounded to whole steps (`privacy.secagg.encoding` says what that costs). Noise is
    drawn stretch by stretch; `in_place` it goes into the float64 sum itself, which is then not held twice.
    """
    if not isinstance(total, ClippedSum):
        raise TypeError("noise is added to a ClippedSum, whose bound is known, and to nothing else")
    deviation = noise_multiplier * total.bound / np.sqrt(shares)
    if deviation == 0.0:
        return NoisySum(total.vector, total.bound, 0.0)
    vector = total.vector if in_place else np.array(total.vector, dtype=np.float64)
    for start in range(0, vector.size, STRETCH):
        part = vector[start : start + STRETCH]
        noise = stream.normal(part.size) * deviation
        part += np.rint(noise / total.step) * total.step if total.step else noise
    return NoisySum(vector, total.bound, float(deviation))
