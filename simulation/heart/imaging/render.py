"""From tissue fractions to the picture a scanner makes.

    fractions, surroundings --signal per tissue--> signed image --texture, bands--> (deformed) x coil
    --ghosts--> + noise --k-space--> (coarser pixels) magnitude

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
from simulation.heart.imaging.deform import warp
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


def spreads(
    size: int,
    matrix: float,
    taper: float,
    blurs: Sequence[float],
    like: Tensor,
    pixels: Sequence[float] | None = None,
) -> Tensor:
    """Matrices (P, size, size) that cut the k-space of rows or columns, one per patient's blur; see `window`.

    A plain FFT would let the picture's left edge ring on its right one; the body does not end there. pixels:
    each patient's, of `coarser`.
    """
    cuts = [_spread(size, matrix, taper, blur) for blur in blurs]
    if pixels is not None:
        cuts = [
            cut if pixel == 1 else coarser(size, pixel) @ cut for cut, pixel in zip(cuts, pixels, strict=True)
        ]
    return torch.from_numpy(np.stack(cuts)).to(like)


def coarser(size: int, pixel: float) -> NDArray[np.float64]:
    """(size, size): a row of voxels averaged over pixels `pixel` voxels wide, then interpolated linearly."""
    count = max(2, round(size / pixel))
    edges = np.linspace(0, size, count + 1)
    voxels = np.arange(size)
    shared = np.minimum(edges[1:, None], voxels + 1) - np.maximum(edges[:-1, None], voxels)
    average = np.clip(shared, 0, None) * (count / size)
    place = np.clip((voxels + 0.5) * (count / size) - 0.5, 0, count - 1)
    weight = np.clip(1 - np.abs(place[:, None] - np.arange(count)), 0, None)
    mixed: NDArray[np.float64] = weight @ average
    return mixed


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
    along = like.new_tensor([look.coil for look in looks])
    slope = along[:, :1, None] * x + along[:, 1:, None] * y[:, None]
    return torch.exp(slope + 0.25 * slope**2)[:, None, None]


def render(
    fractions: Tensor,
    surroundings: Surroundings,
    looks: Sequence[Look],
    scanner: Scanner,
    randoms: Sequence[np.random.Generator],
    spacing: float,
    deformed: Sequence[Tensor] | None = None,
) -> Tensor:
    """Pictures (P, S, T, Y, X), magnitude relative to LV blood in the middle.

    Args:
        fractions: (P, S, T, len(HEART), Y, X), each in [0, 1], sum at most 1.
        surroundings: what lies round the heart, of the same patients.
        looks: one per patient, from `draw` or `randomise.draw`.
        scanner: for all of them.
        randoms: one generator per patient, for the noise.
        spacing: mm per voxel.
        deformed: one of `deform.places` per patient; without it nothing is moved.

    """
    slices, phases, _, rows, columns = fractions.shape[1:]
    heart = torch.from_numpy(np.stack([look.heart for look in looks])).to(fractions)
    around = torch.from_numpy(np.stack([look.surroundings for look in looks])).to(fractions)
    texture = fractions.new_tensor([look.texture for look in looks])[:, None, None, None, None]
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
    if any(look.heart_spread is not None for look in looks):
        signed = signed + _variation(fractions, total, surroundings, looks, randoms)
    signed = ((1 + texture[:, 0] * surroundings.texture) * bands)[:, :, None] * signed
    if deformed is not None:
        moved = [
            warp(torch.cat(pair, dim=1), places, spacing)
            for *pair, places in zip(signed, inside, deformed, strict=True)
        ]
        signed, inside = torch.stack(moved).chunk(2, dim=2)
    signed = gain * signed
    if any(look.artefacts.ghost for look in looks):
        signed = signed + ghosts(inside, [look.artefacts for look in looks])
    sigma = fractions.new_tensor([look.noise for look in looks])[:, None, None, None, None]
    blurs = [look.blur for look in looks]
    cut = [
        spreads(size, ratio, scanner.taper, blurs, fractions, [look.pixel[axis] for look in looks])
        for axis, (size, ratio) in enumerate(zip((rows, columns), scanner.matrix, strict=True))
    ]
    # The real channel holds the signal, the imaginary one nothing but noise.
    grain = noise(randoms, (2, slices, phases, rows, columns), fractions) * sigma[:, None]
    grain[:, 0] += signed
    channels = truncate(grain, cut[0], cut[1])
    magnitude = torch.hypot(channels[:, 0], channels[:, 1])
    gamma = fractions.new_tensor([look.gamma for look in looks])[:, None, None, None, None]
    return magnitude if all(look.gamma == 1 for look in looks) else magnitude**gamma


def _variation(
    fractions: Tensor,
    total: Tensor,
    surroundings: Surroundings,
    looks: Sequence[Look],
    randoms: Sequence[np.random.Generator],
) -> Tensor:
    """(P, S, T, Y, X): how far each voxel's tissues are off their means; it stands still over the cycle."""
    heart, around = (
        torch.from_numpy(np.stack([np.zeros(count) if each is None else each for each in spreads_of])).to(
            fractions
        )
        for count, spreads_of in (
            (fractions.shape[3], [look.heart_spread for look in looks]),
            (surroundings.fractions.shape[2], [look.around_spread for look in looks]),
        )
    )
    size = torch.einsum("pstkyx,pk->pstyx", fractions, heart)
    size = size + (1 - total) * torch.einsum("pskyx,pk->psyx", surroundings.fractions, around)[:, :, None]
    grained = fractions.new_tensor([look.grained for look in looks])[:, None, None, None]
    shape, nothing = surroundings.texture.shape[1:], torch.zeros_like(surroundings.texture[0])
    white = torch.stack(
        [
            nothing if look.heart_spread is None else noise([random], shape, fractions)[0]
            for look, random in zip(looks, randoms, strict=True)
        ]
    )
    field = (1 - grained).sqrt() * white + grained.sqrt() * surroundings.texture
    return size * field[:, :, None]
