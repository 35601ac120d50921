"""A study: a TOML text, read into a frozen value with one canonical form and one digest.

The digest is the SHA-256 of the canonical form (JSON, keys sorted, every default written out). It is what a
hospital approves and what every message names: one changed value is another study.
"""

from __future__ import annotations

import hashlib
import json
import math
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Literal, Self

import tomli_w
from pydantic import BeforeValidator, Field, PlainSerializer, ValidationError, model_validator

from ground.errors import StudyError
from ground.strict import Table, explain, read
from privacy.plan import Noise, PrivacyPlan

StrategyName = Literal["fedavg", "fedprox", "fedadam", "fedyogi", "scaffold", "ditto"]
Name = Annotated[str, Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=64)]
Positive = Annotated[float, Field(gt=0.0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0.0, allow_inf_nan=False)]
Optimiser = Literal["sgd", "adam"]
Schedule = Literal["constant", "cosine"]
Trains = Literal["everything", "biases"]


def _in_order(labels: object) -> object:
    """A table as pairs, sorted, so that a study can be hashed and its order of writing means nothing."""
    return tuple(sorted(labels.items())) if isinstance(labels, dict) else labels


Label = tuple[str, Annotated[int, Field(ge=0, le=2**31 - 1)]]
Labels = Annotated[tuple[Label, ...], BeforeValidator(_in_order), PlainSerializer(dict)]


