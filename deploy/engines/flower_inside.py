"""Every name of Flower's that is not public and that the coordinator's side needs.

`tests/deploy/test_flower_as_pinned.py` fails loudly when a version of Flower moves one of them.
"""

from __future__ import annotations

import hashlib
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx
from flwr.app import Message, RecordDict
from flwr.cli.build import build_fab_from_files
from flwr.common.serde import fab_to_proto, run_from_proto
from flwr.proto.control_pb2 import ListNodesRequest, RegisterNodeRequest, StartRunRequest
from flwr.proto.runtime_pb2 import AcquireTaskRequest, PullTaskInputRequest, PushTaskOutputRequest
from flwr.supercore.constant import TaskType
from flwr.supercore.control import ControlHttpClient as ControlHttpClient
from flwr.supercore.fab import Fab
from flwr.supercore.heartbeat import HeartbeatSender, make_task_heartbeat_fn_http
from flwr.supercore.inflatable.inflatable_utils import (
    ObjectPullError,
    ObjectUnavailableError,
    pull_objects,
)
from flwr.supercore.interceptors import RuntimeVersionHttpInterceptor, SuperExecAuthHttpInterceptor
from flwr.supercore.retry import RetryInvoker, exponential
from flwr.supercore.runtime import RuntimeHttpClient
from flwr.supercore.task_identity import TaskIdentity
from flwr.superlink.grid import HttpGrid, http_grid

# Flower's codes for a message, a reply or a node that is not there; its own enumeration is not public.
LOST = (3, 4, 5)
RETRIES = 600.0  # seconds for which a coordinator that is away is asked again
LONGEST_PAUSE = 5  # seconds between two attempts
ACQUIRE = "/flwr.proto.Runtime/AcquireTask"
Failure = httpx.HTTPError
SOON, LATER = 0.02, 1.0  # pauses while an object is on its way, in seconds; Flower's own first one is 1 s


def control(address: str, certificate: bytes) -> ControlHttpClient:
    """A connection for registering nodes and starting runs."""
    return ControlHttpClient.from_server_address(
        server_address=address,
        insecure=False,
        root_certificates=certificate,
        interceptors=[RuntimeVersionHttpInterceptor(component_name="flwr CLI")],
    )


def answers(client: ControlHttpClient) -> bool:
    """Whether the coordinator is there yet."""
    try:
        client.ListNodes(ListNodesRequest())
    except httpx.TransportError:
        return False
    return True


def register(client: ControlHttpClient, key: bytes, name: str) -> int:
    """Let the node with this public key (PEM) in; its number."""
    return int(client.RegisterNode(RegisterNodeRequest(public_key=key, name=name)).node_id)


