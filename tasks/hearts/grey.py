"""Grey values that mean the same whatever a scanner, a simulator or a picture file made them of.

Each slice alone, since some sources (Sunnybrook as PNG) were scaled slice by slice before they came to us:
its 1st percentile becomes 0 and its 99th 1, after cropping. Values are in steps of 1/128 and at most 1.5, so
that a byte a pixel keeps them exactly.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

LOW, HIGH = 1.0, 99.0  # percentiles
STEPS = 128  # of a byte from 0 to 1
MOST = 192  # the byte of 1.5


def scaled(images: npt.NDArray[np.generic]) -> npt.NDArray[np.uint8]:
    """Slices (item, Y, X) of any grey values as bytes; a slice without any contrast is 0."""
    flat = images.reshape(len(images), -1).astype(np.float32)
    low, high = np.percentile(flat, (LOW, HIGH), axis=1)
    width = np.where(high > low, high - low, np.inf)
    steps = np.rint((flat - low[:, None]) / width[:, None] * STEPS)
    stored: npt.NDArray[np.uint8] = np.clip(steps, 0, MOST).astype(np.uint8).reshape(images.shape)
    return stored


def as_images(stored: npt.NDArray[np.uint8]) -> Tensor:
    """What the bytes mean: (item, Y, X) float32."""
    return torch.from_numpy(stored.astype(np.float32) / STEPS)


def as_bytes(images: Tensor) -> npt.NDArray[np.uint8]:
    """The inverse of `as_images`."""
    stored: npt.NDArray[np.uint8] = (images * STEPS).round().clamp(0, 255).to(torch.uint8).numpy()
    return stored
