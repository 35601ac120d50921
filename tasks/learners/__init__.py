"""How tasks learn: gradients in two ways, sums of statistics, and the strategies that combine updates."""

from __future__ import annotations

from tasks.contract import Task
from tasks.learners.contract import Learner
from tasks.learners.gradient_sum import GradientSum
from tasks.learners.local_training import LocalTraining
from tasks.learners.strategies import STRATEGIES
from tasks.study import Study


def learner_for(task: Task, study: Study) -> Learner:
    """The learner that this study asks for; hospital and coordinator both find it here."""
    if task.learner is not None:
        return task.learner(task, study)
    strategy = STRATEGIES[study.training.strategy]
    if study.privacy is not None and study.privacy.noise == "distributed":
        return GradientSum(task, study, strategy)
    return LocalTraining(task, study, strategy)
