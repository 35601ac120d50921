"""Numbers made smaller for slow links, without losing a bit.

The bytes of floating-point numbers are put side by side by their place (all first bytes, then all second
ones, as blosc and HDF5 do), block by block, and deflated: signs and exponents of neighbours are alike, the
low bits of their fractions are not. Updates become about a sixth smaller, and those that move a part of the
model alone much smaller (`benchmarks/links.py`). Masked words look random and stay as they are.

A block is its length in four bytes, little-endian, then the deflated bytes; it holds `BLOCK` bytes of
numbers, the last of them what is left.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt

BLOCK = 2**20  # bytes of numbers; a multiple of every width
# Made smaller only where the first block becomes smaller than this share of itself.
WORTH_IT = 0.95
Bytes = npt.NDArray[np.uint8]


def deflate(values: npt.NDArray[np.generic]) -> bytes | None:
    """The numbers, smaller; None where it is not worth it."""
    flat = np.ascontiguousarray(values).reshape(-1)
    room, width = flat.view(np.uint8), flat.dtype.itemsize
    blocks = []
    for start in range(0, room.size, BLOCK):
        # Runs and frequent bytes are all there is: looking for longer likenesses finds chance, and slower.
        packer = zlib.compressobj(strategy=zlib.Z_RLE)
        block = packer.compress(_by_place(room[start : start + BLOCK], width).data) + packer.flush()
        if start == 0 and len(block) > WORTH_IT * min(BLOCK, room.size):
            return None
        blocks.append(len(block).to_bytes(4, "little") + block)
    return b"".join(blocks) if blocks else None


def inflate(pieces: Iterable[bytes | memoryview], values: npt.NDArray[np.generic]) -> None:
    """Fill these flat numbers with what `deflate` made of them, cut anywhere.

    Raises ValueError on anything else; what claims to be more than fits is never unpacked.
    """
    room, width, end = values.view(np.uint8), values.dtype.itemsize, 0
    for block in _blocks(pieces):
        size = min(BLOCK, room.size - end)
        unpacker = zlib.decompressobj()
        try:
            plain = unpacker.decompress(block, size)
        except zlib.error as error:
            raise ValueError("not deflated") from error
        if len(plain) != size or size == 0 or unpacker.decompress(unpacker.unconsumed_tail, 1):
            raise ValueError("a block of another size")
        room[end : end + size] = _in_order(np.frombuffer(plain, dtype=np.uint8), width)
        end += size
    if end != room.size:
        raise ValueError("fewer numbers than there should be")


def _blocks(pieces: Iterable[bytes | memoryview]) -> Iterator[bytes]:
    """The deflated blocks, put together from pieces."""
    held = bytearray()
    for piece in pieces:
        held += piece
        while len(held) >= 4 and len(held) >= (whole := 4 + int.from_bytes(held[:4], "little")):
            yield bytes(held[4:whole])
            del held[:whole]
    if held:
        raise ValueError("it ends within a block")


def _by_place(block: Bytes, width: int) -> Bytes:
    return np.ascontiguousarray(block.reshape(-1, width).T)


def _in_order(block: Bytes, width: int) -> Bytes:
    return block.reshape(width, -1).T.reshape(-1)
