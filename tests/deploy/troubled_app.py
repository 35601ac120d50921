"""The hospitals' own app, but for one hospital that has a marker file beside its data.

Workers of the local engine import it by this name: it stands in a module of its own.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path

from flwr.app import Context, Message
from flwr.clientapp import ClientApp

from client import gate
from client.app import handle
from client.hospital import Settings
from ground.errors import FederationError
from tasks.messages import pack_reply, unpack_instruction

app = ClientApp()


def marker(settings: Settings, trouble: str) -> Path:
    """While this file exists the hospital is in that trouble; the file holds the round."""
    return Path(settings.sources[0]).with_suffix(f".{trouble}")


def troubled(message: Message, context: Context) -> Message:
    """Die once ("killed"), or refuse for as long as that round is asked ("ill")."""
    settings, instruction = Settings.from_config(context.node_config), unpack_instruction(message.content)
    killed, ill = marker(settings, "killed"), marker(settings, "ill")
    if killed.exists() and instruction.round == int(killed.read_text()):
        killed.unlink()
        os.kill(os.getpid(), signal.SIGKILL)
    if ill.exists() and instruction.round == int(ill.read_text()):
        reply = gate.refusal(FederationError("no memory left"), instruction, settings)
        return Message(pack_reply(reply), reply_to=message)
    return handle(message, context)


app.query()(troubled)
app.train()(troubled)
app.evaluate()(troubled)
