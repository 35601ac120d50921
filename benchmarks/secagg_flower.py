"""Flower's whole SecAgg+ in one process, for comparison: its own workflow and its own mod, nothing between.

Driven are the real `SecAggPlusWorkflow` with its four stages (setup, share keys, collect masked vectors,
unmask) on the coordinator's side, and the real `secaggplus_mod` on every hospital's. A message goes straight
from one to the other. Everything that could make Flower look slower than its protocol is left out:

- nothing is serialised but what the mod itself packs (the masked vectors);
- no model travels to the hospitals, and their fit results are packed before the clock starts;
- the strategy takes the workflow's mean as it is, where `FedAvg` would average as many copies of it.
"""

from __future__ import annotations

import logging
import time
import tracemalloc
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from flwr.app import ArrayRecord, ConfigRecord, Context, Message, RecordDict
from flwr.client.mod import secaggplus_mod
from flwr.common import (
    Code,
    FitIns,
    FitRes,
    Parameters,
    Status,
    ndarrays_to_parameters,
    parameters_to_ndarrays,
)
from flwr.common.secure_aggregation.ndarrays_arithmetic import parameters_addition
from flwr.common.secure_aggregation.secaggplus_constants import RECORD_KEY_CONFIGS, Key, Stage
from flwr.common.secure_aggregation.secaggplus_utils import pseudo_rand_gen
from flwr.compat.common import recorddict_compat
from flwr.server.compat.legacy_context import LegacyContext
from flwr.server.strategy import FedAvg
from flwr.server.workflow import SecAggPlusWorkflow
from flwr.server.workflow.constant import MAIN_CONFIGS_RECORD, MAIN_PARAMS_RECORD
from flwr.server.workflow.constant import Key as WorkflowKey
from flwr.supercore.task_identity import TaskIdentity

from ground.arrays import Array

# What it takes for a hospital's update to count once: examples / max_weight = 1, so nothing is rescaled.
WEIGHT = 1000
MODULUS = 1 << 32  # Flower's default
COORDINATOR = 1  # Flower asks for an identity of the process that makes messages

logging.getLogger("flwr").setLevel(logging.ERROR)


@dataclass(frozen=True)
class Outcome:
    """What one run of SecAgg+ gave and took.

    Attributes:
        mean: of the updates.
        keys: processor seconds until every hospital had its peers' keys and shares; so in every round.
        seconds: of the processor, for the whole protocol.
        width: bytes of one masked parameter.
        text: bytes of keys and shares, from the hospital that sends most.

    """

    mean: npt.NDArray[np.floating]
    keys: float
    seconds: float
    width: float
    text: int


@dataclass(frozen=True)
class Proxy:
    """What the workflow knows of a hospital."""

    node_id: int


class Everybody(FedAvg):
    """Asks every hospital, and takes the mean that the workflow made."""

    def __init__(self, hospitals: int) -> None:
        super().__init__()
        self.proxies = [Proxy(node) for node in range(hospitals)]

    def configure_fit(self, server_round, parameters, client_manager):  # noqa: ARG002, D102
        return [(proxy, FitIns(Parameters([], ""), {})) for proxy in self.proxies]

    def aggregate_fit(self, server_round, results, failures):  # noqa: ARG002, D102
        return results[0][1].parameters, {}


