"""One hospital, asked by a coordinator that the test plays."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

import numpy as np
from flwr.app import DEFAULT_TTL, Context, Message, Metadata, RecordDict

from client.app import app
from client.hospital import Settings
from client.memory import Memory, Store
from client.training import answer
from ground.arrays import Array
from privacy.plan import Noise, PrivacyPlan
from tasks.learners import learner_for
from tasks.messages import MESSAGE_TYPE, Instruction, Phase, Reply, pack_instruction, unpack_reply
from tasks.registry import find
from tasks.study import Privacy, StrategyName, Study, Training

TASK = find("heart-disease")
PATIENTS = 60
ROUNDS = 2
VALUE = "87654321"


@cache
def study(noise: Noise | None = "distributed", strategy: StrategyName = "fedavg", steps: int = 1) -> Study:
    """Every private one has the same noise, which takes seconds to find: so many steps, so many rounds."""
    privacy = None if noise is None else Privacy(epsilon=10.0, delta=1e-3, noise=noise)
    training = Training(strategy=strategy, local_steps=steps, learning_rate=0.5)
    return Study(name="clinic", task=TASK.name, rounds=ROUNDS // steps, training=training, privacy=privacy)


def plan(terms: Study) -> PrivacyPlan:
    found = terms.plan()
    assert found is not None
    return found


def export(folder: Path, name: str, stratum: str, count: int = PATIENTS) -> Path:
    return TASK.export(TASK.recipes(stratum, count, 3), name, folder)


def instruction(
    terms: Study, phase: Phase, number: int, hospitals: int = 4, model: Array | None = None
) -> Instruction:
    """What the coordinator of that study would send, with the model as it starts or with that one."""
    learner = learner_for(TASK, terms)
    published = {} if phase == "enrol" else learner.publish(learner.begin())
    if model is not None:
        published = {**published, "model": model}
    return Instruction(phase, terms.to_toml(), terms.digest, number, hospitals, published)


def message(asked: Instruction) -> Message:
    """As an engine hands it to the app."""
    metadata = Metadata(
        run_id=1,
        message_id="1",
        src_node_id=0,
        dst_node_id=1,
        reply_to_message_id="",
        group_id=str(asked.round),
        created_at=0.0,
        ttl=DEFAULT_TTL,
        message_type=MESSAGE_TYPE[asked.phase],
    )
    return Message(content=pack_instruction(asked), metadata=metadata)


@dataclass
class Clinic:
    """A hospital with one source of patients."""

    table: Path
    home: Path | None = None
    name: str = "brest"
    secret_noise: bool = False
    discloses: bool = False
    trusts_sum: bool = True
    state: RecordDict = field(default_factory=RecordDict)

    @property
    def settings(self) -> Settings:
        return Settings(
            self.name, (str(self.table),), self.home, self.secret_noise, self.discloses, self.trusts_sum
        )

    def store(self, terms: Study) -> Store:
        return Store(self.home, terms.digest, self.state)

    def memory(self, terms: Study) -> Memory:
        return self.store(terms).load()

    def answer(self, asked: Instruction, terms: Study) -> Reply:
        return answer(asked, self.settings, self.store(terms))

    def ask(
        self, terms: Study, phase: Phase, number: int, hospitals: int = 4, model: Array | None = None
    ) -> Reply:
        return self.answer(instruction(terms, phase, number, hospitals, model), terms)

    def send(self, asked: Instruction) -> Reply:
        """Through the app, as a message."""
        context = Context(1, 1, dict(self.settings.to_config()), self.state, {})
        return unpack_reply(app(message(asked), context).content)

    def but(self, **changes: object) -> Clinic:
        """Another hospital, which remembers nothing."""
        return replace(self, state=RecordDict(), **changes)


def same(first: Reply, second: Reply) -> bool:
    """Equal in every value; a vector equals itself bit for bit."""
    assert first.vector is not None
    assert second.vector is not None
    return replace(first, vector=None) == replace(second, vector=None) and np.array_equal(
        first.vector, second.vector
    )
