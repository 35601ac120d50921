"""A small U-Net of MONAI's, and what it answers for a heart.

Kerfoot et al. 2019's layout without residual units, on four pixels at a time: an image's 2 × 2 neighbours are
channels of one at half the resolution, and its answers are spread back (Shi et al. 2016), so that nothing is
convolved at full resolution. GroupNorm instead of BatchNorm: a patient's gradient is hers alone.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from scipy import ndimage
from scipy.spatial import ConvexHull, QhullError
from torch import Tensor, nn
from torch.nn import functional

from tasks.hearts.patients import BACKGROUND, LEFT, Heart
from tasks.ventricle_segmentation.loss import CLASSES

CHANNELS = (16, 32, 64, 96, 128)
STRIDES = (1, 2, 2, 2)
KERNEL = 3  # MONAI's own
BLOCK = 2  # pixels across and down
GROUPS = 4
AT_ONCE = 64  # slices
SIZES = (0.85, 1.0, 1.18)  # in which a heart is looked at
ON_IT = 1e-6  # pixels: rounding of where a hull's side lies

Masks = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]


class HalvedUNet(nn.Module):
    """(slice, 1, Y, X) grey values -> (slice, 4, Y, X) logits; Y and X are multiples of 16."""

    def __init__(self) -> None:
        super().__init__()
        from monai.networks.nets.unet import UNet  # takes seconds

        self.net: nn.Module = UNet(
            spatial_dims=2,
            in_channels=BLOCK**2,
            out_channels=CLASSES * BLOCK**2,
            channels=CHANNELS,
            strides=STRIDES,
            norm=("GROUP", {"num_groups": GROUPS}),
            # In place it would overwrite what gradients per patient are computed from.
            act=("LEAKYRELU", {"negative_slope": 0.1, "inplace": False}),
        )
        _straighten(self.net)

    def forward(self, images: Tensor) -> Tensor:
        """Of four neighbours at once."""
        answers: Tensor = self.net(functional.pixel_unshuffle(images, BLOCK))
        return functional.pixel_shuffle(answers, BLOCK)


def _straighten(net: nn.Module) -> None:
    """Each transposed convolution with stride 1 as the convolution that it is, which torch does faster."""
    for parent in list(net.modules()):
        for name, layer in parent.named_children():
            if isinstance(layer, nn.ConvTranspose2d) and layer.stride == (1, 1):
                straight = nn.Conv2d(layer.in_channels, layer.out_channels, KERNEL, padding=KERNEL // 2)
                setattr(parent, name, straight)


def model() -> nn.Module:
    """As torch's current generator initialises it."""
    return HalvedUNet()


def predicted(net: nn.Module, hearts: Sequence[Heart]) -> list[Masks]:
    """For each heart the label of each pixel, (item, Y, X), 0 to 3.

    The label that is likeliest on average over `SIZES`: networks take hearts of an unusual size for what they
    are not. The left cavity of a slice is the convex hull of its largest connected piece.
    """
    if not hearts:
        return []
    with torch.no_grad():
        together = _labels(net, torch.cat([heart.images for heart in hearts]))
    ends = np.cumsum([len(heart) for heart in hearts])
    return [together[end - len(heart) : end] for heart, end in zip(hearts, ends, strict=True)]


def _labels(net: nn.Module, images: Tensor) -> Masks:
    starts = range(0, len(images), AT_ONCE)
    parts = [_likeliest(_probabilities(net, images[start : start + AT_ONCE, None])) for start in starts]
    found: Masks = torch.cat(parts).numpy()
    for slice_ in found:
        cavity = slice_ == LEFT
        slice_[cavity] = BACKGROUND
        slice_[filled(cavity)] = LEFT
    return found


def _probabilities(net: nn.Module, images: Tensor) -> Tensor:
    """Of each label at each pixel, (slice, label, Y, X): the mean over sizes."""
    total = torch.zeros(())
    for size in SIZES:
        looked_at = net(_zoomed(images, size, "zeros")).softmax(1)  # as in training: nothing is outside
        total = total + _zoomed(looked_at, 1 / size, "border")
    return total


def _zoomed(images: Tensor, size: float, outside: str) -> Tensor:
    """The same pictures, (slice, channel, Y, X), everything `size` times as large about their centres."""
    if size == 1.0:
        return images
    matrix = torch.tensor([[1 / size, 0, 0], [0, 1 / size, 0]], dtype=images.dtype)
    grid = functional.affine_grid(matrix.expand(len(images), 2, 3), list(images.shape), align_corners=False)
    return functional.grid_sample(images, grid, padding_mode=outside, align_corners=False)


def filled(cavity: Mask) -> Mask:
    """The convex hull of the largest connected piece of a region (Y, X): as experts draw a cavity.

    Papillary muscles and trabeculae count as cavity, and a section of it has no bays.
    """
    pieces, count = ndimage.label(cavity)
    if count > 1:
        sizes = np.bincount(pieces.ravel())
        sizes[0] = 0
        cavity = pieces == sizes.argmax()
    pixels = np.argwhere(cavity)
    if len(pixels) < 3 or (np.ptp(pixels, axis=0) == 0).any():  # nothing lies between them
        return cavity
    try:
        sides = ConvexHull(pixels).equations  # (side, 3): n · pixel + d ≤ 0 within
    except QhullError:  # all on one slant line
        return cavity
    box = tuple(slice(low, high + 1) for low, high in zip(pixels.min(0), pixels.max(0), strict=True))
    places = np.moveaxis(np.mgrid[box], 0, -1)
    whole = cavity.copy()
    whole[box] = (places @ sides[:, :2].T + sides[:, 2] <= ON_IT).all(-1)
    return whole


def _likeliest(logits: Tensor) -> Tensor:
    """The first of the largest, (item, Y, X): `argmax`, which is slow over few channels."""
    best, found = logits[:, 0], torch.zeros(logits[:, 0].shape, dtype=torch.uint8)
    for label in range(1, logits.shape[1]):
        found[logits[:, label] > best] = label
        best = torch.maximum(best, logits[:, label])
    return found