class Hospitals:
    """Stands in for Flower's Grid: hands each message to the mod of its hospital, and the replies back."""

    def __init__(self, updates: Sequence[Array]) -> None:
        self.results = [fit_result(update) for update in updates]
        self.contexts = [Context(1, node, {}, RecordDict(), {}) for node in range(len(updates))]
        self.vectors = [0] * len(updates)
        self.sent = [0] * len(updates)
        self.keys_done = 0.0
        # The first hospital's message and state at the stage that masks, for `peak`.
        self.masking: tuple[ConfigRecord, ConfigRecord] | None = None

    def send_and_receive(self, messages: Iterable[Message], *, timeout: float | None = None) -> list[Message]:  # noqa: ARG002
        """One stage, at all hospitals."""
        messages = list(messages)
        if messages[0].content.config_records[RECORD_KEY_CONFIGS][Key.STAGE] == Stage.COLLECT_MASKED_VECTORS:
            self.keys_done = time.process_time()
        return [self._deliver(message) for message in messages]

    def _deliver(self, message: Message) -> Message:
        node = message.metadata.dst_node_id
        # The mod takes the stage's name out of the record, and the workflow sends one record to all.
        record = ConfigRecord(dict(message.content.config_records[RECORD_KEY_CONFIGS]))
        context = self.contexts[node]
        if record[Key.STAGE] == Stage.COLLECT_MASKED_VECTORS and node == 0:
            state = context.state.config_records["secaggplus_state"]
            self.masking = (ConfigRecord(dict(record)), ConfigRecord(dict(state)))
        own = Message(RecordDict({RECORD_KEY_CONFIGS: record}), metadata=message.metadata)
        reply = secaggplus_mod(own, context, self._fit)
        answer = reply.content.config_records[RECORD_KEY_CONFIGS]
        vector = sum(len(each) for each in answer.get(Key.MASKED_PARAMETERS, []))
        self.vectors[node] += vector
        self.sent[node] += answer.count_bytes() - vector
        return reply

    def _fit(self, message: Message, context: Context) -> Message:
        return Message(self.results[context.node_id], reply_to=message)

    def peak(self, update: Array) -> int:
        """Bytes that a hospital holds at most, above its update, from the fit's result to the reply."""
        if self.masking is None:
            raise RuntimeError("nothing was masked yet")
        record, state = self.masking
        context = Context(1, 0, {}, RecordDict({"secaggplus_state": state}), {})
        metadata = Message(RecordDict(), dst_node_id=0, message_type="train").metadata
        message = Message(RecordDict({RECORD_KEY_CONFIGS: record}), metadata=metadata)
        self.results[0] = fit_result(update)
        tracemalloc.start()
        secaggplus_mod(message, context, self._fit)
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most


def mask_seconds(parameters: int, key: bytes) -> float:
    """Processor seconds in which the mod draws one mask and adds it to the quantised parameters."""
    # The weight comes before the parameters; once the first mask is on, all are 64 bits wide.
    quantised = [np.array([WEIGHT]), np.zeros(parameters, dtype=np.int64)]
    shapes = [each.shape for each in quantised]
    started = time.process_time()
    mask = pseudo_rand_gen(key, MODULUS, shapes)
    _ = parameters_addition(quantised, mask)
    return time.process_time() - started


def fit_result(update: Array) -> RecordDict:
    """An update as a hospital's app returns it."""
    parameters = ndarrays_to_parameters([update])
    result = FitRes(Status(Code.OK, ""), parameters, num_examples=WEIGHT, metrics={})
    return recorddict_compat.fitres_to_recorddict(result, keep_input=True)


def secure_mean(
    updates: Sequence[Array], around: int, threshold: int, clip: float, steps: int
) -> tuple[Outcome, Hospitals]:
    """Run SecAgg+ once; `around` hospitals, itself included, hold shares of a hospital's secrets."""
    TaskIdentity.run_id = TaskIdentity.task_id = TaskIdentity.node_id = COORDINATOR
    hospitals = Hospitals(updates)
    # As fractions, because Flower refuses a threshold that equals the number of shares as whole numbers.
    workflow = SecAggPlusWorkflow(
        around / len(updates),
        threshold / around,
        max_weight=float(WEIGHT),
        clipping_range=clip,
        quantization_range=steps,
        modulus_range=MODULUS,
    )
    state = RecordDict(
        {
            MAIN_CONFIGS_RECORD: ConfigRecord({WorkflowKey.CURRENT_ROUND: 1}),
            MAIN_PARAMS_RECORD: ArrayRecord(),
        }
    )
    context = LegacyContext(Context(1, COORDINATOR, {}, state, {}), strategy=Everybody(len(updates)))
    started = time.process_time()
    workflow(hospitals, context)
    ended = time.process_time()
    mean = recorddict_compat.arrayrecord_to_parameters(context.state.array_records[MAIN_PARAMS_RECORD], True)
    outcome = Outcome(
        mean=parameters_to_ndarrays(mean)[0],
        keys=hospitals.keys_done - started,
        seconds=ended - started,
        width=max(hospitals.vectors) / updates[0].size,
        text=max(hospitals.sent),
    )
    return outcome, hospitals
