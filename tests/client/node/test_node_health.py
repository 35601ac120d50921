from __future__ import annotations

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from client.node.health import SERVICE, Health
from ground.errors import UsageError

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


def ask(address: str, service: str) -> int:
    with grpc.insecure_channel(address) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        return int(stub.Check(health_pb2.HealthCheckRequest(service=service), timeout=10.0).status)


def test_probes_are_told_what_the_node_says() -> None:
    health = Health("127.0.0.1:0")
    try:
        assert ask(health.address, "") == NOT_SERVING
        health.say(serving=True)
        assert (ask(health.address, ""), ask(health.address, SERVICE)) == (SERVING, SERVING)
        health.say(serving=False)
        assert ask(health.address, SERVICE) == NOT_SERVING
    finally:
        health.close()


def test_an_address_where_nobody_can_listen_is_wrong_use() -> None:
    with pytest.raises(UsageError, match="cannot listen for health probes there"):
        Health("203.0.113.1:1")
