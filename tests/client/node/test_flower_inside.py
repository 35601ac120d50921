"""Names of Flower's that are not public and that the node needs: each fails here when Flower moves it."""

from __future__ import annotations

import inspect
import re
from importlib import import_module

import httpx
import pytest
from flwr.supernode import start_client_internal

from client.node import flower


@pytest.mark.parametrize(
    ("module", "names"),
    [
        ("flwr.supernode.start_client_internal", ("time", "pull_objects", "http_request_response")),
        ("flwr.supernode.node_auth_http_interceptor", ("now", "NodeAuthHttpInterceptor")),
        ("flwr.supernode.fleet_http_connection", ("make_simple_http_retry_invoker",)),
        ("flwr.supernode.fleet_http_client", ("FleetHttpClient",)),
        ("flwr.supernode.cli", ("flower_supernode",)),
        ("flwr.supernode.runtime.run_clientapp", ("push_message", "push_task_output")),
        ("flwr.supercore.task_identity", ("TaskIdentity",)),
        ("flwr.supercore.heartbeat", ("HeartbeatSender", "make_task_heartbeat_fn_http")),
    ],
)
def test_what_the_node_needs_of_flower_is_where_it_was(module: str, names: tuple[str, ...]) -> None:
    for name in names:
        assert name in vars(import_module(module))


def test_flower_waits_where_and_as_long_as_our_pauses_suppose() -> None:
    source = inspect.getsource(start_client_internal)
    assert sorted(re.findall(r"\btime\.\w+\(.*", source)) == [
        "time.sleep(0.5)",
        "time.sleep(0.5)",
        "time.sleep(3)",
    ]


def test_flowers_connection_takes_and_gives_what_ours_passes_on() -> None:
    connect = start_client_internal.http_request_response  # type: ignore[attr-defined]
    first = list(inspect.signature(connect).parameters)[:4]
    assert first == ["server_address", "insecure", "root_certificates", "authentication_keys"]
    source = inspect.getsource(start_client_internal)
    assert "receive,\n            send,\n            get_run,\n            get_fab,\n" in source
    assert "pull_object,\n            push_object,\n            confirm_message_received,\n" in source
    assert len(flower.CALLS) == 7


def test_a_connection_that_is_cut_in_tls_handshake_is_tried_again() -> None:
    """Flower gives it up, and its node is silent from then on."""
    from flwr.supercore.retry import make_simple_http_retry_invoker

    cut = httpx.ConnectError("[SSL: UNEXPECTED_EOF_WHILE_READING] EOF occurred in violation of protocol")
    refused = httpx.HTTPStatusError(
        "", request=httpx.Request("GET", "https://a"), response=httpx.Response(400)
    )
    assert make_simple_http_retry_invoker().should_giveup(cut)
    ours = flower._for_ever(make_simple_http_retry_invoker())
    assert not ours.should_giveup(cut)
    assert ours.should_giveup(refused)


def test_a_task_is_completed_by_the_word_that_flower_knows() -> None:
    from flwr.common.constant import SubStatus

    assert SubStatus.COMPLETED == flower.COMPLETED


def test_a_run_that_ends_while_its_message_is_received_is_a_failure_of_receiving() -> None:
    """Flower catches `Exception` there and takes message and task back; of the other it keeps both."""
    from flwr.supercore.run import RunNotRunningException

    assert not issubclass(RunNotRunningException, Exception)
    source = inspect.getsource(start_client_internal._pull_and_store_message)
    assert source.index("except Exception as err") < source.index("state.finish_task(")
    assert source.index("state.finish_task(") < source.index("except RunNotRunningException")

    def over(*_: object) -> None:
        raise RunNotRunningException

    for name in flower.CALLS:
        expected = RuntimeError if name in ("pull_object", "confirm") else RunNotRunningException
        with pytest.raises(expected):
            flower._watched(lambda _: None, name, over)()
