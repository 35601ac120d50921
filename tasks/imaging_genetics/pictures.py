"""What was found, in pictures: the weights along the genome, and both scores of the test patients."""

from __future__ import annotations

from collections.abc import Mapping
from io import BytesIO
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from ground.errors import TaskError
from tasks.contract import Picture
from tasks.imaging_genetics.genotypes import Variants
from tasks.imaging_genetics.model import Projection
from tasks.imaging_genetics.patients import groups
from tasks.patients import Patients

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NAMED = 3  # of the strongest variants
DRAWN = 20_000  # points of one picture; of more variants the weakest are thinned out


def overview(model: nn.Module, hospitals: Mapping[str, Patients]) -> list[Picture]:
    """A Manhattan plot of each component, and the scores of all hospitals' test patients side by side."""
    if not isinstance(model, Projection):
        raise TaskError("imaging-genetics: this is a model of another task")
    if not model.genetics.any():
        return []
    variants = groups(next(iter(hospitals.values())))[0].variants
    pictures = []
    for number, weights in enumerate(model.genetics.numpy()):
        p_value = float(model.p_value[number])
        said = f", p = {p_value:.3g} by permutation" if p_value else ""
        reliable = model.reliability[:, number].tolist()
        if any(reliable):
            said += f", halves agree to {reliable[0]:.2f} in imaging and {reliable[1]:.2f} in genetic weights"
        title = f"Component {number + 1}: weight of each variant along the genome{said}"
        pictures.append(Picture(title, manhattan(weights, variants)))
    pictures.append(Picture("Scores of test patients on the first component", _scores(model, hospitals)))
    return pictures


def standing_out(weights: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """|weight| in robust deviations of all weights, most of them of no effect; shape (variant,)."""
    spread = 1.4826 * float(np.median(np.abs(weights)))
    return np.abs(weights.astype(np.float64)) / (spread or 1.0)


def manhattan(weights: npt.NDArray[np.float32], variants: Variants) -> bytes:
    """PNG: how far each variant's weight stands out, along the chromosomes; the strongest by name."""
    height = standing_out(weights)
    figure, axes = _figure(9.0, 3.2)
    order = np.arange(len(height))
    chosen = np.argsort(-height, kind="stable")[:DRAWN]
    chromosomes = list(dict.fromkeys(variants.chromosome.tolist()))
    ticks = []
    for number, chromosome in enumerate(chromosomes):
        there = variants.chromosome == chromosome
        some = chosen[there[chosen]]
        axes.scatter(order[some], height[some], s=5, color=("#1f4e79", "#8aa9c6")[number % 2], linewidths=0)
        ticks.append(order[there].mean())
    labels = [name if number < 12 or number % 3 == 0 else "" for number, name in enumerate(chromosomes)]
    axes.set_xticks(ticks, labels)
    for place in chosen[:NAMED]:
        axes.annotate(
            str(variants.name[place]),
            (order[place], height[place]),
            (4, 2),
            textcoords="offset points",
            fontsize=7,
        )
    axes.set(xlabel="chromosome", ylabel="|weight| / robust deviation")
    return _png(figure)


def _scores(model: Projection, hospitals: Mapping[str, Patients]) -> bytes:
    """PNG: genetic against imaging score, a colour for each hospital."""
    figure, axes = _figure(4.8, 4.2)
    for number, (name, patients) in enumerate(hospitals.items()):
        everybody = np.arange(len(patients), dtype=np.int64)
        genotypes, phenotypes = patients.batch(everybody, torch.Generator().manual_seed(0))
        genetic = model.scores(genotypes)[:, 0].numpy()
        imaging = model.imaging_scores(phenotypes)[:, 0].numpy()
        axes.scatter(genetic, imaging, s=12, label=name, color=f"C{number % 10}", alpha=0.7, linewidths=0)
    axes.set(xlabel="genetic score", ylabel="imaging score")
    axes.legend(fontsize=7, frameon=False)
    return _png(figure)


def _figure(width: float, height: float) -> tuple[Figure, Axes]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots()
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=8)
    return figure, axes


def _png(figure: Figure) -> bytes:
    held = BytesIO()
    figure.savefig(held, format="png", dpi=110)
    return held.getvalue()
