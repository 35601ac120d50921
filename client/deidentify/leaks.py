"""Does anything that identified a patient in the source still stand in what was stored?

It looks for the values of the source as bytes: in the files as they are, in what is packed in them, in what
DICOM attributes and SQLite tables say once decoded; as UTF-8 and UTF-16, in upper or lower case. It knows
nothing of how de-identification works, and so can find what that forgot.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import re
import sqlite3
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydicom import Dataset, dcmread
from pydicom.uid import UID

_TEXTS = ("AE", "LO", "LT", "SH", "ST", "UC", "UR", "UT", "UN")
# Numbers of the patient and of her visits, and who treated her where: texts that are looked for whole.
_GROUPS = (0x0010, 0x0032, 0x0038, 0x0040)
_TAGS = {0x00080050, 0x00080080, 0x00080081, 0x00081010, 0x00081040, 0x00081080, 0x00181000, 0x00200010}
_SHORTEST = 5  # characters; shorter values turn up by chance among pixels, and are looked for in texts alone
_DUMPED = re.compile(r"^\((\w{4}),(\w{4})\) (\w\w) \[(.*)\]\s+#")  # a line of dcmdump


@dataclass
class Needles:
    """What to look for: text in lower case, and which attribute of the source said it."""

    texts: dict[str, str] = field(default_factory=dict)
    raw: dict[bytes, str] = field(default_factory=dict)

    def add_files(self, paths: Iterable[Path]) -> None:
        """Everything that identifies somebody in these DICOM files."""
        for path in paths:
            for element in dcmread(path, force=True, stop_before_pixels=True).iterall():
                self._add(int(element.tag), element.VR, element.value)

    def add_dump(self, text: str) -> None:
        """The same from what dcmdump printed; values that it cut short are left out."""
        for line in text.splitlines():
            found = _DUMPED.match(line)
            if found and not found[4].endswith("..."):
                for value in found[4].split("\\"):
                    self._add(int(found[1] + found[2], 16), found[3], value)

    def _add(self, tag: int, vr: str, value: Any) -> None:
        where = f"({tag >> 16:04X},{tag & 0xFFFF:04X})"
        private = bool(tag >> 16 & 1)
        if isinstance(value, bytes):
            if private and len(value) >= 8 and len(set(value)) > 3:
                self.raw[value[:64]] = where
            value = value.decode("latin-1") if value.isascii() else ""
        values = [str(each) for each in value] if hasattr(value, "insert") else [str(value or "")]
        for each in (text.strip(" \0") for text in values):
            if vr == "PN":
                self._texts(re.split(r"[\^= ]+", each), where, 3)
            elif vr == "UI" and each and UID(each).name == each:
                self._texts([each], where, _SHORTEST)
            elif vr in ("DA", "DT"):
                self._texts([each[:8], f"{each[:4]}-{each[4:6]}-{each[6:8]}"], where, 8)
            elif vr in _TEXTS and (private or tag >> 16 in _GROUPS or tag in _TAGS):
                self._texts([each, *re.split(r"[,;]\s*", each)], where, 3)

    def _texts(self, texts: Iterable[str], where: str, shortest: int) -> None:
        self.texts.update({text.lower(): where for text in texts if len(text) >= shortest})

    def found_in(self, folder: Path) -> dict[str, set[str]]:
        """Which attributes of the source stand in which files below the folder; {} is what one hopes for."""
        found = {}
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                where = self.found_in_bytes(path.read_bytes()) | self.found_in_bytes(path.name.encode())
                if where:
                    found[str(path.relative_to(folder))] = where
        return found

    def found_in_bytes(self, content: bytes) -> set[str]:
        """Which attributes of the source stand in these bytes."""
        found: set[str] = set()
        coded = [(each, where) for text, where in self.texts.items() for each in _codings(text)]
        for data, decoded in unpacked(content):
            lower = data.lower()
            found.update(where for value, where in coded if value in lower)
            found.update(where for value, where in self.raw.items() if value in data)
            if decoded:
                words = set(re.findall(rb"[a-z0-9]+", lower))
                found.update(where for text, where in self.texts.items() if text.encode() in words)
        return found


def _codings(text: str) -> Iterator[bytes]:
    if len(text) >= _SHORTEST:
        yield from (text.encode(code) for code in ("utf-8", "utf-16-le", "utf-16-be"))


def unpacked(content: bytes) -> Iterator[tuple[bytes, bool]]:
    """The bytes as they are, then all that is packed or written in them; whether it is text."""
    yield content, False
    for start, unpack in (
        (b"\x1f\x8b", gzip.decompress),
        (b"\xfd7zXZ", lzma.decompress),
        (b"BZh", bz2.decompress),
    ):
        if content.startswith(start):
            yield from unpacked(unpack(content))
    if content.startswith(b"PK\x03\x04"):
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            for name in archive.namelist():
                yield name.encode(), True
                yield from unpacked(archive.read(name))
    if content.startswith(b"SQLite format 3"):
        with sqlite3.connect(":memory:") as book:
            book.deserialize(content[:18] + b"\1\1" + content[20:])  # one with a log beside it opens, too
            yield "\n".join(book.iterdump()).encode(), True
        book.close()
    if content[128:132] == b"DICM":
        dataset = dcmread(io.BytesIO(content))
        yield "\n".join(_said(dataset)).encode("utf-8", "replace"), True
        try:
            picture = dataset.pixel_array.tobytes()
        except Exception:  # no picture, or none that can be decoded: its bytes were looked at above
            return
        if picture not in content:
            yield picture, False


def _said(dataset: Dataset) -> Iterator[str]:
    for element in (*dataset.file_meta, *dataset.iterall()):
        if element.VR != "SQ" and not isinstance(element.value, bytes):
            yield str(element.value)