def _as_text(options: object) -> object:
    """A table as JSON with sorted keys, so that a study can be hashed; a text is taken as such a one."""
    if options == "" or options == {}:
        return ""
    try:
        values = json.loads(options) if isinstance(options, str) else options
        text = json.dumps(values, sort_keys=True, separators=(",", ":"), allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError("options: only texts, finite numbers, booleans, lists and tables") from error
    if not isinstance(values, dict):
        raise ValueError("options: a table is expected, as in [options]")
    return text


Options = Annotated[
    str, BeforeValidator(_as_text), PlainSerializer(lambda text: json.loads(text) if text else {})
]

ADDED_LATER: dict[str, dict[str, object]] = {
    "training": {"optimiser": "sgd", "schedule": "constant"},
    "privacy": {"learning-rate": None, "trains": "everything", "views": 1},
}


class Training(Table):
    """How a round learns. Rates multiply mean gradients; steps are full passes over those who take part.

    `optimiser` is of the hospitals' own steps without privacy; a private step is one of plain DP-SGD. The
    cosine schedule lets the rate of the hospitals' own steps fall to zero along the study.
    """

    strategy: StrategyName = "fedavg"
    optimiser: Optimiser = "sgd"
    schedule: Schedule = "constant"
    local_steps: Annotated[int, Field(ge=1)] = 1
    learning_rate: Positive = 0.1
    server_learning_rate: Positive | None = None
    proximal_strength: NotNegative = 0.1


class Privacy(Table):
    """What the whole study may cost a patient; see `privacy.plan.PrivacyPlan`.

    An ε above 100 protects nobody and is refused: leave the [privacy] table out, and the report says so.
    `learning_rate` is of the private steps, that of [training] where it is absent. `trains` says what they
    move: noise grows with the root of the number of parameters, so that with few patients the biases, norms
    and last layer of a model that starts well learn more than all of it (BiTFiT; Bu et al. 2022). `views` is
    how many items of each patient, augmented anew, a step averages before it clips: they cost time, no ε
    (augmentation multiplicity; De et al. 2022).
    """

    epsilon: Annotated[float, Field(ge=0.001, le=100.0, allow_inf_nan=False)]
    delta: Annotated[float, Field(ge=1e-12, le=0.01)] = 1e-5
    clip: Positive = 1.0
    learning_rate: Positive | None = None
    trains: Trains = "everything"
    views: Annotated[int, Field(ge=1, le=1000)] = 1
    sampling_rate: Annotated[float, Field(gt=0.0, le=1.0)] = 1.0
    noise: Noise = "distributed"
    secure_aggregation: bool = False
    minimum_hospitals: Annotated[int, Field(ge=1)] = 3


class Synthetic(Table):
    """Digital patients: of which strata (none named: all of the task's), and how many in all.

    With `start_steps` the model is trained on them before the first round, so many gradient steps over
    `start_batch` of them. With `fill` hospitals count the strata of their patients, at a cost of `epsilon`,
    and each simulates its share of those who are rare. Digital patients are public: what is learned from
    them costs no ε.
    """

    strata: Annotated[tuple[str, ...], Field(strict=False)] = ()
    epsilon: Positive = 0.1
    patients: Annotated[int, Field(ge=1)] = 200
    fill: bool = True
    start_steps: Annotated[int, Field(ge=0)] = 0
    start_batch: Annotated[int, Field(ge=1)] = 32


class Study(Table):
    """A whole study; `rounds`, `name` and `task` have no default.

    `labels` says which number stands for which structure in the images of hospitals that do not say it
    themselves, as in `lv = 3`; what can be named is for the task to know. `options` are what the task lets a
    study choose: a table of the task's own, kept as JSON.
    """

    name: Name
    task: Name
    rounds: Annotated[int, Field(ge=1, le=100_000)]
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 1
    task_version: Annotated[int, Field(ge=1)] = 1
    training: Training = Training()
    privacy: Privacy | None = None
    synthetic: Synthetic | None = None
    labels: Labels = ()
    options: Options = ""

    @model_validator(mode="after")
    def _runs_as_written(self) -> Self:
        """Combinations that would not mean what they say."""
        if self.training.optimiser != "sgd" and self.training.strategy == "scaffold":
            raise ValueError('scaffold corrects plain gradient steps: set optimiser = "sgd"')
        if self.privacy is None:
            return self
        if self.fills and self._count_epsilon() >= self.privacy.epsilon:
            raise ValueError(
                f"[synthetic] epsilon = {self._count_epsilon():g} is for the counts alone and is to be below "
                f"[privacy] epsilon = {self.privacy.epsilon:g}: lower it, or set fill = false"
            )
        if self.privacy.noise == "distributed":
            if self.training.local_steps != 1 and self.privacy.learning_rate is None:
                raise ValueError(
                    'noise = "distributed" releases one clipped sum a round: set local-steps = 1, or '
                    'noise = "local"; or give [privacy] a learning-rate of its own, and local-steps is then '
                    "of studies without privacy alone"
                )
            if self.training.strategy == "scaffold":
                raise ValueError(
                    'scaffold sends what only local training knows: set noise = "local", or another strategy'
                )
        return self

    def canonical(self) -> str:
        """The form that is hashed: one line of JSON, keys sorted, defaults written out.

        Keys that later versions added stand in it only where they are not at their defaults, so that a study
        keeps its digest, and with it its approvals.
        """
        values = self.model_dump(mode="json", by_alias=True)
        for table, added in ADDED_LATER.items():
            for key, default in added.items():
                if values[table] is not None and values[table][key] == default:
                    del values[table][key]
        for name in ("labels", "options"):
            if not values[name]:
                del values[name]
        return json.dumps(values, sort_keys=True, separators=(",", ":"), allow_nan=False)

    @property
    def digest(self) -> str:
        """SHA-256 of the canonical form, 64 hexadecimal digits."""
        return _digest(self)

    def to_toml(self) -> str:
        """A text that `parse` reads back to an equal study."""
        return _toml(self)

    def plan(self) -> PrivacyPlan | None:
        """The privacy plan of the whole study; None where the study asks for no privacy."""
        if self.privacy is None:
            return None
        steps = self.rounds * (self.training.local_steps if self.privacy.noise == "local" else 1)
        return PrivacyPlan.design(
            epsilon=self.privacy.epsilon,
            delta=self.privacy.delta,
            clip=self.privacy.clip,
            sampling_rate=self.privacy.sampling_rate,
            steps=steps,
            noise=self.privacy.noise,
            secure=self.privacy.secure_aggregation,
            count_epsilon=self._count_epsilon() if self.fills else None,
        )

    @property
    def fills(self) -> bool:
        """Whether hospitals count their strata, and mix in digital patients of those who are rare."""
        return self.synthetic is not None and self.synthetic.fill

    def _count_epsilon(self) -> float:
        return math.inf if self.synthetic is None else self.synthetic.epsilon

    @property
    def learning_rate(self) -> float:
        """Of the steps that this study takes, with its privacy or without."""
        if self.privacy is None or self.privacy.learning_rate is None:
            return self.training.learning_rate
        return self.privacy.learning_rate

    def falling(self, done: float) -> float:
        """The learning rate where a part `done` (0 to 1) of the study lies behind."""
        if self.training.schedule == "constant":
            return self.learning_rate
        return self.learning_rate * 0.5 * (1.0 + math.cos(math.pi * done))

    @property
    def trains(self) -> Trains:
        """What of the model a round moves."""
        return "everything" if self.privacy is None else self.privacy.trains

    @property
    def views(self) -> int:
        """How many items of each patient a private step averages."""
        return 1 if self.privacy is None else self.privacy.views

    @property
    def secure(self) -> bool:
        """Whether updates meet only as a masked sum."""
        return self.privacy is not None and self.privacy.secure_aggregation

    def without_privacy(self) -> Study:
        """The same study with nothing protected: the other arm of a comparison."""
        return self.model_copy(update={"privacy": None})

    def without_digital_patients(self) -> Study:
        """The same study with real patients alone."""
        return self.model_copy(update={"synthetic": None})

    def with_seed(self, seed: int) -> Study:
        """The same study with another seed, which is another study."""
        return self.model_copy(update={"seed": seed})

    def with_strategy(self, strategy: StrategyName) -> Study:
        """The same study under another strategy, checked again."""
        return self._again({"training": self.training.model_copy(update={"strategy": strategy})})

    def with_epsilon(self, epsilon: float) -> Study:
        """The same study at another ε, checked again; raises StudyError where it has no privacy."""
        if self.privacy is None:
            raise StudyError(f"study {self.name} has no [privacy] table whose epsilon could be changed")
        privacy = self.privacy.model_dump() | {"epsilon": epsilon}
        return self._again({"privacy": privacy})

    def _again(self, update: dict[str, object]) -> Study:
        try:
            return Study.model_validate({**dict(self), **update})
        except ValidationError as error:
            raise StudyError(f"study {self.name}: {explain(error, Study)}") from error


# Every message names its study: what is said of one is worked out once. Not cached in the value itself, since
# pydantic copies that along to another study.
@lru_cache(maxsize=64)
def _digest(study: Study) -> str:
    return hashlib.sha256(study.canonical().encode()).hexdigest()


@lru_cache(maxsize=64)
def _toml(study: Study) -> str:
    values = study.model_dump(mode="json", by_alias=True, exclude_none=True)
    unsaid = {name for name in ("labels", "options") if not values[name]}
    return tomli_w.dumps({key: value for key, value in values.items() if key not in unsaid})


def parse(text: str, where: str = "study") -> Study:
    """Read a study from TOML; raises StudyError with one line that names the key and the way out."""
    try:
        return read(text, Study)
    except ValueError as error:
        raise StudyError(f"{where}: {error}") from error


def load(path: Path) -> Study:
    """Read a study from a file; raises StudyError where it is missing or wrong."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise StudyError(f"{path}: no study can be read there: give the path of a .toml file") from error
    return parse(text, str(path))
