"""Flower's own round loop on its own simulation, for comparison: `FedAvg.start` over Ray.

The hospitals do nothing at all, so that the whole of a round (train and evaluate) is overhead.
"""

from __future__ import annotations

import itertools
import logging
import statistics
import time
import warnings

import numpy as np
from flwr.app import ArrayRecord, ConfigRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid, ServerApp
from flwr.serverapp.strategy import FedAvg


def overhead(parameters: int, hospitals: int, rounds: int, workers: int) -> float:
    """Median seconds of a round after the first, `workers` clients at a time."""
    from flwr.simulation import run_simulation

    logging.getLogger("flwr").setLevel(logging.ERROR)
    stamps: list[float] = []
    client, server = ClientApp(), ServerApp()

    @client.train()
    def train(message: Message, context: Context) -> Message:  # noqa: ARG001
        metrics = MetricRecord({"num-examples": 1.0})
        content = RecordDict({"arrays": message.content["arrays"], "metrics": metrics})
        return Message(content, reply_to=message)

    @client.evaluate()
    def evaluate(message: Message, context: Context) -> Message:  # noqa: ARG001
        return Message(RecordDict({"metrics": MetricRecord({"num-examples": 1.0})}), reply_to=message)

    @server.main()
    def main(grid: Grid, context: Context) -> None:  # noqa: ARG001
        def stamp(server_round: int, arrays: ArrayRecord) -> MetricRecord:  # noqa: ARG001
            stamps.append(time.perf_counter())
            return MetricRecord()

        arrays = ArrayRecord([np.zeros(parameters, dtype=np.float32)])
        strategy = FedAvg(min_available_nodes=hospitals)
        strategy.start(grid, arrays, num_rounds=rounds, train_config=ConfigRecord(), evaluate_fn=stamp)

    backend = {
        "client_resources": {"num_cpus": 1, "num_gpus": 0.0},
        "init_args": {"num_cpus": workers, "include_dashboard": False, "log_to_driver": False},
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        run_simulation(server, client, num_supernodes=hospitals, backend_config=backend)
    return statistics.median(after - before for before, after in itertools.pairwise(stamps[1:]))
