"""Compressed pictures of the JPEG family without the comments in their streams, and cut at their end.

JPEG and JPEG-LS: ITU-T T.81, annex B, and T.87, annex C; JPEG 2000: T.800, annex A.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

_START, _SCAN, _END, _COMMENT = 0xD8, 0xDA, 0xD9, 0xFE
# In the data of a scan 0xFF is followed by a small number or a restart; anything else is the next segment.
_AFTER_SCAN = re.compile(rb"\xff[\x80-\xcf\xd8-\xfe]")
# What a decoder needs of the application segments: JFIF's 16 bytes, JPEG-LS's and Adobe's colour transform.
_NEEDED = {0xE0: (b"JFIF\0", 16), 0xE8: (b"mrfx", 12), 0xEE: (b"Adobe", 14)}
_CODESTREAM = b"\xff\x4f\xff\x51"  # JPEG 2000: SOC and SIZ
_TILE, _TILE_DATA, _COMMENT_2000 = 0x90, 0x93, 0x64


def without_comments(stream: bytes) -> bytes:
    """The stream of one frame without comments, segments that no decoder needs, and what follows it.

    Raises ValueError where it is broken, or no stream of JPEG, JPEG-LS or JPEG 2000.
    """
    if stream.startswith(_CODESTREAM):
        cleaned = b"".join(_jpeg2000(stream))
    elif stream.startswith(bytes((0xFF, _START))):
        cleaned = b"".join(_jpeg(stream))
    else:
        raise ValueError("no stream of the JPEG family")
    return cleaned + b"\0" * (len(cleaned) & 1)


def _jpeg(stream: bytes) -> Iterator[bytes]:
    yield stream[:2]
    place = 2
    while True:
        marker, end = _segment(stream, place)
        if marker == _END:
            yield stream[place : place + 2]
            return
        if _is_kept(marker, stream[place + 4 : end]):
            yield stream[place:end]
        place = end
        if marker == _SCAN:
            found = _AFTER_SCAN.search(stream, place)
            if found is None:
                raise ValueError("a stream without an end")
            yield stream[place : found.start()]
            place = found.start()


def _jpeg2000(stream: bytes) -> Iterator[bytes]:
    yield stream[:2]
    place = 2
    while True:
        marker, end = _segment(stream, place)
        if marker == _TILE:
            break
        if marker != _COMMENT_2000:
            yield stream[place:end]
        place = end
    begin = place
    while stream[place : place + 2] == bytes((0xFF, _TILE)):
        length = int.from_bytes(stream[place + 6 : place + 10], "big")
        marker, header = _segment(stream, place)
        while marker != _TILE_DATA:
            marker, header = _segment(stream, header)
            if marker == _COMMENT_2000:
                raise ValueError("a comment within a tile")
        # 0: this part reaches to the end of the picture, a marker that its data cannot hold.
        after = place + length if length else stream.find(bytes((0xFF, _END)), header)
        if after < header:
            raise ValueError("a broken stream")
        place = after
    if stream[place : place + 2] != bytes((0xFF, _END)):
        raise ValueError("a stream without an end")
    yield stream[begin : place + 2]


def _segment(stream: bytes, place: int) -> tuple[int, int]:
    """The marker at this place and where what belongs to it ends."""
    if place < 0 or place + 2 > len(stream) or stream[place] != 0xFF:
        raise ValueError("a broken stream")
    marker = stream[place + 1]
    if marker in (_END, _TILE_DATA):
        return marker, place + 2
    length = int.from_bytes(stream[place + 2 : place + 4], "big")
    if length < 2 or place + 2 + length > len(stream):
        raise ValueError("a broken stream")
    return marker, place + 2 + length


def _is_kept(marker: int, content: bytes) -> bool:
    if marker == _COMMENT:
        return False
    if 0xE0 <= marker <= 0xEF:
        start, longest = _NEEDED.get(marker, (b"", 0))
        return bool(start) and content.startswith(start) and len(content) <= longest
    return True
