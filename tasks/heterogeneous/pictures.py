"""What the joint model shows of all hospitals together: latent space, reconstruction, importance."""

from __future__ import annotations

import io
from collections.abc import Mapping

import numpy as np
import torch
from matplotlib.figure import Figure
from sklearn.decomposition import PCA
from torch import Tensor, nn

from tasks.channels.joint import Floats
from tasks.contract import Picture
from tasks.heterogeneous.model import MultiChannel
from tasks.heterogeneous.outputs import Reconstruction, importance, latent, reconstruct
from tasks.patients import Patients

# Okabe & Ito 2008, each with a marker of its own, as in the report's other pictures.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
PANELS, HEAVIEST, LEAST_PATIENTS = 6, 12, 5


def overview(model: nn.Module, hospitals: Mapping[str, Patients]) -> list[Picture]:
    """The pictures of these hospitals' patients; a patient is a dot."""
    if not isinstance(model, MultiChannel) or not hospitals:
        return []
    rows = {name: _rows(patients) for name, patients in hospitals.items()}
    inputs = torch.cat([row[0] for row in rows.values()])
    targets = torch.cat([row[1] for row in rows.values()]).numpy()
    owners = np.concatenate([np.full(len(row[0]), name) for name, row in rows.items()])
    pictures = [_space(model, inputs, targets, owners)]
    scatter = _scatter(model, inputs)
    if scatter is not None:
        pictures.append(scatter)
    return [*pictures, *([_weights(model)] if model.joint.target else [])]


def _rows(patients: Patients) -> tuple[Tensor, Tensor]:
    return patients.batch(np.arange(len(patients), dtype=np.int64), torch.Generator())


def _space(model: MultiChannel, inputs: Tensor, targets: Floats, owners: Floats) -> Picture:
    """The same dots twice: by diagnosis, and by hospital. Where hospitals separate, sites were learned."""
    code = latent(model, inputs)
    where = PCA(2).fit_transform(code) if min(code.shape) > 1 else np.column_stack([code[:, 0]] * 2)
    figure = Figure(figsize=(9.0, 4.0), layout="constrained")
    left, right = figure.subplots(1, 2, sharex=True, sharey=True)
    name = model.joint.target or "target"
    known = {f"not {name}": targets == 0, name: targets == 1, "unknown": np.isnan(targets)}
    by_hospital = {str(owner): owners == owner for owner in dict.fromkeys(owners)}
    for axes, title, groups in ((left, "by diagnosis", known), (right, "by hospital", by_hospital)):
        for number, (label, members) in enumerate(groups.items()):
            if members.any():
                axes.scatter(
                    *where[members].T,
                    s=16,
                    alpha=0.75,
                    color=COLOURS[number % len(COLOURS)],
                    marker=MARKERS[number % len(MARKERS)],
                    label=label,
                )
        axes.set(title=title, xlabel="first principal component", xticks=[], yticks=[])
        axes.legend(fontsize=8)
    left.set_ylabel("second principal component")
    return Picture(f"joint latent space of {len(inputs)} test patients", _png(figure))


def _scatter(model: MultiChannel, inputs: Tensor) -> Picture | None:
    """Measured against predicted from the other channels, with the central 90 %."""
    panels: list[tuple[str, Floats, Reconstruction, int]] = []
    for channel, variables in sorted(model.joint.channels, key=lambda each: len(each[1])):
        said, start = reconstruct(model, inputs, channel), 0
        values = inputs[:, model.joint.columns(channel)].double().numpy()
        for number, variable in enumerate(variables):
            if variable.kind == "gaussian" and (~np.isnan(values[:, number])).sum() >= LEAST_PATIENTS:
                measured = variable.measured(values[:, number])
                panels.append((f"{channel}: {variable.name}", measured, said, start))
            start += variable.width
    panels = panels[:PANELS]
    if not panels:
        return None
    columns = min(3, len(panels))
    lines = -(-len(panels) // columns)
    figure = Figure(figsize=(3.0 * columns, 2.8 * lines), layout="constrained")
    for place, (title, measured, said, feature) in enumerate(panels, 1):
        axes = figure.add_subplot(lines, columns, place)
        known = ~np.isnan(measured)
        middle = said.mean[known, feature]
        ends = [np.abs(each[known, feature] - middle) for each in (said.low, said.high)]
        axes.errorbar(
            measured[known], middle, yerr=ends, fmt="o", ms=3, color=COLOURS[0], ecolor="#d9d9d9", lw=0.8
        )
        both = [measured[known].min(), measured[known].max()]
        axes.plot(both, both, color="#1a1a1a", lw=1)
        axes.set_title(title[:34], fontsize=9)
        axes.set(xlabel="measured", ylabel="from the other channels")
    return Picture("channels predicted from all others, with the central 90 %", _png(figure))


def _weights(model: MultiChannel) -> Picture:
    heaviest = importance(model)[:HEAVIEST][::-1]
    figure = Figure(figsize=(6.5, 0.28 * len(heaviest) + 0.9), layout="constrained")
    axes = figure.subplots()
    names = [f"{each.channel}: {each.variable}"[:40] for each in heaviest]
    colours = [COLOURS[1] if each.logit > 0 else COLOURS[0] for each in heaviest]
    axes.barh(names, [each.logit for each in heaviest], color=colours)
    axes.axvline(0.0, color="#1a1a1a", lw=0.8)
    axes.set_xlabel(f"change of the logit of {model.joint.target} for one scale, allele or yes")
    axes.tick_params(labelsize=8)
    return Picture("what weighs most in the prediction", _png(figure))


def _png(figure: Figure) -> bytes:
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=100)
    return stream.getvalue()
