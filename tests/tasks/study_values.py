"""Valid studies for hypothesis, and the same study written in other ways."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from tasks.study import Privacy, Study, Training

WORDS = st.text("abcxyz019", min_size=1, max_size=4)
NAMES = st.lists(WORDS, min_size=1, max_size=3).map("-".join)
POSITIVE = st.floats(min_value=0.0, exclude_min=True, allow_infinity=False, allow_nan=False)
NOT_NEGATIVE = st.just(0.0) | POSITIVE
SHARES = st.floats(min_value=0.0, max_value=1.0, exclude_min=True)
STRATEGIES = st.sampled_from(["fedavg", "fedprox", "fedadam", "fedyogi", "scaffold", "ditto"])

# Every key of a study, with its values.
TOP = {
    "name": NAMES,
    "task": NAMES,
    "rounds": st.integers(1, 100_000),
    "seed": st.integers(0, 2**63 - 1),
    "task-version": st.integers(1, 10**6),
    "labels": st.dictionaries(WORDS, st.integers(0, 2**31 - 1), max_size=3),
    "options": st.dictionaries(
        WORDS, st.integers(0, 9) | st.dictionaries(WORDS, st.booleans(), max_size=2), max_size=3
    ),
}
TRAINING = {
    "strategy": STRATEGIES,
    "local-steps": st.integers(1, 10**6),
    "learning-rate": POSITIVE,
    "server-learning-rate": st.none() | POSITIVE,
    "proximal-strength": NOT_NEGATIVE,
    "optimiser": st.sampled_from(["sgd", "adam"]),
    "schedule": st.sampled_from(["constant", "cosine"]),
}
PRIVACY = {
    "epsilon": st.floats(min_value=0.001, max_value=100.0),
    "delta": st.floats(min_value=1e-12, max_value=0.01),
    "clip": POSITIVE,
    "sampling-rate": SHARES,
    "noise": st.sampled_from(["local", "distributed"]),
    "minimum-hospitals": st.integers(1, 10**6),
    "learning-rate": st.none() | POSITIVE,
    "trains": st.sampled_from(["everything", "biases"]),
    "views": st.integers(1, 1000),
}
KEYS = [
    ("name",),
    ("task",),
    ("rounds",),
    ("seed",),
    ("task-version",),
    ("labels",),
    ("options",),
    ("privacy",),
]
KEYS += [("training", key) for key in TRAINING] + [("privacy", key) for key in PRIVACY]

Values = dict[str, Any]


@st.composite
def valid(draw: st.DrawFn) -> Values:
    """The values of a study that can be run as written."""
    values: Values = draw(st.fixed_dictionaries(TOP))
    training: Values = draw(st.fixed_dictionaries(TRAINING))
    if training["strategy"] == "scaffold":
        training["optimiser"] = "sgd"
    privacy: Values | None = draw(st.none() | st.fixed_dictionaries(PRIVACY))
    if privacy is not None and privacy["noise"] == "distributed":
        training["local-steps"] = 1
        if training["strategy"] == "scaffold":
            training["strategy"] = "fedavg"
    return {**values, "training": training, "privacy": privacy}


def study(values: Values) -> Study:
    return Study.model_validate(values)


STUDIES = valid().map(study)


def at(values: Values, key: tuple[str, ...]) -> Any:
    for part in key:
        values = values[part]
    return values


def put(values: Values, key: tuple[str, ...], value: Any) -> Values:
    """A copy with that key set."""
    if len(key) == 1:
        return {**values, key[0]: value}
    return {**values, key[0]: put(values[key[0]], key[1:], value)}


def every_key() -> set[tuple[str, ...]]:
    """All keys that a study has, from the models themselves."""

    def names(table: type[Study] | type[Training] | type[Privacy]) -> list[str]:
        return [field.alias or name for name, field in table.model_fields.items()]

    nested = {("training", key) for key in names(Training)} | {("privacy", key) for key in names(Privacy)}
    return {(key,) for key in names(Study)} | nested
