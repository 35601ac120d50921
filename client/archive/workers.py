"""Reading and de-identifying in processes of their own, since that is what an import mostly waits for.

A decoder that a hostile file crashes takes a process with it and not the import. At most `AHEAD` bytes are on
their way, so that memory stays flat.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from client.archive.reading import CRASHED, Read, patient_of, read_dicom
from client.deidentify import Pseudonyms

MOST = 4
AHEAD = 32 << 20  # bytes of files that are being read before their turn
WORTH_IT = 300  # files: for fewer, starting processes takes longer than they save
Item = TypeVar("Item")


class Readers:
    """Reads DICOM files, in order, some ahead; `count` processes, or none for this one alone."""

    def __init__(self, pseudonyms: Pseudonyms, count: int) -> None:
        self._pseudonyms = pseudonyms
        self._count = count
        self._pool: ProcessPoolExecutor | None = None
        self._alone: ProcessPoolExecutor | None = None  # for files that were being read when a process died
        self._works = False  # whether a process has ever answered

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for pool in (self._pool, self._alone):
            if pool is not None:
                pool.shutdown(wait=False, cancel_futures=True)

    def ahead(
        self, items: Iterable[tuple[Item, Path | None, int]]
    ) -> Iterator[tuple[Item, Callable[[], list[Read]]]]:
        """Each item with what gives its reads, in order; an item without a path is not DICOM, its reads are
        none.

        Calling raises OSError where the file cannot be read.
        """
        waiting: deque[tuple[Item, Callable[[], list[Read]], int]] = deque()
        bytes_ahead = 0
        for item, path, size in items:
            waiting.append((item, self._begun(path), size))
            bytes_ahead += size
            while waiting and (bytes_ahead > AHEAD or len(waiting) > 64 or not self._count):
                done, reads, size = waiting.popleft()
                bytes_ahead -= size
                yield done, reads
        for done, reads, _ in waiting:
            yield done, reads

    def _begun(self, path: Path | None) -> Callable[[], list[Read]]:
        if path is None:
            return list
        if not self._count:
            return lambda: [read_dicom(path, self._pseudonyms)]
        if self._pool is None:
            self._pool = self._processes(self._count)
        pool = self._pool
        try:
            future = pool.submit(_read, path)
        except BrokenProcessPool:
            return lambda: [self._again(path, pool)]
        return lambda: [self._result(path, pool, future)]

    def _result(self, path: Path, pool: ProcessPoolExecutor, future: Future[Read]) -> Read:
        try:
            read = future.result()
        except BrokenProcessPool:
            return self._again(path, pool)
        self._works = True
        return read

    def _again(self, path: Path, broken: ProcessPoolExecutor) -> Read:
        """A process died, over this file or another that was read at the same time: this one by itself."""
        if self._pool is broken:
            self._pool = None
        if not self._works and self._alone is None:  # can a process be started here at all?
            self._alone = self._processes(1)
            try:
                self._alone.submit(os.getpid).result()
            except BrokenProcessPool:
                self._count = 0
        if not self._count:
            return read_dicom(path, self._pseudonyms)
        if self._alone is None:
            self._alone = self._processes(1)
        try:
            return self._alone.submit(_read, path).result()
        except BrokenProcessPool:
            self._alone = None
            return Read("damaged", "dicom", patient_of(path, self._pseudonyms), (CRASHED,))

    def _processes(self, count: int) -> ProcessPoolExecutor:
        return ProcessPoolExecutor(
            count,
            multiprocessing.get_context("spawn"),
            initializer=_begin,
            initargs=(self._pseudonyms,),
        )


def how_many(files: int) -> int:
    """How many processes are worth it for so many files; 0 for none beside this one."""
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return 0 if files < WORTH_IT or processors < 2 else min(MOST, processors)


# What runs in a reading process.

_own: list[Pseudonyms] = []


def _begin(pseudonyms: Pseudonyms) -> None:
    _own.append(pseudonyms)
    signal.signal(
        signal.SIGINT, signal.SIG_IGN
    )  # whoever presses Ctrl-C means the import, which ends this one
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """A killed import leaves nobody behind."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _read(path: Path) -> Read:
    return read_dicom(path, _own[0])
