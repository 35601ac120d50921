"""The node's answer to gRPC health probes: see `ground.health`."""

from ground.health import SERVICE, Health

__all__ = ["SERVICE", "Health"]
