"""A small U-Net of MONAI's, and what it answers for a heart.

Kerfoot et al. 2019's layout without residual units: four strided convolutions down, four transposed ones up,
a tenth of the arithmetic of a U-Net that convolves twice at full resolution. GroupNorm instead of BatchNorm,
so that a patient's gradient is hers alone.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from scipy import ndimage
from torch import Tensor, nn

from tasks.hearts.patients import BACKGROUND, LEFT, Heart
from tasks.ventricle_segmentation.loss import CLASSES

CHANNELS = (16, 32, 64, 96, 128)
GROUPS = 4
AT_ONCE = 64  # slices

Masks = npt.NDArray[np.uint8]


def model() -> nn.Module:
    """(slice, 1, Y, X) grey values -> (slice, 4, Y, X) logits; Y and X are multiples of 16."""
    from monai.networks.nets.unet import UNet  # takes seconds

    net: nn.Module = UNet(
        spatial_dims=2,
        in_channels=1,
        out_channels=CLASSES,
        channels=CHANNELS,
        strides=(2,) * (len(CHANNELS) - 1),
        norm=("GROUP", {"num_groups": GROUPS}),
        # In place it would overwrite what gradients per patient are computed from.
        act=("LEAKYRELU", {"negative_slope": 0.1, "inplace": False}),
    )
    return net


def predicted(net: nn.Module, hearts: Sequence[Heart]) -> list[Masks]:
    """For each heart the label of each pixel, (item, Y, X), 0 to 3.

    The likeliest label; of the left cavity only the largest connected piece of a slice.
    """
    if not hearts:
        return []
    with torch.no_grad():
        together = _labels(net, torch.cat([heart.images for heart in hearts]))
    ends = np.cumsum([len(heart) for heart in hearts])
    return [together[end - len(heart) : end] for heart, end in zip(hearts, ends, strict=True)]


def _labels(net: nn.Module, images: Tensor) -> Masks:
    starts = range(0, len(images), AT_ONCE)
    parts = [net(images[start : start + AT_ONCE, None]).argmax(1).to(torch.uint8) for start in starts]
    found: Masks = torch.cat(parts).numpy()
    for slice_ in found:
        pieces, count = ndimage.label(slice_ == LEFT)
        if count > 1:
            sizes = np.bincount(pieces.ravel())
            sizes[0] = 0
            slice_[(pieces > 0) & (pieces != sizes.argmax())] = BACKGROUND
    return found
