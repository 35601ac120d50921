"""The node's answer to gRPC health probes (grpc.health.v1): SERVING while the coordinator answers it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from ground.errors import UsageError

SERVICE = "laennec.node"


class Health:
    """A health service at `address` (host:port, port 0 for any), until closed; SERVICE and "" say the same.

    Raises UsageError where nobody can listen there.
    """

    def __init__(self, address: str) -> None:
        self._servicer = health.HealthServicer()
        self._server = grpc.server(ThreadPoolExecutor(max_workers=2))
        health_pb2_grpc.add_HealthServicer_to_server(self._servicer, self._server)
        try:
            port = self._server.add_insecure_port(address)
        except RuntimeError as error:
            raise UsageError(f"{address}: cannot listen for health probes there: choose --health") from error
        self.address = f"{address.rpartition(':')[0]}:{port}"
        self.say(serving=False)
        self._server.start()

    def say(self, *, serving: bool) -> None:
        """What probes are answered from now on."""
        state = (
            health_pb2.HealthCheckResponse.SERVING if serving else health_pb2.HealthCheckResponse.NOT_SERVING
        )
        for service in ("", SERVICE):
            self._servicer.set(service, state)

    def close(self) -> None:
        """Answer nobody any more."""
        self._servicer.enter_graceful_shutdown()
        self._server.stop(grace=0.2).wait()
