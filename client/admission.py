"""Whether this hospital answers an instruction at all: digest, approval, hours, size.

All of it before a patient is read. The ε book refuses by itself, at enrolment and before every release
(`client.booking`). What came of an instruction is written into the journal (`client.recording`).
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from functools import lru_cache

import torch

from client import approval, backup
from client.home import Home
from client.hospital import Settings
from ground.errors import ApprovalError, DeclinedError, StudyError, UsageError
from tasks.messages import Instruction, Reply
from tasks.registry import find
from tasks.study import Study, parse

# Bytes that a value of the model has in a reply, at the least.
VALUE_BYTES = 4


def admit(instruction: Instruction, settings: Settings) -> Settings:
    """The settings with which the instruction is answered, its patients those of the archive.

    Raises StateError where the home was put back from a backup and nobody said yet what is missing,
    StudyError where the text has another digest, ApprovalError where nobody approved it, LaterError outside
    the hours, TaskError where its task is not installed, UsageError where the reply would be larger
    than what may leave.
    """
    if settings.home is None:
        raise UsageError(f"hospital {settings.name} has no home: make one with `laennec hospital init`")
    home = Home.open(settings.home)
    backup.check(home.path)
    study = _study(instruction)
    try:
        approval.check(home, study)
    except DeclinedError:  # a person decided: it does not wait for them once more
        raise
    except ApprovalError:
        approval.offer(home, instruction.study)
        raise
    home.limits.check_hours(instruction.phase, datetime.now().astimezone())
    home.limits.check_upload(_least_reply(study.task, study.task_version))
    torch.set_num_threads(home.limits.learning_threads())
    sources = (*settings.sources, *home.sources(study.task))
    return replace(settings, sources=tuple(dict.fromkeys(sources)))


def check_size(reply: Reply, settings: Settings) -> None:
    """Raises UsageError where the reply is larger than what may leave."""
    if settings.home is not None:
        vector = 0 if reply.vector is None else reply.vector.nbytes
        Home.open(settings.home).limits.check_upload(vector + len(reply.secure))


def _study(instruction: Instruction) -> Study:
    study = parse(instruction.study)
    if study.digest != instruction.digest:
        raise StudyError("the study's text does not have the digest that was sent with it: refused")
    return study


@lru_cache(maxsize=16)
def _least_reply(task_name: str, version: int) -> int:
    """The fewest bytes of a reply that carries an update; 0 where the task does not learn by gradients."""
    task = find(task_name, version)
    if task.learner is not None:
        return 0
    return VALUE_BYTES * sum(value.numel() for value in task.model().parameters())
