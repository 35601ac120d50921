"""What is fuzzed: a function of some bytes each, which raises AssertionError where a promise is broken.

Called by hypothesis with small budgets (test_fuzz_*.py) and by atheris for as long as one likes (run.py).
"""

from __future__ import annotations

import io
import json
import logging
import math
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from flwr.app import Array as FlowerArray
from flwr.app import ArrayRecord, ConfigRecord, RecordDict
from pydicom import dcmread

from client.archive.reading import quiet, read_dicom
from client.deidentify import Pseudonyms, deidentify
from client.deidentify.streams import without_comments
from ground.errors import DataError, FederationError, StudyError
from tasks.messages import Reply, reply_from_text, reply_to_text, unpack_instruction, unpack_reply
from tasks.study import Study, parse

PSEUDONYMS = Pseudonyms(bytes(range(32)))
# What `planted.py` puts into its images.
SECRETS = ("quixotte", "dulcinea", "sancho", "panza", "windmill", "zwickmuehle", "zx-4711", "19371118")
LONGEST = 1000  # characters of an error's line


def dicom(content: bytes) -> None:
    """A file is cleaned and written, or refused with DataError; no error and no log quotes a patient."""
    with heard() as said:
        try:
            with quiet():
                dataset = dcmread(io.BytesIO(content), force=True)
                len(dataset)
        except Exception:  # what is not DICOM is for `read_dicom` to say
            dataset = None
        if dataset is not None:
            with quiet():
                try:
                    cleaned = deidentify(dataset, PSEUDONYMS)
                except DataError as error:
                    said.append(str(error))
                else:
                    assert cleaned.patient.startswith("P-")
                    said.extend(cleaned.suspicions)
                    _written(cleaned.dataset)
        with tempfile.NamedTemporaryFile(suffix=".dcm") as file:
            file.write(content)
            file.flush()
            read = read_dicom(Path(file.name), PSEUDONYMS)
        assert read.outcome in ("stored", "skipped", "damaged")
        said.extend((read.kind, read.patient, *read.reasons))
    unsaid(said)


def stream(content: bytes) -> None:
    """A compressed stream is cleaned twice alike, or refused with ValueError."""
    try:
        cleaned = without_comments(content)
    except ValueError:
        return
    assert without_comments(cleaned) == cleaned
    assert len(cleaned) <= len(content) + 1


def study(content: bytes) -> None:
    """A text is a study that is written and read again alike, or refused in one line."""
    try:
        found = parse(content.decode("utf-8", "surrogateescape"))
    except StudyError as error:
        one_line(str(error))
        return
    assert parse(found.to_toml()) == found
    assert parse(found.to_toml()).digest == found.digest
    assert Study.model_validate_json(found.model_dump_json(by_alias=True)) == found
    found.canonical().encode()
    found.to_toml().encode()


def instruction(content: bytes) -> None:
    """A message is an instruction, or refused with FederationError."""
    try:
        found = unpack_instruction(message(content))
    except FederationError as error:
        one_line(str(error))
        return
    for text in (found.study, found.digest, found.phase, *found.secure, *found.secure.values()):
        text.encode()
    assert found.stage == found.only_for("anybody").stage


def reply(content: bytes) -> None:
    """A message is a reply that is written and read again alike, or refused with FederationError."""
    try:
        found = unpack_reply(message(content))
    except FederationError as error:
        one_line(str(error))
        return
    again = reply_from_text(reply_to_text(found))
    assert _comparable(again) == _comparable(found)
    for text in (
        found.hospital,
        found.digest,
        found.secure,
        found.worker,
        *(found.error or ()),
        *found.metrics,
    ):
        text.encode()
    assert math.isfinite(found.noise)
    str(found.problem())


TARGETS: dict[str, Callable[[bytes], None]] = {
    "dicom": dicom,
    "stream": stream,
    "study": study,
    "instruction": instruction,
    "reply": reply,
}


def message(content: bytes) -> RecordDict:
    """A record with JSON, and after a zero byte an array whose shape and kind the bytes choose."""
    text, _, rest = content.partition(b"\0")
    record = ArrayRecord()
    if rest:
        kind = ("<f4", "<f8", "<u4", "<u8", "O", "<i2")[rest[0] % 6]
        shape = tuple(np.frombuffer(rest[1:5], "i1").tolist())
        record["vector"] = FlowerArray(dtype=kind, shape=shape, stype="laennec.raw", data=rest[5:])
    return RecordDict({"text": ConfigRecord({"json": text.decode("utf-8", "replace")}), "arrays": record})


def json_of(value: object) -> bytes:
    """JSON as a peer may send it, NaN and lone surrogates included."""
    return json.dumps(value).encode()


def one_line(text: str) -> None:
    """An error is one line of bearable length."""
    assert "\n" not in text
    assert "\r" not in text
    assert len(text) <= LONGEST, text[:200]


def unsaid(said: list[str]) -> None:
    """Nothing of what was said is a patient's."""
    heard_text = "\n".join(said).lower()
    assert not [secret for secret in SECRETS if secret in heard_text]


@contextmanager
def heard() -> Iterator[list[str]]:
    """What any logger says meanwhile."""
    said: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: said.append(record.getMessage())  # type: ignore[method-assign]
    root = logging.getLogger()
    root.addHandler(handler)
    try:
        yield said
    finally:
        root.removeHandler(handler)


def _written(dataset: object) -> None:
    """What was cleaned can be written and read again."""
    into = io.BytesIO()
    dataset.save_as(into, enforce_file_format=False)  # type: ignore[attr-defined]
    into.seek(0)
    str(dcmread(into, force=True))


def _comparable(found: Reply) -> str:
    return reply_to_text(found)
