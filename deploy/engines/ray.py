"""The ray engine: Flower's own simulation over the same apps. The only file here that knows its entry point.

`run_simulation` passes neither settings nor node names, so both go through the environment, which Ray's
workers inherit: the coordinator's settings as they are, the hospitals' as the name of a folder. It is
deprecated in Flower 1.41 in favour of `flwr run`; a test fails when it goes.
"""

from __future__ import annotations

import json
import logging
import os
import tempfile
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from flwr.app import ConfigRecordValues
from flwr.clientapp import ClientApp
from flwr.serverapp import ServerApp

from client.hospital import HOSPITALS_VARIABLE, Settings
from ground.errors import UsageError
from server.app import COORDINATOR_VARIABLE
from server.events import halt

QUIET = {
    "FLWR_TELEMETRY_ENABLED": "0",
    "FLWR_DISABLE_UPDATE_CHECK": "1",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_DEDUP_LOGS": "1",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}


def run_on_ray(
    server: ServerApp, client: ClientApp, settings: str, hospitals: Sequence[Settings], workers: int
) -> None:
    """Run both apps on Ray, `workers` clients at a time; `settings` is the coordinator's, as JSON."""
    with (
        _written(hospitals) as folder,
        _environment({**QUIET, COORDINATOR_VARIABLE: settings, HOSPITALS_VARIABLE: str(folder)}),
    ):
        try:
            import ray
            from flwr.simulation import run_simulation
        except ImportError as error:
            raise UsageError("the ray engine is not installed: pip install 'flwr[simulation]'") from error
        logging.getLogger("flwr").setLevel(logging.ERROR)
        backend: dict[str, dict[str, ConfigRecordValues]] = {
            "client_resources": {"num_cpus": 1, "num_gpus": 0.0},
            "init_args": {"num_cpus": workers, "include_dashboard": False, "log_to_driver": False},
        }
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # its own deprecations; ours are errors in tests
                run_simulation(server, client, num_supernodes=len(hospitals), backend_config=backend)
        finally:
            halt.set()  # Flower leaves the coordinator's thread waiting when clients fail, or on Ctrl-C
            ray.shutdown()


@contextmanager
def _written(hospitals: Sequence[Settings]) -> Iterator[Path]:
    """A folder with each hospital's settings in a file of its own: an environment has no room for many."""
    with tempfile.TemporaryDirectory(prefix="laennec-") as name:
        for number, hospital in enumerate(hospitals):
            (Path(name) / f"{number}.json").write_text(json.dumps(hospital.to_config()), encoding="utf-8")
        yield Path(name)


@contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
