"""The coordinator's front door: one HTTPS address for joining, renewal, introductions, and the dashboard."""

from server.door.application import application
from server.door.serving import config

__all__ = ["application", "config"]
