"""The hospital's Flower ClientApp: unpack, call, pack. The same object runs on every engine."""

from __future__ import annotations

import logging
import os
import traceback
from pathlib import Path

import torch
from flwr.app import Context, Message
from flwr.clientapp import ClientApp

from client import admission, gate, recording
from client.hospital import Settings, at_home
from client.memory import Store
from client.training import answer
from ground.errors import LaennecError
from tasks.messages import Instruction, Reply, pack_reply, unpack_instruction

log = logging.getLogger("laennec.client")
app = ClientApp()
# The hospital's own log holds tracebacks; beyond this size the older half of it goes.
LONGEST_LOG = 2**20


def handle(message: Message, context: Context) -> Message:
    """One message in, one message out; an error becomes a reply that names it."""
    torch.set_num_threads(1)  # sums in one order: the same model whatever the number of workers
    instruction = unpack_instruction(message.content)
    settings = Settings.from_config(context.node_config)
    try:
        if settings.governed:
            settings = admission.admit(instruction, settings)
        with at_home(settings):
            reply = answer(instruction, settings, Store(settings.home, instruction.digest, context.state))
        if settings.governed:
            admission.check_size(reply, settings)
            recording.answered(instruction, settings)
    except Exception as error:
        # The traceback may quote a patient: only for whoever turns debugging on at the hospital.
        log.debug("%s round %d failed", instruction.phase, instruction.round, exc_info=True)
        if settings.home is not None:
            _write_log(settings.home / "log", traceback.format_exc())
        if not settings.discloses:
            log.warning("%s round %d refused: %s", instruction.phase, instruction.round, _said(error))
        reply = _refusal(error, instruction, settings)
    return Message(pack_reply(reply), reply_to=message)


def _refusal(error: Exception, instruction: Instruction, settings: Settings) -> Reply:
    reply = gate.refusal(error, instruction, settings)
    return recording.refused(reply, error, settings) if settings.governed else reply


def _write_log(file: Path, text: str) -> None:
    """Append to the hospital's own log, which may quote a patient: readable by its owner alone."""
    file.parent.mkdir(parents=True, exist_ok=True)
    if file.exists() and file.stat().st_size > LONGEST_LOG:
        file.replace(file.with_name(f"{file.name}.1"))
    with os.fdopen(
        os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "a", encoding="utf-8"
    ) as log_file:
        log_file.write(text)


def _said(error: Exception) -> str:
    """Our own words, which repeat no value; of a foreign error only its kind."""
    return str(error) if isinstance(error, LaennecError) else type(error).__name__


app.query()(handle)
app.train()(handle)
app.evaluate()(handle)
