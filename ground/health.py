"""Answers to gRPC health probes (grpc.health.v1), and a probe.

Three services are asked for: "" and the program's own say whether it does its work, "live" only whether it
lives. Whoever restarts what does not live asks for "live": a hospital whose coordinator is away does not
work, and a restart would help nobody.

    python -m ground.health HOST:PORT [SERVICE]        exit status 0 where it is SERVING
"""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from ground.errors import UsageError

SERVICE, COORDINATOR, LIVE = "laennec.node", "laennec.coordinator", "live"
PATIENCE = 5.0  # seconds that a probe waits
_SERVING = health_pb2.HealthCheckResponse.SERVING
_NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


class Health:
    """A health service at `address` (host:port, port 0 for any), until closed; `service` and "" say the same.

    Raises UsageError where nobody can listen there.
    """

    def __init__(self, address: str, service: str = SERVICE) -> None:
        self._service = service
        self._servicer = health.HealthServicer()
        self._server = grpc.server(ThreadPoolExecutor(max_workers=2))
        health_pb2_grpc.add_HealthServicer_to_server(self._servicer, self._server)
        try:
            port = self._server.add_insecure_port(address)
        except RuntimeError as error:
            raise UsageError(f"{address}: cannot listen for health probes there: choose --health") from error
        self.address = f"{address.rpartition(':')[0]}:{port}"
        self.say(serving=False)
        self._servicer.set(LIVE, _SERVING)
        self._server.start()

    def say(self, *, serving: bool) -> None:
        """What probes are answered from now on; "live" stays SERVING."""
        for service in ("", self._service):
            self._servicer.set(service, _SERVING if serving else _NOT_SERVING)

    def close(self) -> None:
        """Answer nobody any more."""
        self._servicer.enter_graceful_shutdown()
        self._server.stop(grace=0.2).wait()


def probe(address: str, service: str = "", patience: float = PATIENCE) -> bool:
    """Whether who answers at `address` says within `patience` seconds that the service is SERVING."""
    with grpc.insecure_channel(address) as channel:
        try:
            answer = health_pb2_grpc.HealthStub(channel).Check(
                health_pb2.HealthCheckRequest(service=service), timeout=patience
            )
        except grpc.RpcError:
            return False
    return bool(answer.status == _SERVING)


if __name__ == "__main__":
    sys.exit(0 if probe(sys.argv[1], "".join(sys.argv[2:3])) else 1)
