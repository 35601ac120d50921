"""The strategies by the name that a study gives them."""

from __future__ import annotations

from flwr.serverapp.strategy import FedAdam, FedYogi

from tasks.learners.strategies.adaptive import Adaptive
from tasks.learners.strategies.contract import Strategy
from tasks.learners.strategies.ditto import Ditto
from tasks.learners.strategies.fedprox import FedProx
from tasks.learners.strategies.scaffold import Scaffold
from tasks.study import StrategyName

STRATEGIES: dict[StrategyName, Strategy] = {
    "fedavg": Strategy(),
    "fedprox": FedProx(),
    "fedadam": Adaptive(FedAdam),
    "fedyogi": Adaptive(FedYogi),
    "scaffold": Scaffold(),
    "ditto": Ditto(),
}
