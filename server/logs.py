"""The coordinator's log: one JSON object a line, which names the study, the round and the hospitals.

    {"time": "2026-11-23T20:15:03.120Z", "level": "warning", "logger": "laennec.study", "round": 7,
     "study": "heart-disease", "digest": "e3d845639dc2", "hospitals": ["lille"],
     "text": "waiting for lille, 40 s of 600 s; last seen 12 s ago"}

What any module says with `logging` becomes such a line, with the study that it is said `about`. Nothing of a
patient is known at the coordinator; of an error that is not ours only the kind is written.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Iterator, MutableMapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any

from tasks.study import Study

FILE = "log"
LOGGERS = ("laennec", "coordinator")
BIGGEST, KEPT = 8 * 2**20, 4  # bytes of one file, and how many older ones are kept
ORDER = ("time", "level", "logger", "study", "digest", "round", "hospitals", "text")
TAIL = 256 * 1024  # bytes that are looked through for the last lines

Fields = MutableMapping[str, Any]


@contextmanager
def logging_to(file: Path | None, *, errors: bool = False, level: int = logging.INFO) -> Iterator[None]:
    """Inside, what is logged goes into that file, and to standard error where `errors`.

    The file is its owner's alone; a full one makes room, so that a log never fills a disk. One process writes
    a file: each study and the coordinator have their own.
    """
    handlers: list[logging.Handler] = [logging.StreamHandler(sys.stderr)] if errors else []
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        handlers.append(_OwnersAlone(file, maxBytes=BIGGEST, backupCount=KEPT, encoding="utf-8"))
    with ExitStack() as stack:
        for handler in handlers:
            handler.setFormatter(formatter())
            handler.setLevel(level)
            stack.callback(handler.close)
        for logger in map(logging.getLogger, LOGGERS):
            stack.callback(setattr, logger, "propagate", logger.propagate)
            stack.callback(logger.setLevel, logger.level)
            logger.propagate = False  # libraries hang handlers of their own into the root
            logger.setLevel(min(level, logger.level or level))
            for handler in handlers:
                logger.addHandler(handler)
                stack.callback(logger.removeHandler, handler)
        yield


@contextmanager
def about(study: Study) -> Iterator[None]:
    """Inside, every line of this thread names the study."""
    from structlog.contextvars import bound_contextvars

    with bound_contextvars(study=study.name, digest=study.digest[:12]):
        yield


def formatter() -> logging.Formatter:
    """One JSON object a line, from any record."""
    import structlog

    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[
            structlog.contextvars.merge_contextvars,
            structlog.stdlib.add_log_level,
            structlog.stdlib.add_logger_name,
            structlog.stdlib.ExtraAdder(allow=("study", "digest", "round", "hospitals")),
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
        ],
        processors=[
            _without_traceback,
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.EventRenamer("text"),
            _in_order,
            structlog.processors.JSONRenderer(ensure_ascii=False, default=str),
        ],
    )


@dataclass(frozen=True)
class Logged:
    """One line of a log, as it is read again: `time` in ISO 8601, `level` in small letters."""

    time: str
    level: str
    text: str
    study: str
    digest: str
    round: int | None
    hospitals: tuple[str, ...]

    @property
    def bad(self) -> bool:
        """Whether somebody may have to do something."""
        return self.level not in ("debug", "info")


def latest(file: Path, count: int) -> list[Logged]:
    """The last lines of a log, the newest first; a line that is none of ours is passed over."""
    try:
        with file.open("rb") as stream:
            size = os.fstat(stream.fileno()).st_size
            stream.seek(max(0, size - TAIL))
            lines = stream.read().splitlines()[1 if size > TAIL else 0 :]
    except OSError:
        return []
    found: list[Logged] = []
    for line in reversed(lines):
        if len(found) == count:
            break
        if (read := _read(line)) is not None:
            found.append(read)
    return found


def _read(line: bytes) -> Logged | None:
    try:
        values = json.loads(line)
        number, hospitals = values.get("round"), values.get("hospitals", [])
        return Logged(
            time=str(values["time"]),
            level=str(values["level"]),
            text=str(values["text"]),
            study=str(values.get("study", "")),
            digest=str(values.get("digest", "")),
            round=number if isinstance(number, int) else None,
            hospitals=tuple(map(str, hospitals)) if isinstance(hospitals, list) else (),
        )
    except (ValueError, KeyError, AttributeError, RecursionError):
        return None


class _OwnersAlone(RotatingFileHandler):
    """Files that nobody but their owner reads; a full disk stops nothing."""

    def _open(self) -> Any:
        handle = os.open(self.baseFilename, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        return os.fdopen(handle, "a", encoding="utf-8", errors="backslashreplace")

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802, ARG002
        return


def _without_traceback(_logger: object, _name: str, entry: Fields) -> Fields:
    """Only the kind of an exception: its text, and its traceback, may quote anything."""
    raised = entry.pop("exc_info", None)
    if isinstance(raised, tuple) and raised[0] is not None:
        entry["error"] = raised[0].__name__
    entry.pop("stack_info", None)
    return entry


def _in_order(_logger: object, _name: str, entry: Fields) -> Fields:
    """What a person looks for first stands first; what is empty is left out."""
    named = {key: entry[key] for key in ORDER if key in entry and entry[key] not in (None, [], "")}
    return named | {key: value for key, value in entry.items() if key not in ORDER}
