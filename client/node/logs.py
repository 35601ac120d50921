"""One log for the node's processes, in which no patient's value can stand.

A traceback, or the text of somebody else's exception, may quote a cell of a table. So of any exception the
log says the kind, or our own errors' words, which repeat no value; and only Flower's and our own messages
are written at all.
"""

from __future__ import annotations

import logging
import logging.handlers
import sys
from pathlib import Path
from types import TracebackType

from ground.errors import LaennecError

OURS = ("laennec", "flwr", "uvicorn", "node")
BIGGEST = 4 << 20  # bytes, then the log becomes log.1


class _Plain(logging.Formatter):
    """Time, level, process, words; of an exception its kind."""

    def __init__(self, who: str) -> None:
        super().__init__()
        self._who = who

    def format(self, record: logging.LogRecord) -> str:
        words = " ".join(record.getMessage().split())
        if record.exc_info and record.exc_info[1] is not None:
            words = f"{words} ({said(record.exc_info[1])})"
        return f"{self.formatTime(record)} {record.levelname.lower()} {self._who}: {words}"


def said(error: BaseException) -> str:
    """Our own words, which repeat no value; of a foreign error only its kind."""
    return str(error) if isinstance(error, LaennecError) else type(error).__name__


def _is_ours(record: logging.LogRecord) -> bool:
    return record.name.split(".")[0] in OURS and bool(record.getMessage().strip())


def write_to(file: Path, who: str) -> None:
    """This process's messages go to that file from now on, under the name `who`, and nowhere else."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.touch(mode=0o600)
    handler = logging.handlers.WatchedFileHandler(file, encoding="utf-8")
    handler.setFormatter(_Plain(who))
    handler.addFilter(_is_ours)
    root = logging.getLogger()
    for former in root.handlers:
        if isinstance(former, logging.handlers.WatchedFileHandler):
            former.close()
    root.handlers = [handler]
    root.setLevel(logging.INFO)
    flower = logging.getLogger("flwr")
    flower.handlers.clear()
    flower.propagate = True
    flower.setLevel(logging.INFO)
    logging.getLogger("httpx").setLevel(logging.WARNING)
    logging.captureWarnings(capture=True)

    def unexpected(
        kind: type[BaseException],
        error: BaseException,
        trace: TracebackType | None,  # noqa: ARG001
    ) -> None:
        if not issubclass(kind, KeyboardInterrupt):
            logging.getLogger("node").error("ended: %s", said(error))

    sys.excepthook = unexpected


def turn_over(file: Path) -> None:
    """Begin a new log where this one is big; the last one is kept as log.1."""
    if file.is_file() and file.stat().st_size > BIGGEST:
        file.replace(file.with_name(f"{file.name}.1"))
