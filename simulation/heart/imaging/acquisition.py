"""What a header says of how a cine was taken."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Acquisition:
    """How a cine was taken.

    Attributes:
        spacing_mm: between pixels, (rows, columns).
        thickness_mm: of a slice.
        distance_mm: from the middle of a slice to that of the next.
        positions: (S, 3) centre of each slice's first pixel, millimetres, left-posterior-superior.
        rows: unit vector along which columns are counted: from the first pixel of a row to the next.
        columns: unit vector along which rows are counted.
        cycle_ms: length of the heart's cycle.
        field_tesla: of the magnet.
        echo_ms: echo time.
        repetition_ms: repetition time.
        flip_degrees: flip angle.
        scanner: what the preset is called.

    """

    spacing_mm: tuple[float, float]
    thickness_mm: float
    distance_mm: float
    positions: NDArray[np.float64]
    rows: NDArray[np.float64]
    columns: NDArray[np.float64]
    cycle_ms: float
    field_tesla: float
    echo_ms: float
    repetition_ms: float
    flip_degrees: float
    scanner: str
