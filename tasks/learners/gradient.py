"""What both gradient learners share: a torch model as state, and a strategy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ground.arrays import Array, Arrays
from tasks.contract import Task
from tasks.learners.contract import State
from tasks.learners.digital_start import Watch, digital_start, nobody_watches
from tasks.learners.mixing import DIGITAL
from tasks.learners.strategies.contract import Strategy
from tasks.study import Study


@dataclass(frozen=True)
class GradientLearner:
    """A task's model, trained by gradients under a study's terms and strategy."""

    task: Task
    study: Study
    strategy: Strategy

    def begin(self, watch: Watch = nobody_watches) -> State:
        """The seed's model, or one with a digital start, and the strategy's slots."""
        model = digital_start(self.task, self.study, watch)
        return State(model, self.strategy.slots(model))

    def publish(self, state: State) -> dict[str, Array]:
        """The model, what the strategy broadcasts with it, and which digital patients each hospital makes."""
        planned = {name: state.slots[name] for name in (DIGITAL,) if name in state.slots}
        return {"model": state.model, **self.strategy.broadcast(state), **planned}

    def model_at_hospital(self, published: Mapping[str, Array], memory: Arrays) -> Array:
        """The personal model where the strategy keeps one, else the shared one."""
        return memory.get("personal", published["model"])