def start_run(client: ControlHttpClient, files: dict[str, bytes]) -> int:
    """Ship a bundle of these files and start it; the run's number."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what Flower itself uses
        content, _ = build_fab_from_files(dict[str, bytes | Path](files))
    fab = Fab(hashlib.sha256(content).hexdigest(), content, {})
    return int(client.StartRun(StartRunRequest(fab=fab_to_proto(fab))).run_id)


@contextmanager
def server_task(address: str, certificate: bytes, secret: bytes, patience: float) -> Iterator[NodeGrid]:
    """A Grid of the run that waits for its ServerApp: this process is it. Inside, heartbeats keep it ours.

    Raises `Failure` where none waits within `patience` seconds.
    """
    token = _token(address, certificate, secret, patience)
    grid = NodeGrid(address, insecure=False, root_certificates=certificate, token=token)
    alive = HeartbeatSender(_quiet(grid))
    outcome = "failed"
    try:
        given = grid.client.PullTaskInput(PullTaskInputRequest())
        TaskIdentity.task_id, TaskIdentity.run_id = given.task_id, given.run.run_id
        TaskIdentity.node_id = given.context.node_id
        grid.set_run(run_from_proto(given.run))
        alive.start()
        yield grid
        outcome = "completed"
    finally:
        grid.patience(0.0)
        with suppress(httpx.HTTPError):  # it is being taken down in any case
            grid.client.PushTaskOutput(PushTaskOutputRequest(sub_status=outcome, details=""))
        if alive.is_running:
            alive.stop()
        grid.close()


class NodeGrid(HttpGrid):
    """Flower's Grid, for hospitals that go and come back.

    A node that is killed loses the messages that it had taken, and nobody tells the coordinator; one that was
    away for a minute is reported gone. Here such a message is sent again once its node has signed on anew:
    hospitals answer one question once, however often it is asked. Only who stays away longer than `away`
    seconds is reported gone.
    """

    LOOK_EVERY = 0.5  # seconds between two looks at who signed on

    def __init__(
        self,
        address: str,
        *,
        insecure: bool,
        root_certificates: bytes | None,
        token: str,
        away: float = 120.0,
    ) -> None:
        super().__init__(address, insecure, root_certificates, token=token)
        # Flower's own invoker interrupts the process where it is refused: this process is not only a Grid.
        self._retry_invoker = RetryInvoker(
            lambda: exponential(max_delay=LONGEST_PAUSE),
            httpx.TransportError,
            max_tries=None,
            max_time=RETRIES,
        )
        self._away = away
        self._asked: dict[str, _Asked] = {}
        self._looked = 0.0

    @property
    def client(self) -> RuntimeHttpClient:
        """The runtime interface of the coordinator."""
        return self._runtime_client

    def patience(self, seconds: float) -> None:
        """How long a coordinator that does not answer is asked again."""
        self._retry_invoker.max_time = seconds

    def create_message(
        self,
        content: RecordDict,
        message_type: str,
        dst_node_id: int,
        group_id: str,
        ttl: float | None = None,
    ) -> Message:
        """A message to that node."""
        return Message(content, dst_node_id, message_type, ttl=ttl, group_id=group_id)

    def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
        """Send; gives their identifiers, in order."""
        sent = list(messages)
        signed_on = self._signed_on()
        names = [str(name) for name in super().push_messages(sent)]
        for name, message in zip(names, sent, strict=True):
            self._asked[name] = _Asked(message, name, signed_on.get(message.metadata.dst_node_id, ""))
        return names

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        """The replies that have come, to the identifiers that `push_messages` gave."""
        asked = {name: self._asked[name] for name in message_ids if name in self._asked}
        if time.monotonic() - self._looked > self.LOOK_EVERY:
            self._ask_again(asked.values())
        under_way = {each.name: first for first, each in asked.items() if each.lost is None}
        came = [
            message
            for first, each in asked.items()
            if (message := each.lost) is not None and time.monotonic() - each.since > self._away
        ]
        with _given_up(lambda: self._is_anew(asked.values())):
            came += super().pull_messages(under_way) if under_way else []
        replies = []
        for reply in came:
            name = reply.metadata.reply_to_message_id
            first = under_way.get(name) or next(f for f, each in asked.items() if each.lost is reply)
            each = asked[first]
            if each.lost is None and reply.has_error() and reply.error.code in LOST:
                each.lost, each.since = reply, time.monotonic()
                continue
            del self._asked[first]
            reply.metadata.__dict__["_reply_to_message_id"] = first
            replies.append(reply)
        return replies

    def _signed_on(self) -> dict[int, str]:
        """Node -> when it signed on last, of those that are there."""
        self._looked = time.monotonic()
        return {node.node_id: node.last_activated_at for node in self.get_nodes()}

    def _is_anew(self, asked: Iterable[_Asked]) -> bool:
        """Whether one of these nodes has begun another life since it was asked; looks once in a while."""
        if time.monotonic() - self._looked < self.LOOK_EVERY:
            return False
        signed_on = self._signed_on()
        return any(signed_on.get(each.node, each.signed_on) != each.signed_on for each in asked)

    def _ask_again(self, asked: Iterable[_Asked]) -> None:
        """Send again what was lost, and what was sent to a node's former life."""
        signed_on = self._signed_on()
        for each in asked:
            now = signed_on.get(each.node)
            if now is None or (now == each.signed_on and each.lost is None):
                continue
            old = each.message.metadata
            each.message = self.create_message(
                each.message.content, old.message_type, old.dst_node_id, old.group_id, old.ttl
            )
            [each.name] = super().push_messages([each.message])
            each.signed_on, each.lost = now, None


@dataclass(eq=False)
class _Asked:
    """A message under way: its name when sent last, in which life of its node; lost as what, since when."""

    message: Message
    name: str
    signed_on: str
    lost: Message | None = None
    since: float = 0.0

    @property
    def node(self) -> int:
        """Whom it was sent to."""
        return int(self.message.metadata.dst_node_id)


_give_up: list[Callable[[], bool]] = []


@contextmanager
def _given_up(when: Callable[[], bool]) -> Iterator[None]:
    """Inside, waiting for an object that is on its way ends once `when` says that it never will be there."""
    _give_up.append(when)
    try:
        yield
    finally:
        _give_up.remove(when)


def _pull_objects(object_ids: list[str], pull_object_fn: Callable[[str], bytes]) -> dict[str, bytes]:
    """Flower's own, with shorter pauses, and an end where the sender was killed while it was sending."""

    def pull(name: str) -> bytes:
        try:
            return pull_object_fn(name)
        except ObjectUnavailableError:
            if any(when() for when in _give_up):
                raise ObjectPullError(name, "its sender has begun anew") from None
            raise

    return pull_objects(object_ids, pull, initial_backoff=SOON, backoff_cap=LATER)


vars(http_grid).update(pull_objects=_pull_objects)


def _token(address: str, certificate: bytes, secret: bytes, patience: float) -> str:
    """The token of the ServerApp's task."""
    client = RuntimeHttpClient.from_server_address(
        server_address=address,
        insecure=False,
        root_certificates=certificate,
        interceptors=[
            RuntimeVersionHttpInterceptor(component_name="flwr-serverapp"),
            SuperExecAuthHttpInterceptor(master_secret=secret, protected_methods=frozenset({ACQUIRE})),
        ],
    )
    until = time.monotonic() + patience
    try:
        while True:
            given = client.AcquireTask(AcquireTaskRequest(supported_task_types=[TaskType.SERVER_APP]))
            if given.HasField("task") and given.token:
                return str(given.token)
            if time.monotonic() > until:
                raise httpx.ReadTimeout("the coordinator has no run that waits for its server")
            time.sleep(0.05)
    finally:
        client.close()


def _quiet(grid: NodeGrid) -> Callable[[], bool]:
    """A heartbeat that interrupts nothing where it fails: the next one may not."""
    beat = make_task_heartbeat_fn_http(grid.client)

    def beats() -> bool:
        try:
            return beat()
        except (httpx.HTTPError, KeyboardInterrupt):
            return True

    return beats
