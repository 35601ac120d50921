"""The arms of a comparison before they are run: which studies, over whom, under which names.

Own hospital, federated and pooled learn from real patients alone, so that what digital patients are worth
can be seen. Where the study has some, there is one arm that never sees a real patient, and each way of using
digital patients stands beside the same way without them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from ground.errors import UsageError
from tasks.study import StrategyName, Study

Who = Literal["alone", "together", "pooled", "nobody"]
PRIVATE = " + DP ε="


@dataclass(frozen=True)
class Plan:
    """One arm before it is run.

    Attributes:
        key: its name in result.json.
        label: for a person.
        study: what is run.
        who: each hospital alone, all together, all as one, or nobody: the digital start as it is.

    """

    key: str
    label: str
    study: Study
    who: Who

    @property
    def way(self) -> str:
        """The label without its ε: arms that differ in ε alone are one way of learning."""
        return self.label.split(PRIVATE)[0]


def plans(
    study: Study, epsilons: Sequence[float] = (), strategies: Sequence[StrategyName] = ()
) -> list[Plan]:
    """The design's four arms, those that digital patients add, more for each other ε and strategy.

    Raises UsageError for a study without privacy, whose DP arm would be empty.
    """
    if study.privacy is None:
        raise UsageError(f"study {study.name} has no [privacy] table: compare needs one for its DP arm")
    real = study.without_digital_patients()
    free = real.without_privacy()
    arms = [Plan("own", "own hospital", free, "alone")]
    if _starts(study):
        arms.append(Plan("digital", "digital patients only", _unfilled(study).without_privacy(), "nobody"))
    arms.append(Plan("federated", "federated", free, "together"))
    if _starts(study) or study.fills:
        arms.append(_arm("federated_digital", study.without_privacy()))
    arms += _private("federated_dp", study, epsilons)
    if _starts(study):
        arms += _private("federated_dp_scratch", real, epsilons)
    if study.fills:
        arms += _private("federated_dp_unfilled", _unfilled(study), epsilons)
    for strategy in dict.fromkeys(strategies):
        if strategy != study.training.strategy:
            arms.append(Plan(f"federated_{strategy}", strategy, free.with_strategy(strategy), "together"))
            if strategy != "scaffold" or study.privacy.noise == "local":
                label = f"{strategy}{PRIVATE}{study.privacy.epsilon:g}"
                private = study.with_strategy(strategy)
                arms.append(Plan(f"federated_dp_{strategy}", label, private, "together"))
    return [*arms, Plan("pooled", "pooled", free, "pooled")]


def chosen(arms: Sequence[Plan], names: Sequence[str]) -> list[Plan]:
    """The arms of these names, in their own order; all where none is named.

    Raises UsageError for a name that is none, and where no arm is left whose model the files could hold.
    """
    keys = [arm.key for arm in arms]
    for name in names:
        if name not in keys:
            raise UsageError(f"this comparison has no arm {name}: it has {', '.join(keys)}")
    left = [arm for arm in arms if not names or arm.key in names]
    if described(left) is None:
        raise UsageError("no federated arm among these: give one more, as --arm federated_dp")
    return left


def described(arms: Sequence[Plan]) -> Plan | None:
    """The arm that card, model and rounds of a comparison are about: federated_dp, or the first federated."""
    together = [arm for arm in arms if arm.who == "together"]
    return next((arm for arm in together if arm.key == "federated_dp"), together[0] if together else None)


def _private(key: str, study: Study, epsilons: Sequence[float]) -> list[Plan]:
    """The study at its own ε, then at each other one."""
    own = 0.0 if study.privacy is None else study.privacy.epsilon
    others = [each for each in dict.fromkeys(epsilons) if each != own]
    return [_arm(key, study)] + [_arm(f"{key}_{each:g}", study.with_epsilon(each)) for each in others]


def _arm(key: str, study: Study) -> Plan:
    """A federation, labelled by what its model begins with and learns from."""
    words = {
        (False, False): "federated",
        (True, False): "digital start",
        (False, True): "gap filled",
        (True, True): "digital start, filled",
    }
    label = words[_starts(study), study.fills]
    if study.privacy is not None:
        label += f"{PRIVATE}{study.privacy.epsilon:g}"
    return Plan(key, label, study, "together")


def _starts(study: Study) -> bool:
    return study.synthetic is not None and study.synthetic.start_steps > 0


def _unfilled(study: Study) -> Study:
    """The study with its digital start, if it has one, and no gap filled."""
    if study.synthetic is None or not _starts(study):
        return study.without_digital_patients()
    return study.model_copy(update={"synthetic": study.synthetic.model_copy(update={"fill": False})})
