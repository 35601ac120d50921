"""Learning jointly from hospitals that measure different things, and reading a diagnosis out of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from sklearn.metrics import roc_auc_score
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from ground.errors import DataError
from tasks.channels.joint import Joint
from tasks.channels.patients import ChannelPatients
from tasks.channels.reading import read_folder
from tasks.channels.schema import FILE
from tasks.contract import Column, Picture, Task
from tasks.heterogeneous import alzheimer, truth
from tasks.heterogeneous.model import LOGIT, MINUS_EVIDENCE, MultiChannel, shrinkable
from tasks.heterogeneous.options import Options, parse
from tasks.learners.blocks import Blocks, block_learner
from tasks.learners.contract import Learner
from tasks.patients import Indices, Patients
from tasks.study import Study

TEST_SHARE = 1.0 / 3.0
GUIDE = Path(__file__).parent / "README.md"


def hospitals(folder: Path) -> Mapping[str, Path]:
    """Every folder with a schema.toml is a hospital; the published Alzheimer table is four."""
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder: give the one that holds a folder for each hospital")
    if (folder / alzheimer.FILE).is_file():
        return alzheimer.hospitals(folder)
    if (folder / FILE).is_file():
        return {folder.resolve().name: folder}
    found = {file.parent.name: file.parent for file in sorted(folder.glob(f"*/{FILE}"))}
    if not found:
        raise DataError(f"{folder}: no hospital in it: expected HOSPITAL/{FILE} and its tables, for each")
    return found


def read(path: Path, joint: Joint) -> ChannelPatients:
    """One hospital's patients, in the units of the study."""
    if "#" in path.name:
        return alzheimer.read(path, joint)
    return read_folder(path, joint)


def split(patients: Patients) -> tuple[Indices, Indices]:
    """As the hospital says; else two thirds to learn from, drawn with a fixed seed within each diagnosis."""
    _, targets = patients.batch(np.arange(len(patients), dtype=np.int64), torch.Generator())
    said = _held_out(patients)
    if said is not None:
        return np.flatnonzero(~said).astype(np.int64), np.flatnonzero(said).astype(np.int64)
    group = targets.nan_to_num(2.0).numpy()
    draws, test = np.random.default_rng(43), []
    for each in np.unique(group):
        members = draws.permutation(np.flatnonzero(group == each))
        test.append(members[: round(TEST_SHARE * len(members))])
    chosen = np.sort(np.concatenate(test)).astype(np.int64)
    return np.setdiff1d(np.arange(len(patients), dtype=np.int64), chosen), chosen


def _held_out(patients: Patients) -> npt.NDArray[np.bool_] | None:
    """Who is only tested on, where the hospital says so."""
    said = patients.held_out if isinstance(patients, ChannelPatients) else None
    return None if said is None else said.numpy()


def loss(outputs: Tensor, targets: Tensor, weight: float) -> Tensor:
    """Minus the evidence bound, and `weight` times the cross-entropy where the diagnosis is known."""
    known = ~targets.isnan()
    each = binary_cross_entropy_with_logits(outputs[:, LOGIT], targets.nan_to_num(0.0), reduction="none")
    return outputs[:, MINUS_EVIDENCE] + weight * each * known


def metrics(outputs: Tensor, targets: Tensor) -> dict[str, float]:
    """Area under the ROC curve, accuracy at one half and mean log-likelihood of the diagnosis; the bound."""
    known = ~targets.isnan()
    logits, labels = outputs[known, LOGIT], targets[known]
    both = len(np.unique(labels.numpy())) == 2
    nothing = float("nan")
    each = binary_cross_entropy_with_logits(logits, labels, reduction="none")
    return {
        "auc": float(roc_auc_score(labels.numpy(), logits.numpy())) if both else nothing,
        "accuracy": float(((logits > 0) == (labels > 0.5)).float().mean()) if len(labels) else nothing,
        "log_likelihood": -float(each.mean()) if len(labels) else nothing,
        "evidence": -float(outputs[:, MINUS_EVIDENCE].mean()),
    }


def _schema(joint: Joint) -> tuple[Column, ...]:
    columns = []
    for channel, each in joint.variables:
        codes = {"bernoulli": (0.0, 1.0), "genotype": (0.0, 1.0, 2.0)}.get(each.kind, ())
        levels = tuple(map(float, range(len(each.levels))))
        name = f"{channel}.{each.name}"
        columns.append(
            Column(name, each.kind, each.unit, each.low, each.high, codes or levels, required=False)
        )
    return tuple(columns)


def trains(joint: Joint, inputs: Tensor, targets: Tensor) -> Tensor:
    """Which blocks each patient trains, shape (patient, block), in the order of `MultiChannel.blocks`."""
    has = [(~inputs[:, joint.columns(name)].isnan()).any(dim=1) for name in joint.names]
    return torch.stack([torch.stack(has).any(dim=0), ~targets.isnan(), *has], dim=1).float()


def _task(joint: Joint, model: Callable[[], MultiChannel], weight: float, shrinkage: float) -> Task:
    @lru_cache(maxsize=1)
    def blocks() -> Blocks:
        made = model()
        names, of = made.blocks()
        shrinks = shrinkage * np.asarray(shrinkable(made), dtype=np.float32)
        return Blocks(tuple(names), np.asarray(of, dtype=np.int64), partial(trains, joint), shrinks)

    def learner(task: Task, study: Study) -> Learner:
        return block_learner(task, study, blocks())

    return Task(
        name="heterogeneous",
        version=1,
        summary="many channels, some missing at each hospital: one latent space, a diagnosis read out of it",
        schema=_schema(joint),
        headline="auc" if joint.target else "evidence",
        model=model,
        loss=partial(loss, weight=weight),
        metrics=metrics,
        hospitals=hospitals,
        read=partial(read, joint=joint),
        split=split,
        guide=GUIDE.read_text(encoding="utf-8"),
        learner=learner,
        specialised=specialised,
        overview=overview,
    )


def overview(model: nn.Module, hospitals: Mapping[str, Patients]) -> list[Picture]:
    """Latent space, reconstruction and importance, for the report."""
    from tasks.heterogeneous.pictures import overview  # draws: only where a report is made

    return overview(model, hospitals)


def specialised(_: Task, text: str) -> Task:
    """The task that a study's [options] make; raises StudyError where they are wrong."""
    return of_options(parse(text))


def of_options(options: Options) -> Task:
    """The task of these options."""
    joint = options.agreed()
    model = partial(MultiChannel, joint, options.dimensions, options.joint)
    return _task(joint, model, options.target_weight if options.target else 0.0, options.shrinkage)


TASK = _task(truth.JOINT, partial(MultiChannel, truth.JOINT, truth.FITTED, 0.5), 0.0, 0.0)
