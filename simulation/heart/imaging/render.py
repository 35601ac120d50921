"""From tissue fractions to the picture a scanner makes.

    fractions, surroundings --signal per tissue--> signed image --texture, bands--> x coil --ghosts--> + noise
    --k-space--> magnitude

The magnitude of a signal with complex normal noise is Rician (Gudbjartsson and Patz, Magnetic Resonance in
Medicine 1995). Everything drawn is drawn per patient from that patient's generator: a patient does not depend
on which others share the batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from simulation.heart.imaging.artefacts import banding, ghosts
from simulation.heart.imaging.look import Look
from simulation.heart.imaging.scanner import Scanner
from simulation.heart.imaging.surroundings import Surroundings, rim
from simulation.heart.imaging.tissues import SURROUNDINGS


def window(size: int, matrix: float, taper: float, blur: float = 0.0) -> NDArray[np.float64]:
    """Weight (size,) of each spatial frequency in FFT order: kept up to 1/(2 matrix), faded out, blurred.

    A raised-cosine edge over the share `taper` of the kept band (Tukey window); `blur` is a Gaussian's
    standard deviation in voxels.
    """
    frequency = np.abs(np.fft.fftfreq(size))
    edge = 0.5 / matrix
    start = edge * (1 - taper)
    ramp = np.clip((frequency - start) / max(edge - start, 1e-9), 0, 1)
    faded = 0.5 * (1 + np.cos(np.pi * ramp)) * np.exp(-2 * (np.pi * blur * frequency) ** 2)
    return np.asarray(faded, dtype=np.float64)


@lru_cache(maxsize=64)
def _spread(size: int, matrix: float, taper: float, blur: float) -> NDArray[np.float64]:
    """(size, size): what `window` does to a row of voxels, its edge values repeated beyond the picture."""
    kernel = np.fft.ifft(window(4 * size, matrix, taper, blur)).real
    places, sources = np.arange(size)[:, None], np.arange(-size, 2 * size)[None]
    wide = kernel[(places - sources) % (4 * size)].reshape(size, 3, size)
    result = wide[:, 1].copy()
    result[:, 0] += wide[:, 0].sum(1)
    result[:, -1] += wide[:, 2].sum(1)
    spread: NDArray[np.float64] = result / result.sum(1, keepdims=True)
    return spread


def spreads(size: int, matrix: float, taper: float, blurs: Sequence[float], like: Tensor) -> Tensor:
    """Matrices (P, size, size) that cut the k-space of rows or columns, one per patient's blur; see `window`.

    A plain FFT would let the picture's left edge ring on its right one; the body does not end there.
    """
    return torch.from_numpy(np.stack([_spread(size, matrix, taper, blur) for blur in blurs])).to(like)


def truncate(images: Tensor, along_y: Tensor, along_x: Tensor) -> Tensor:
    """Pictures (P, ..., Y, X) with their k-space cut by matrices (P, Y, Y) and (P, X, X) of `spreads`."""
    flat = images.flatten(1, -3)
    cut = along_y[:, None] @ (flat @ along_x[:, None].transpose(-1, -2))
    return cut.view_as(images)


def noise(randoms: Sequence[np.random.Generator], shape: Sequence[int], like: Tensor) -> Tensor:
    """Standard normal noise (P, *shape), one patient's from that patient's generator."""
    parts = [random.standard_normal(shape, dtype=np.float32) for random in randoms]
    return torch.from_numpy(np.stack(parts)).to(like)


def coil(looks: Sequence[Look], shape: tuple[int, int], spacing: float, like: Tensor) -> Tensor:
    """Sensitivity (P, 1, 1, Y, X) of the surface coil, 1 in the middle; spacing in mm."""
    rows, columns = shape
    x = (torch.arange(columns).to(like) - (columns - 1) / 2) * (spacing / 100)
    y = -(torch.arange(rows).to(like) - (rows - 1) / 2) * (spacing / 100)
    along = torch.tensor([look.coil for look in looks]).to(like)
    slope = along[:, :1, None] * x + along[:, 1:, None] * y[:, None]
    return torch.exp(slope + 0.25 * slope**2)[:, None, None]


def render(
    fractions: Tensor,
    surroundings: Surroundings,
    looks: Sequence[Look],
    scanner: Scanner,
    randoms: Sequence[np.random.Generator],
    spacing: float,
) -> Tensor:
    """Pictures (P, S, T, Y, X), magnitude relative to LV blood in the middle.

    Args:
        fractions: (P, S, T, len(HEART), Y, X), each in [0, 1], sum at most 1.
        surroundings: what lies round the heart, of the same patients.
        looks: one per patient, from `draw` or `randomise.draw`.
        scanner: for all of them.
        randoms: one generator per patient, for the noise.
        spacing: mm per voxel.

    """
    slices, phases, _, rows, columns = fractions.shape[1:]
    heart = torch.from_numpy(np.stack([look.heart for look in looks])).to(fractions)
    around = torch.from_numpy(np.stack([look.surroundings for look in looks])).to(fractions)
    texture = torch.tensor([look.texture for look in looks]).to(fractions)[:, None, None, None, None]
    inside = torch.einsum("pstkyx,pk->pstyx", fractions, heart)
    outside = torch.einsum("pskyx,pk->psyx", surroundings.fractions, around)[:, :, None]
    total = fractions.sum(dim=3).clamp_(max=1)
    fat = around[:, SURROUNDINGS.index("fat"), None, None, None, None]
    signed = inside + (1 - total) * torch.lerp(outside, fat, rim(total, surroundings))
    bands = banding(
        surroundings.resonance,
        [look.artefacts.bands for look in looks],
        scanner.field,
        scanner.flip,
        scanner.tr,
    )
    gain = coil(looks, (rows, columns), spacing, fractions)
    still = ((1 + texture[:, 0] * surroundings.texture) * bands)[:, :, None] * gain
    signed = still * signed
    if any(look.artefacts.ghost for look in looks):
        signed = signed + ghosts(inside, [look.artefacts for look in looks])
    sigma = torch.tensor([look.noise for look in looks]).to(fractions)[:, None, None, None, None]
    blurs = [look.blur for look in looks]
    cut = [
        spreads(size, ratio, scanner.taper, blurs, fractions)
        for size, ratio in zip((rows, columns), scanner.matrix, strict=True)
    ]
    # The real channel holds the signal, the imaginary one nothing but noise.
    grain = noise(randoms, (2, slices, phases, rows, columns), fractions) * sigma[:, None]
    grain[:, 0] += signed
    channels = truncate(grain, cut[0], cut[1])
    magnitude = torch.hypot(channels[:, 0], channels[:, 1])
    gamma = torch.tensor([look.gamma for look in looks]).to(fractions)[:, None, None, None, None]
    return magnitude if all(look.gamma == 1 for look in looks) else magnitude**gamma
