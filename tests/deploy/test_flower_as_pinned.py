"""Whatever of Flower we use beyond its public interface; each fails loudly when Flower moves it."""

from __future__ import annotations

import inspect
from importlib import import_module
from importlib.metadata import version

import pytest
from flwr.app import DEFAULT_TTL, Error, Message, Metadata, RecordDict
from flwr.serverapp import Grid

from deploy.engines.local import CLIENT_APP_RAISED, LocalGrid


def test_flower_is_the_version_that_this_was_written_for() -> None:
    assert version("flwr").startswith("1.41.")


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("flwr.simulation", "run_simulation"),
        ("flwr.proto.node_pb2", "NodeInfo"),
        ("flwr.supercore.run", "Run"),
        ("flwr.serverapp.strategy.fedopt", "FedOpt"),
        ("flwr.superlink.grid", "HttpGrid"),
        ("flwr.superlink.grid.http_grid", "pull_objects"),
        ("flwr.superlink.cli", "flower_superlink"),
        ("flwr.supercore.control", "ControlHttpClient"),
        ("flwr.supercore.runtime", "RuntimeHttpClient"),
        ("flwr.supercore.task_identity", "TaskIdentity"),
        ("flwr.cli.build", "build_fab_from_files"),
    ],
)
def test_what_is_used_of_flower_is_where_it_was(module: str, name: str) -> None:
    assert hasattr(import_module(module), name)


def test_the_ray_engine_calls_run_simulation_as_it_is_declared() -> None:
    from flwr.simulation import run_simulation

    assert {"server_app", "client_app", "num_supernodes", "backend_config"} <= set(
        inspect.signature(run_simulation).parameters
    )


def test_our_grid_is_all_that_flower_asks_of_a_grid() -> None:
    assert not inspect.isabstract(LocalGrid)
    for name in Grid.__abstractmethods__:
        ours, theirs = inspect.getattr_static(LocalGrid, name), inspect.getattr_static(Grid, name)
        if not isinstance(theirs, property):
            assert list(inspect.signature(ours).parameters) == list(inspect.signature(theirs).parameters)


def test_the_grid_of_real_nodes_knows_flowers_codes_for_what_is_lost_and_its_private_parts() -> None:
    from flwr.common.constant import ErrorCode
    from flwr.superlink.grid import HttpGrid

    from server.link.grid import LOST

    assert LOST == (
        ErrorCode.MESSAGE_UNAVAILABLE,
        ErrorCode.REPLY_MESSAGE_UNAVAILABLE,
        ErrorCode.NODE_UNAVAILABLE,
    )
    assert "_retry_invoker" in inspect.getsource(HttpGrid.__init__)
    assert "_runtime_client" in vars(HttpGrid)


def test_the_error_code_of_an_app_that_raised_is_still_ours() -> None:
    from flwr.common.constant import ErrorCode

    assert ErrorCode.CLIENT_APP_RAISED_EXCEPTION == CLIENT_APP_RAISED


def test_a_message_can_be_made_from_metadata_and_answered_by_an_error() -> None:
    metadata = Metadata(1, "7", 0, 3, "", "0", created_at=0.0, ttl=DEFAULT_TTL, message_type="train")
    message = Message(content=RecordDict(), metadata=metadata)  # type: ignore[call-overload]
    reply = Message(Error(CLIENT_APP_RAISED, "why"), reply_to=message)
    assert (reply.metadata.reply_to_message_id, reply.has_error()) == ("7", True)
