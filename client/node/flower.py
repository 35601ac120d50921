"""Every name of Flower's that is not public and that the node needs; nothing else of the node imports any.

`tests/client/node/test_flower_inside.py` fails loudly when a version of Flower moves one of them.
"""

from __future__ import annotations

import ssl
import sys
import time
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from email.utils import parsedate_to_datetime
from functools import partial
from typing import Any

import httpx
from flwr.app import Context, Message
from flwr.common.serde import context_from_proto
from flwr.proto.fleet_pb2 import DeactivateNodeRequest
from flwr.proto.node_pb2 import Node
from flwr.proto.runtime_pb2 import AcquireTaskRequest, PullAppMessagesRequest, PullTaskInputRequest
from flwr.supercore.constant import TaskType
from flwr.supercore.heartbeat import HeartbeatSender, make_task_heartbeat_fn_http
from flwr.supercore.inflatable.inflatable_protobuf_utils import (
    make_confirm_message_received_fn_protobuf,
    make_pull_object_fn_protobuf,
)
from flwr.supercore.inflatable.inflatable_utils import pull_and_inflate_object_from_tree
from flwr.supercore.interceptors import (
    RuntimeTokenHttpInterceptor,
    RuntimeVersionHttpInterceptor,
    SuperExecAuthHttpInterceptor,
)
from flwr.supercore.run import RunNotRunningException
from flwr.supercore.runtime import RuntimeHttpClient
from flwr.supercore.task_identity import TaskIdentity
from flwr.supernode import fleet_http_connection, node_auth_http_interceptor
from flwr.supernode import start_client_internal as inside
from flwr.supernode.cli import flower_supernode
from flwr.supernode.fleet_http_client import FleetHttpClient
from flwr.supernode.runtime.run_clientapp import push_message, push_task_output

ACQUIRE = "/flwr.proto.Runtime/AcquireTask"
COMPONENT = "flwr-clientapp"
COMPLETED = "completed"
# An object that is on its way is asked for again after so many seconds; Flower's own first pause is 1 s.
SOON, LATER = 0.02, 1.0
CLOCK_TOLERANCE = 2.0  # seconds by which clocks may differ and nothing is done
RECEIVING = ("pull_object", "confirm")
CALLS = ("receive", "send", "get_run", "get_fab", "pull_object", "push_object", "confirm")
INPUT_SECONDS = 60.0  # within which the message that belongs to a task is there
Failure = httpx.HTTPError


@dataclass(frozen=True)
class Task:
    """One message to answer, as the SuperNode handed it out."""

    client: RuntimeHttpClient
    message: Message
    context: Context


class TaskSource:
    """The SuperNode as its executor sees it; everything raises `Failure` where it does not answer."""

    def __init__(self, address: str, secret: bytes) -> None:
        self._address = address
        self._client = self._connect(
            SuperExecAuthHttpInterceptor(master_secret=secret, protected_methods=frozenset({ACQUIRE}))
        )

    def close(self) -> None:
        """Give the connection back."""
        self._client.close()

    def acquire(self) -> str | None:
        """The token of a task that waits; None where none does."""
        answer = self._client.AcquireTask(AcquireTaskRequest(supported_task_types=[TaskType.CLIENT_APP]))
        return str(answer.token) if answer.HasField("task") and answer.token else None

    @contextmanager
    def task(self, token: str) -> Iterator[Task]:
        """The task of that token, with its message; inside, heartbeats keep it ours.

        What came with it, the bundle that the coordinator sent, is not looked at.
        """
        client = self._connect(RuntimeTokenHttpInterceptor(token))
        alive = HeartbeatSender(_quiet(make_task_heartbeat_fn_http(client)))
        try:
            given = client.PullTaskInput(PullTaskInputRequest())
            TaskIdentity.task_id, TaskIdentity.run_id = given.task_id, given.run.run_id
            TaskIdentity.node_id = given.context.node_id
            context = context_from_proto(given.context)
            alive.start()
            yield Task(client, _message(client, context), context)
        finally:
            if alive.is_running:
                alive.stop()
            client.close()

    def _connect(self, *interceptors: Any) -> RuntimeHttpClient:
        return RuntimeHttpClient.from_server_address(
            server_address=self._address,
            insecure=True,  # both ends are on this machine's loopback
            root_certificates=None,
            interceptors=[RuntimeVersionHttpInterceptor(component_name=COMPONENT), *interceptors],
        )


def send(task: Task, reply: Message) -> None:
    """Hand the reply to the SuperNode, which sends it on."""
    push_message(task.client, reply, task.context)


def finish(task: Task) -> None:
    """Say that the task is done, and what is to be kept of it in Flower's context."""
    push_task_output(task.client, task.context, COMPLETED, "")


