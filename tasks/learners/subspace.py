"""What the coordinator does with products: subspace iteration, deflation, and the angles between results.

The weights of partial least squares (its SVD form: McIntosh and Lobaugh 2004, NeuroImage 23:S250) are the
singular vectors of the cross-product M = XᵀY of two standardised tables. M has 10⁵ × 10⁶ cells and is never
formed: block power iteration (Golub and Van Loan, Matrix Computations, section 8.2.4; with noise, Hardt and
Price 2014) needs MᵀU and MV alone. Components that were found before are taken out of the products: M −
U₀S₀V₀ᵀ (deflation).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Block = npt.NDArray[Any]


@dataclass(frozen=True, eq=False)
class Components:
    """Singular triples of M, largest first.

    Attributes:
        left: shape (row, component), orthonormal.
        values: shape (component,).
        right: shape (column, component), orthonormal.

    """

    left: Block
    values: Block
    right: Block

    def first(self, count: int) -> Components:
        """The largest `count`."""
        return Components(self.left[:, :count], self.values[:count], self.right[:, :count])

    def and_then(self, later: Components) -> Components:
        """These, and those that were found after them."""
        return Components(
            np.concatenate([self.left, later.left], axis=1),
            np.concatenate([self.values, later.values]),
            np.concatenate([self.right, later.right], axis=1),
        )

    def without(self, product: Block, block: Block, *, right: bool) -> Block:
        """The product of M with `block`, less what these components give: that of M − USVᵀ.

        `right` where the block has M's columns, so that the product is M V; else it is MᵀU.
        """
        mine, other = (self.left, self.right) if right else (self.right, self.left)
        left: Block = product - (mine * self.values) @ (other.T @ block)
        return left


def start(size: int, columns: int, seed: list[int]) -> npt.NDArray[np.float32]:
    """A random orthonormal block, shape (size, columns): the same for the same seed."""
    drawn = np.random.default_rng(seed).standard_normal((size, columns), dtype=np.float32)
    return orthonormal(drawn)


def orthonormal(block: Block) -> npt.NDArray[np.float32]:
    """An orthonormal basis of the block's columns, shape kept."""
    found = np.linalg.qr(np.asarray(block, dtype=np.float64))[0]
    return found.astype(np.float32)


def rotated(product: Block, right: Block) -> Components:
    """The best singular triples within span(V), from the product M V, for orthonormal V (Rayleigh-Ritz)."""
    left, values, turned = np.linalg.svd(np.asarray(product, dtype=np.float64), full_matrices=False)
    return Components(left.astype(np.float32), values, np.asarray(right @ turned.T, dtype=np.float32))


def angles(first: Block, second: Block) -> Floats:
    """The angle between corresponding columns, whatever their sign, in degrees, shape (column,)."""
    a, b = (np.asarray(each, dtype=np.float64) for each in (first, second))
    a, b = a / np.linalg.norm(a, axis=0), b / np.linalg.norm(b, axis=0)
    b = b * np.where(np.einsum("ij,ij->j", a, b) < 0, -1.0, 1.0)
    # Of nearly equal vectors the chord is exact where the cosine is not.
    found: Floats = np.degrees(2.0 * np.arcsin(np.clip(np.linalg.norm(a - b, axis=0) / 2.0, 0.0, 1.0)))
    return found
