"""The local engine: a Flower Grid in this process, or over a pool of warm worker processes.

No network, no serialisation to disk, no polling interval: a round costs what the training costs, and a
debugger steps through it. Each node's Context is kept here and travels with its message, so workers hold
nothing between rounds and any number of them gives the same model.
"""

from __future__ import annotations

import itertools
import multiprocessing
import signal
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from types import TracebackType

from flwr.app import DEFAULT_TTL, Context, Error, Message, Metadata, RecordDict
from flwr.clientapp import ClientApp
from flwr.proto.node_pb2 import NodeInfo
from flwr.serverapp import Grid
from flwr.supercore.run import Run

from client.hospital import Settings
from deploy.engines.faults import Drop
from deploy.engines.worker import warm_up

Outcome = tuple[Message, Context]
# Flower's codes for a ClientApp that raised and a node that is gone; its own enumeration is not public.
CLIENT_APP_RAISED, NODE_UNAVAILABLE = 2, 5


class LocalGrid(Grid):
    """One node for each hospital, numbered from 1 in the order given.

    With one worker, messages are answered inside `push_messages`; with more, by a pool that is started
    once. Use it as a context manager, so that the pool ends with it.
    """

    def __init__(
        self, app: ClientApp, hospitals: Sequence[Settings], workers: int = 1, drops: Sequence[Drop] = ()
    ) -> None:
        self._app = app
        self._names = {node: settings.name for node, settings in enumerate(hospitals, 1)}
        self._drops = drops
        self._contexts = {
            node: Context(1, node, dict(settings.to_config()), RecordDict(), {})
            for node, settings in enumerate(hospitals, 1)
        }
        self._numbers = itertools.count(1)
        self._jobs: dict[str, tuple[Message, Future[Outcome] | Outcome]] = {}
        self._workers = min(workers, len(hospitals))
        self._pool: ProcessPoolExecutor | None = None

    def __enter__(self) -> LocalGrid:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close_pool(at_once=error is not None)

    def set_run(self, run: Run) -> None:
        """Runs are not numbered here."""

    @property
    def run(self) -> Run:
        """There is only one."""
        return Run.create_empty(run_id=1)

    def create_message(
        self,
        content: RecordDict,
        message_type: str,
        dst_node_id: int,
        group_id: str,
        ttl: float | None = None,
    ) -> Message:
        """A message to that node."""
        metadata = Metadata(
            run_id=1,
            message_id=str(next(self._numbers)),
            src_node_id=0,
            dst_node_id=dst_node_id,
            reply_to_message_id="",
            group_id=group_id,
            created_at=time.time(),
            ttl=ttl or DEFAULT_TTL,
            message_type=message_type,
        )
        return Message(content=content, metadata=metadata)  # type: ignore[call-overload, no-any-return]

    def get_node_ids(self) -> Iterable[int]:
        """All nodes: they are there from the start."""
        return list(self._contexts)

    def get_nodes(self) -> Iterable[NodeInfo]:
        """All nodes."""
        return [NodeInfo(node_id=node) for node in self._contexts]

    def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
        """Start on each message; gives their identifiers, in order."""
        identifiers = []
        for message in messages:
            identifier = message.metadata.message_id
            self._jobs[identifier] = (message, self._start(message))
            identifiers.append(identifier)
        return identifiers

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        """The replies that are ready; waits a moment for the first where none is."""
        asked = [identifier for identifier in message_ids if identifier in self._jobs]
        futures = [job for identifier in asked if isinstance(job := self._jobs[identifier][1], Future)]
        if futures and len(futures) == len(asked):
            wait(futures, timeout=0.2, return_when="FIRST_COMPLETED")
        replies = []
        for identifier in asked:
            message, job = self._jobs[identifier]
            if isinstance(job, Future):
                if not job.done():
                    continue
                job = self._result(message, job)
            del self._jobs[identifier]
            reply, context = job
            self._contexts[message.metadata.dst_node_id] = context
            replies.append(reply)
        return replies

    def send_and_receive(
        self,
        messages: Iterable[Message],
        *,
        timeout: float | None = None,
    ) -> Iterable[Message]:
        """Push, then pull until all are in or `timeout` seconds are over."""
        raise NotImplementedError("the driver pushes and pulls, so that it can say whom it waits for")

    def _start(self, message: Message) -> Future[Outcome] | Outcome:
        node = message.metadata.dst_node_id
        context = self._contexts[node]
        if any(drop.hits(self._names[node], message) for drop in self._drops):
            return Message(Error(NODE_UNAVAILABLE, "dropped on purpose"), reply_to=message), context
        if self._workers <= 1:
            return _answer(self._app, message, context)
        try:
            return self._submit(message, context)
        except BrokenProcessPool:  # a worker died: this pool takes nothing more
            self._close_pool(at_once=True)
            return self._submit(message, context)

    def _submit(self, message: Message, context: Context) -> Future[Outcome]:
        """Hand it to the pool; a worker that this starts holds Ctrl-C back until `warm_up` lets it in."""
        if self._pool is None:
            self._pool = ProcessPoolExecutor(
                self._workers, multiprocessing.get_context("spawn"), initializer=warm_up
            )
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            return self._pool.submit(_answer, self._app, message, context)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def _result(self, message: Message, job: Future[Outcome]) -> Outcome:
        """What the worker gave; a worker that died is an error of that hospital."""
        try:
            return job.result()
        except BrokenProcessPool:
            error = Error(CLIENT_APP_RAISED, "its worker process died")
            return Message(error, reply_to=message), self._contexts[message.metadata.dst_node_id]

    def _close_pool(self, *, at_once: bool) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=not at_once, cancel_futures=True)
            self._pool = None


def _answer(app: ClientApp, message: Message, context: Context) -> Outcome:
    return app(message, context), context
