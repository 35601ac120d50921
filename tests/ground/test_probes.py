"""What an orchestrator is told: whether it lives, and whether it does its work."""

from __future__ import annotations

import subprocess
import sys

from ground.health import COORDINATOR, LIVE, Health, probe
from ground.network import free_port


def test_who_does_no_work_lives_still() -> None:
    health = Health("127.0.0.1:0", COORDINATOR)
    try:
        answers = {service: probe(health.address, service) for service in ("", COORDINATOR, LIVE)}
        assert answers == {"": False, COORDINATOR: False, LIVE: True}
        health.say(serving=True)
        assert all(probe(health.address, service) for service in answers)
        assert not probe(health.address, "another")
    finally:
        health.close()
    assert not probe(health.address, LIVE, 2.0)


def test_the_probe_is_a_command() -> None:
    health = Health("127.0.0.1:0", COORDINATOR)
    command = [sys.executable, "-P", "-m", "ground.health"]
    try:
        assert subprocess.run([*command, health.address, LIVE], check=False).returncode == 0
        assert subprocess.run([*command, health.address], check=False).returncode == 1
    finally:
        health.close()
    gone = [*command, f"127.0.0.1:{free_port()}", LIVE]
    assert subprocess.run(gone, check=False).returncode == 1
