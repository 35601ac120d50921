"""The process that reads patients: it answers messages with the installed task, and stays warm.

    python -m client.node.executor PARENT FOLDER HOME [SETTINGS]

Models' code, patients that were read and plans stay loaded from one message to the next. What the coordinator
shipped beside its message, Flower's application bundle, is never opened here.
"""

from __future__ import annotations

import json
import logging
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from client.node import logs
from client.node.places import Places
from ground.files import replace_file
from ground.orphan import die_with

if TYPE_CHECKING:
    from flwr.app import Message

    from client.node.flower import Task, TaskSource

QUICKEST, SLOWEST, SHARE = 0.02, 0.5, 0.1
CLIENT_APP_RAISED = 2  # Flower's code; its own enumeration is not public
log = logging.getLogger("node")
Config = Mapping[str, str | bool | int]
Fault = Callable[[str], None]


class Executor:
    """Acquires one task after another from the SuperNode, for ever, and answers it.

    `config` gives the hospital's settings as Flower's node configuration holds them: they are the hospital's
    own, whatever the SuperNode was told. `fault` is called between the steps, for tests only.
    """

    def __init__(self, places: Places, config: Callable[[], Config], fault: Fault = lambda _: None) -> None:
        self._places, self._config, self._fault = places, config, fault
        self._source: TaskSource | None = None
        self._idle = 0.0

    def run(self) -> None:
        """For ever."""
        while True:
            self.once()

    def once(self) -> bool:
        """Answer one message if there is one, else wait a moment; whether there was one."""
        from client.node.flower import Failure

        try:
            source = self._source or self._connect()
            token = source.acquire()
        except (Failure, OSError):
            self._disconnect()
            self._wait()
            return False
        if token is None:
            self._wait()
            return False
        self._idle = 0.0
        self._fault("executor after acquire")
        try:
            with source.task(token) as task:
                self._fault("executor after input")
                self._answer(task)
        except Failure as error:  # its SuperNode is another by now: the coordinator will ask that one again
            log.warning("a reply could not be handed over and is kept: %s", type(error).__name__)
            self._disconnect()
        finally:
            self._tell(None)
        return True

    def _answer(self, task: Task) -> None:
        from flwr.app import Error, Message

        from client.app import app
        from client.node.flower import finish, send
        from tasks.carried import deflated

        self._tell(task.message)
        task.context.node_config = dict(self._config())
        try:
            reply = app(task.message, task.context)
            if reply.has_content():
                reply.content = deflated(reply.content)
        except Exception as error:  # a message that is none of ours
            log.exception("a message could not be answered")
            reply = Message(Error(CLIENT_APP_RAISED, type(error).__name__), reply_to=task.message)
        self._fault("executor before send")
        send(task, reply)
        self._fault("executor after send")
        finish(task)
        self._fault("executor after finish")

    def _connect(self) -> TaskSource:
        from client.node.flower import TaskSource

        address = self._places.address.read_text(encoding="utf-8")
        self._source = TaskSource(address, self._places.secret.read_bytes())
        return self._source

    def _disconnect(self) -> None:
        if self._source is not None:
            self._source.close()
            self._source = None

    def _wait(self) -> None:
        pause = min(SLOWEST, max(QUICKEST, SHARE * self._idle))
        self._idle += pause
        time.sleep(pause)

    def _tell(self, message: Message | None) -> None:
        """Note for the status file which study and round are being worked on; None for none."""
        doing: dict[str, object] = {"since": datetime.now(UTC).isoformat(timespec="seconds")}
        if message is not None:
            doing |= _named(message)
        with suppress(OSError):  # a disk that is full; what cannot be answered for it says so itself
            replace_file(self._places.work, json.dumps(doing))


def _named(message: Message) -> dict[str, object]:
    """Digest, phase and round that the message claims; they are checked where it is answered."""
    try:
        text = json.loads(str(message.content.config_records["text"]["json"]))
        return {
            "digest": str(text["digest"])[:64],
            "phase": str(text["phase"])[:16],
            "round": int(text["round"]),
        }
    except (KeyError, TypeError, ValueError):
        return {}


def _config_of(home: Path, settings: str | None) -> Callable[[], Config]:
    """The settings in a file, where the one-machine engine gave one; else the home's own, as they are now."""
    if settings is not None:
        fixed: Config = json.loads(Path(settings).read_text(encoding="utf-8"))
        return lambda: fixed
    from client.node.dwelling import config_of

    return config_of(home)


def main(arguments: list[str]) -> None:
    """Warm up, then answer until ended."""
    parent, folder, home, *settings = arguments
    die_with(int(parent))
    places = Places(Path(folder))
    logs.write_to(places.log, "executor")
    if not settings:
        from client.home import Home

        Home.open(Path(home)).limits.enforce()  # before torch is loaded, which counts processors
    import client.app
    import client.node.flower  # noqa: F401

    work(places, Path(home), settings[0] if settings else None)


def work(places: Places, home: Path, settings: str | None, fault: Fault = lambda _: None) -> None:
    """Answer until ended, everything having been imported."""
    logs.write_to(places.log, "executor")  # Flower sets up its own logging when it is imported
    Executor(places, _config_of(home, settings), fault).run()


if __name__ == "__main__":
    main(sys.argv[1:])
