"""Where short-axis slices lie: in the heart's frame, and in a patient's.

Columns of an image run away from the septum and rows away from the anterior wall, so that the RV is on the
left and the anterior wall at the top, as radiologists hang a short axis. Slices count from base to apex.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from simulation.heart.anatomy.body import AXES


@dataclass(frozen=True)
class Stack:
    """The slices of P patients.

    Attributes:
        centres: (P, S, 3) mm, middle of each slice's image, in the heart's frame.
        across: (P, 3) unit vector from one column to the next.
        down: (P, 3) unit vector from one row to the next.
        breathing: (P, S, 3) mm by which the heart has moved in each slice: across, down, towards the base.
        size: rows and columns of an image.
        spacing: mm between pixels.
        thickness: mm of a slice.
        distance: mm from slice to slice.

    """

    centres: Tensor
    across: Tensor
    down: Tensor
    breathing: Tensor
    size: tuple[int, int]
    spacing: float
    thickness: float
    distance: float

    @property
    def normal(self) -> Tensor:
        """(P, 3) unit vector towards the base."""
        return torch.cross(self.across, self.down, dim=1)

    def points(self, patient: int, place: int, supersampling: tuple[int, int, int]) -> Tensor:
        """(Y, X, s, 3) mm: the s = a·b·c sub-voxels of each voxel of a slice, in the moved heart's frame."""
        shift = self.breathing[patient, place]
        rows, columns = self.size
        down = _steps(rows, supersampling[0], self.spacing, self.centres) - shift[1]
        across = _steps(columns, supersampling[1], self.spacing, self.centres) - shift[0]
        deep = _steps(1, supersampling[2], self.thickness, self.centres) - shift[2]
        y, x, n = self.down[patient], self.across[patient], self.normal[patient]
        grid = (
            down[:, None, :, None, None, None] * y
            + across[None, :, None, :, None, None] * x
            + deep[0][None, None, None, None, :, None] * n
        )
        return (self.centres[patient, place] + grid).flatten(2, 4)

    def axes(self, patient: int) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Of a patient's images, LPS: directions of columns and of rows, (S, 3) mm of each first pixel."""
        frame = _frame()
        across, down = (frame @ each[patient].double().cpu().numpy() for each in (self.across, self.down))
        centres = self.centres[patient].double().cpu().numpy() @ frame.T
        corner = (self.size[1] - 1) * across + (self.size[0] - 1) * down
        return across, down, centres - 0.5 * self.spacing * corner

    def affine(self, patient: int) -> NDArray[np.float64]:
        """(4, 4): (column, row, slice) to mm, right-anterior-superior."""
        across, down, first = self.axes(patient)
        flip = np.array([-1.0, -1.0, 1.0])
        matrix = np.eye(4)
        matrix[:3, 0], matrix[:3, 1] = across * self.spacing * flip, down * self.spacing * flip
        matrix[:3, 2] = -np.cross(across, down) * self.distance * flip
        matrix[:3, 3] = first[0] * flip
        return matrix


def short_axis(
    length: Tensor,
    rotation: Tensor,
    tilt: tuple[Tensor, Tensor],
    breathing: Tensor,
    size: tuple[int, int] = (128, 128),
    spacing: float = 1.4,
    thickness: float = 8.0,
    distance: float = 10.0,
    aside: Sequence[float] = (12.0, 0.0),
) -> Stack:
    """Slices that cover the LV, centred along its axis.

    length (P,) mm from base to epicardial apex; rotation (P,) rad in the plane; tilt, twice (P,) rad, about
    the image's two axes; breathing (P, S, 3) mm, which also says how many slices; `aside` is how far (mm) the
    images' middle lies towards the septum and upwards, since the RV wants room.
    """
    patients, count = breathing.shape[:2]
    turn = _rotation(2, rotation) @ _rotation(0, tilt[0]) @ _rotation(1, tilt[1])
    across = -turn[:, :, 0]
    down = -turn[:, :, 1]
    places = torch.arange(count, dtype=length.dtype, device=length.device)
    along = 0.5 * distance * (count - 1) - distance * places[None, :] - 0.5 * length[:, None]
    middle = turn[:, :, 0] * aside[0] + turn[:, :, 1] * aside[1]
    axis = turn[:, :, 2]
    centre = torch.zeros(patients, 3, dtype=length.dtype, device=length.device)
    centre[:, 2] = -0.5 * length
    centres = centre[:, None] + middle[:, None] + (along + 0.5 * length[:, None])[..., None] * axis[:, None]
    return Stack(centres, across, down, breathing, size, spacing, thickness, distance)


def placed(origin: Tensor, spacing: float) -> NDArray[np.float64]:
    """(4, 4): voxels of a grid along the heart's axes to mm, right-anterior-superior.

    origin (3,) mm: middle of the first voxel, in the heart's frame.
    """
    flip = np.array([-1.0, -1.0, 1.0])[:, None]
    matrix = np.eye(4)
    matrix[:3, :3] = flip * _frame() * spacing
    matrix[:3, 3] = (flip * _frame()) @ origin.double().cpu().numpy()
    return matrix


def _steps(count: int, parts: int, spacing: float, like: Tensor) -> Tensor:
    """(count, parts) mm: middles of the parts of each of `count` voxels, centred on 0."""
    places = torch.arange(count * parts, dtype=like.dtype, device=like.device)
    return ((places + 0.5) / parts - 0.5 * count).mul(spacing).view(count, parts)


def _rotation(axis: int, angle: Tensor) -> Tensor:
    """(P, 3, 3) about one of the axes."""
    matrix = torch.eye(3, dtype=angle.dtype, device=angle.device).repeat(len(angle), 1, 1)
    first, second = (axis + 1) % 3, (axis + 2) % 3
    matrix[:, first, first] = matrix[:, second, second] = angle.cos()
    matrix[:, second, first] = angle.sin()
    matrix[:, first, second] = -angle.sin()
    return matrix


def _frame() -> NDArray[np.float64]:
    """(3, 3): from the heart's frame to left-posterior-superior; its columns are the heart's axes."""
    axes = np.array(AXES) * [-1.0, -1.0, 1.0]
    # The table is rounded; these columns are orthonormal.
    left, _, right = np.linalg.svd(axes.T)
    frame: NDArray[np.float64] = left @ right
    return frame
