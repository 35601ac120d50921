"""How a heart lies in its body: the heart's frame in right, front and up."""

from __future__ import annotations

# Rows: the heart's x (to the RV), y (anterior) and z (apex to base) in right, front, up: the apex points to
# the left, to the front and down. Assumed, typical of an adult.
AXES: tuple[tuple[float, float, float], ...] = (
    (0.4969, 0.8249, 0.2683),
    (-0.6270, 0.1278, 0.7684),
    (0.6000, -0.5500, 0.5809),
)
