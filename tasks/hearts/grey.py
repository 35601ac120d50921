"""Grey values that mean the same whatever a scanner, a simulator or a picture file made them of.

Each slice alone, since some sources (Sunnybrook as PNG) were scaled slice by slice before they came to us.
The 1st percentile of its middle becomes 0 and the 99th 1: hearts lie there, and fat near a coil, which can be
many times brighter, does not. Values are in steps of 1/128 and at most 1.5, so that a byte a pixel keeps them
exactly.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

LOW, HIGH = 1.0, 99.0  # percentiles
MIDDLE = 72  # pixels across and down, 10 cm
STEPS = 128  # of a byte from 0 to 1
MOST = 192  # the byte of 1.5


def scaled(images: npt.NDArray[np.generic]) -> npt.NDArray[np.uint8]:
    """Slices (item, Y, X) of any grey values as bytes; one without any contrast in its middle is 0."""
    grey = images.astype(np.float32)
    rows, columns = (slice((side - MIDDLE) // 2, (side + MIDDLE) // 2) for side in images.shape[1:])
    low, high = np.percentile(grey[:, rows, columns], (LOW, HIGH), axis=(1, 2), keepdims=True)
    width = np.where(high > low, high - low, np.inf)
    stored: npt.NDArray[np.uint8] = np.clip(np.rint((grey - low) / width * STEPS), 0, MOST).astype(np.uint8)
    return stored


def as_images(stored: npt.NDArray[np.uint8]) -> Tensor:
    """What the bytes mean: (item, Y, X) float32."""
    return torch.from_numpy(stored.astype(np.float32) / STEPS)


def as_bytes(images: Tensor) -> npt.NDArray[np.uint8]:
    """The inverse of `as_images`."""
    stored: npt.NDArray[np.uint8] = (images * STEPS).round().clamp(0, 255).to(torch.uint8).numpy()
    return stored
