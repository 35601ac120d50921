"""Every name of Flower's that is not public and that the coordinator needs beside its Grid.

`tests/deploy/test_flower_as_pinned.py` fails loudly when a version of Flower moves one of them.
"""

from __future__ import annotations

import hashlib
import hmac
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
from flwr.cli.build import build_fab_from_files
from flwr.common.serde import fab_to_proto, run_from_proto
from flwr.proto.control_pb2 import (
    ListNodesRequest,
    RegisterNodeRequest,
    StartRunRequest,
    StopRunRequest,
    UnregisterNodeRequest,
)
from flwr.proto.node_pb2 import NodeInfo
from flwr.proto.runtime_pb2 import AcquireTaskRequest, PullTaskInputRequest, PushTaskOutputRequest
from flwr.supercore.constant import TaskType
from flwr.supercore.control import ControlHttpClient as ControlHttpClient
from flwr.supercore.fab import Fab
from flwr.supercore.heartbeat import HeartbeatSender, make_task_heartbeat_fn_http
from flwr.supercore.interceptors import RuntimeVersionHttpInterceptor, SuperExecAuthHttpInterceptor
from flwr.supercore.runtime import RuntimeHttpClient
from flwr.supercore.task_identity import TaskIdentity

from server.link.grid import NodeGrid

ACQUIRE = "/flwr.proto.Runtime/AcquireTask"
UNREGISTERED = "unregistered"
HEADER = "x-laennec-coordinator"
Failure = httpx.HTTPError


def password(secret: bytes) -> dict[str, str]:
    """The header by which the SuperLink knows our own processes (`server.link.process`)."""
    return {HEADER: hmac.digest(secret, b"laennec coordinator 1", "sha256").hex()}


def control(address: str, certificate: bytes, secret: bytes) -> ControlHttpClient:
    """A connection for registering nodes and starting runs."""
    client = ControlHttpClient.from_server_address(
        server_address=address,
        insecure=False,
        root_certificates=certificate,
        interceptors=[RuntimeVersionHttpInterceptor(component_name="flwr CLI")],
    )
    client._client.headers.update(password(secret))
    return client


def answers(client: ControlHttpClient) -> bool:
    """Whether the SuperLink is there."""
    try:
        client.ListNodes(ListNodesRequest())
    except httpx.TransportError:
        return False
    return True


def register(client: ControlHttpClient, key: bytes, name: str) -> int:
    """Let the node with this public key (PEM) in; its number."""
    return int(client.RegisterNode(RegisterNodeRequest(public_key=key, name=name)).node_id)


def unregister(client: ControlHttpClient, number: int) -> None:
    """Let that node out, at once and for good: its key is never let in again."""
    client.UnregisterNode(UnregisterNodeRequest(node_id=number))


def nodes(client: ControlHttpClient) -> list[NodeInfo]:
    """Every node that was let in and not out: online or not."""
    return [each for each in client.ListNodes(ListNodesRequest()).nodes_info if each.status != UNREGISTERED]


def stop_run(client: ControlHttpClient, number: int) -> None:
    """End a run; nothing of it is handed to nodes any more."""
    client.StopRun(StopRunRequest(run_id=number))


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
    grid = NodeGrid(
        address, insecure=False, root_certificates=certificate, token=token, headers=password(secret)
    )
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
    client._client.headers.update(password(secret))
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
