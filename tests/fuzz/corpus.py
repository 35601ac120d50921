"""What fuzzing begins with, and how it changes it."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import numpy as np
from hypothesis import strategies as st
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "tests" / "client" / "deidentify"))

from planted import bytes_of, planted  # noqa: E402

CHANGES = st.lists(
    st.tuples(
        st.floats(0, 1),
        st.sampled_from(["set", "insert", "cut", "end", "repeat"]),
        st.binary(min_size=1, max_size=8)
        | st.sampled_from([b"\xff\xff\xff\xff", b"\0\0\0\0", b"SQ", b"UN", b"\xfe\xff"]),
    ),
    min_size=1,
    max_size=6,
)


def changed(content: bytes, changes: list[tuple[float, str, bytes]]) -> bytes:
    """The bytes with some set, inserted, cut out, repeated, or all after a place left out."""
    for where, how, what in changes:
        place = int(where * len(content))
        if how == "set":
            content = content[:place] + what + content[place + len(what) :]
        elif how == "insert":
            content = content[:place] + what + content[place:]
        elif how == "cut":
            content = content[:place] + content[place + len(what) :]
        elif how == "repeat":
            content = content[:place] + content[max(place - 40, 0) :]
        else:
            content = content[:place]
    return content


def images() -> list[bytes]:
    """DICOM files with planted values, explicit and implicit."""
    return [bytes_of(planted()), bytes_of(planted(implicit=True))]


def streams() -> list[bytes]:
    """A JPEG and a JPEG 2000 with comments."""
    picture = Image.fromarray(np.arange(1024, dtype=np.uint8).reshape(32, 32))
    found = []
    for kind, more in (
        ("JPEG", {"comment": b"x", "progressive": True}),
        ("JPEG2000", {"comment": "x", "no_jp2": True}),
    ):
        into = io.BytesIO()
        picture.save(into, kind, **more)
        found.append(into.getvalue())
    return found


def studies() -> list[bytes]:
    """The examples."""
    return [path.read_bytes() for path in sorted((ROOT / "examples").glob("*.toml"))]
