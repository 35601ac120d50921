"""What the hospital lends to studies, and no more: processors, memory, hours of the day, size of a reply."""

from __future__ import annotations

import os
import re
import resource
import sys
from datetime import datetime, time, timedelta
from typing import Annotated

from pydantic import AfterValidator, Field

from ground.errors import LaterError, UsageError
from ground.strict import Table

# Phases that read patients. The others only help to open a sum that was computed before, in milliseconds:
# at the end of the hours a round that was begun is not thrown away.
READING = ("enrol", "count", "train", "report")
MEGABYTE = 10**6


def _hours(text: str) -> str:
    found = re.fullmatch(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)", text)
    if found is None or text[:5] == text[6:]:
        raise ValueError('hours are two times of day, as in "19:00-07:00"')
    return text


class Limits(Table):
    """The [limits] table of hospital.toml. What is absent is not limited.

    Attributes:
        threads: processors that a study may keep busy.
        memory_megabytes: memory that the node's process may allocate, in 10⁶ bytes.
        hours: when patients may be read, as in "19:00-07:00", by this machine's time zone.
        upload_megabytes: the most that one reply may hold, in 10⁶ bytes.

    """

    threads: Annotated[int, Field(ge=1, le=4096)] | None = None
    memory_megabytes: Annotated[int, Field(ge=256)] | None = None
    hours: Annotated[str, AfterValidator(_hours)] | None = None
    upload_megabytes: Annotated[float, Field(gt=0.0, allow_inf_nan=False)] | None = None

    def seconds_to_wait(self, now: datetime) -> float:
        """How long until the hours begin; 0 within them. `now` in the time zone that they are meant in."""
        if self.hours is None:
            return 0.0
        begin, end = (time.fromisoformat(part) for part in self.hours.split("-"))
        at = now.time().replace(tzinfo=None)
        inside = begin <= at < end if begin < end else at >= begin or at < end
        if inside:
            return 0.0
        opening = now.replace(hour=begin.hour, minute=begin.minute, second=0, microsecond=0)
        if opening <= now:
            opening += timedelta(days=1)
        return (opening - now).total_seconds()

    def check_hours(self, phase: str, now: datetime) -> None:
        """Raises LaterError, which says when, where patients would be read outside the hours."""
        wait = self.seconds_to_wait(now) if phase in READING else 0.0
        if wait:
            raise LaterError(
                f"training runs here in {self.hours} ({now.tzname() or 'local time'}), and it is "
                f"{now:%H:%M}: ask again at {now + timedelta(seconds=wait):%H:%M}",
                wait,
            )

    def check_upload(self, size: int) -> None:
        """Raises UsageError where a reply of `size` bytes is more than may leave."""
        if self.upload_megabytes is not None and size > self.upload_megabytes * MEGABYTE:
            raise UsageError(
                f"a reply to this study has {size / MEGABYTE:.1f} MB, and this hospital sends at most "
                f"{self.upload_megabytes:g} MB: make the model smaller, or raise upload-megabytes there"
            )

    def enforce(self) -> None:
        """Bind this process, and all that it starts, to the processors and the memory allowed.

        Processors by the kernel's affinity mask, where there is one, which no thread pool can leave. Memory
        by RLIMIT_DATA: it counts what a process can write to, where RLIMIT_AS would also count the gigabytes
        of address space that libraries map and never touch. Beyond it an allocation fails, the study gets a
        refusal, and the machine lives on. Raises UsageError where the limit is already exceeded.
        """
        if self.threads is not None:
            _bind(self.threads)
        if self.memory_megabytes is not None:
            _cap(self.memory_megabytes * MEGABYTE)

    def learning_threads(self) -> int:
        """How many threads torch uses: one, whose sums come in one order, unless more were allowed."""
        return 1 if self.threads is None else self.threads

    def shown(self) -> dict[str, str]:
        """Each limit in words, for `status`."""
        return {
            "processors": "not limited" if self.threads is None else str(self.threads),
            "memory": _or_none(self.memory_megabytes, "MB"),
            "hours": "always" if self.hours is None else self.hours,
            "size of a reply": _or_none(self.upload_megabytes, "MB"),
        }


def _bind(threads: int) -> None:
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[variable] = str(threads)  # for libraries not loaded yet
    if sys.platform == "linux":
        allowed = sorted(os.sched_getaffinity(0))
        first = os.getpid() % len(allowed)  # several hospitals on one machine do not all take the same
        chosen = (allowed[first:] + allowed[:first])[:threads]
        for task in os.listdir("/proc/self/task"):  # noqa: PTH208 - numbers, not paths
            os.sched_setaffinity(int(task), chosen)


def _cap(size: int) -> None:
    kind = resource.RLIMIT_DATA if sys.platform == "linux" else resource.RLIMIT_AS
    _, hard = resource.getrlimit(kind)
    size = size if hard == resource.RLIM_INFINITY else min(size, hard)
    try:
        resource.setrlimit(kind, (size, hard))
    except (OSError, ValueError) as error:
        raise UsageError(f"a memory limit of {size // MEGABYTE} MB cannot be set: raise it") from error


def _or_none(value: float | None, unit: str) -> str:
    return "not limited" if value is None else f"{value:g} {unit}"