def _message(client: RuntimeHttpClient, context: Context) -> Message:
    """The message that belongs to the task; a task may be handed out a moment before its message is there."""
    until = time.monotonic() + INPUT_SECONDS
    while not (answer := client.PullMessages(PullAppMessagesRequest())).messages_list:
        if time.monotonic() > until:
            raise httpx.ReadTimeout("a task came without its message")
        time.sleep(SOON)
    tree, node = answer.message_object_trees[0], Node(node_id=context.node_id)
    message: Message = pull_and_inflate_object_from_tree(
        tree,
        make_pull_object_fn_protobuf(client.PullObject, node, context.run_id),
        make_confirm_message_received_fn_protobuf(client.ConfirmMessageReceived, node, context.run_id),
        return_type=Message,
        initial_backoff=SOON,
        backoff_cap=LATER,
    )
    message.metadata.__dict__["_message_id"] = tree.object_id
    return message


def _quiet(heartbeat: Callable[[], bool]) -> Callable[[], bool]:
    """A heartbeat that is refused ends nothing: the reply will be refused too, and asked for again."""

    def beat() -> bool:
        try:
            return heartbeat()
        except (httpx.HTTPError, KeyboardInterrupt):
            return True

    return beat


def run_supernode(
    arguments: list[str],
    sleep: Callable[[float], None],
    connected: Callable[[int, float], None],
    before: int | None,
    fault: Callable[[str], None],
) -> None:
    """`flower-supernode` with these arguments, in this process; returns or exits as it does.

    Five of its names are replaced: what it tries again, since it gives a connection up for good that breaks
    in the middle of TLS's handshake; its pauses by `sleep`; how it pulls what is on its way, by shorter ones;
    the clock that it signs by, which has to agree with the coordinator's within 5 s; and its connection, by
    one that first signs off the node of number `before`, which a killed predecessor left signed on, and tells
    `connected` the new number and how many seconds this machine's clock is ahead. `fault` is called between
    its steps.
    """
    connect, pull = vars(inside)["http_request_response"], vars(inside)["pull_objects"]
    clock = vars(node_auth_http_interceptor)["now"]
    invoker = vars(fleet_http_connection)["make_simple_http_retry_invoker"]

    @contextmanager
    def connection(
        address: str, insecure: bool, certificates: bytes | str | None, keys: Any, *more: Any
    ) -> Iterator[Any]:
        ahead = _ahead(address, certificates)
        vars(node_auth_http_interceptor).update(now=lambda: clock() - timedelta(seconds=ahead))
        if before is not None and keys is not None:
            _sign_off(address, certificates, keys, before)
        with connect(address, insecure, certificates, keys, *more) as (number, *calls):
            connected(number, ahead)
            yield number, *map(partial(_watched, fault), CALLS, calls)

    vars(fleet_http_connection).update(make_simple_http_retry_invoker=lambda: _for_ever(invoker()))
    vars(inside).update(
        time=types.SimpleNamespace(sleep=sleep),
        pull_objects=partial(pull, initial_backoff=SOON, backoff_cap=LATER),
        http_request_response=connection,
    )
    sys.argv = ["flower-supernode", *arguments]
    flower_supernode()


def _for_ever(invoker: Any) -> Any:
    """The same, which gives up no connection: a certificate may be renewed, a cut link comes back."""
    gives_up = invoker.should_giveup
    invoker.should_giveup = lambda error: not isinstance(error, httpx.TransportError) and gives_up(error)
    return invoker


def _watched(fault: Callable[[str], None], name: str, call: Callable[..., Any]) -> Callable[..., Any]:
    """The same call; `fault` hears of it once it is over, of asking in vain it does not.

    Where a run ends while its message is being received, Flower keeps half the message and its task, and
    waits minutes for an answer that cannot come. Said as a failure of receiving, it takes both back at once.
    """

    def calls(*arguments: Any) -> Any:
        try:
            result = call(*arguments)
        except RunNotRunningException as error:
            if name in RECEIVING:
                raise RuntimeError("its run is over") from error
            raise
        if name != "receive" or result is not None:
            fault(f"node after {name}")
        return result

    return calls


def _ahead(address: str, certificates: bytes | str | None) -> float:
    """How many seconds this machine's clock is ahead of the coordinator's; 0 where that cannot be said."""
    trusted = (
        ssl.create_default_context(cadata=certificates.decode()) if isinstance(certificates, bytes) else True
    )
    try:
        said = httpx.get(f"https://{address}/", verify=trusted, timeout=5.0).headers["date"]
        ahead = time.time() - parsedate_to_datetime(said).timestamp()
    except (httpx.HTTPError, KeyError, ValueError):
        return 0.0
    return ahead if abs(ahead) > CLOCK_TOLERANCE else 0.0


def _sign_off(address: str, certificates: bytes | str | None, keys: Any, number: int) -> None:
    """Tell the coordinator that the node's last life is over: it lets nobody sign on twice."""
    client = FleetHttpClient.from_server_address(
        address,
        insecure=False,
        root_certificates=certificates,
        interceptors=[
            RuntimeVersionHttpInterceptor(component_name="SuperNode"),
            node_auth_http_interceptor.NodeAuthHttpInterceptor(*keys),
        ],
    )
    # Signed off already, or the coordinator is away: signing on will tell.
    with suppress(httpx.HTTPError), client:
        client.DeactivateNode(DeactivateNodeRequest(node_id=number))
