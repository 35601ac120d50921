from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
import study_values as values_of
import tomli_w
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from ground.errors import StudyError
from privacy.plan import Noise, PrivacyPlan
from tasks.study import Privacy, Study, Training, load, parse

SMALLEST = 'name = "a"\ntask = "b"\nrounds = 1\n'


def test_every_key_but_the_first_three_has_its_documented_default() -> None:
    assert parse(SMALLEST) == Study(
        name="a",
        task="b",
        rounds=1,
        seed=1,
        task_version=1,
        training=Training(
            strategy="fedavg",
            local_steps=1,
            learning_rate=0.1,
            server_learning_rate=None,
            proximal_strength=0.1,
        ),
        privacy=None,
        synthetic=None,
    )
    assert parse(SMALLEST + "[privacy]\nepsilon = 2.0").privacy == Privacy(
        epsilon=2.0,
        delta=1e-5,
        clip=1.0,
        sampling_rate=1.0,
        noise="distributed",
        secure_aggregation=False,
        minimum_hospitals=3,
    )


def test_the_digest_of_a_known_study_is_known() -> None:
    # Another digest here means that every approval given before is void.
    canonical = (
        '{"name":"a","privacy":null,"rounds":1,"seed":1,"synthetic":null,"task":"b","task-version":1,'
        '"training":{"learning-rate":0.1,"local-steps":1,"proximal-strength":0.1,'
        '"server-learning-rate":null,"strategy":"fedavg"}}'
    )
    assert parse(SMALLEST).canonical() == canonical
    assert parse(SMALLEST).digest == "60d4ea4955dbc0c3422d25b58e6cffb5b1b04e71fbccbcdb41fd20d00a2d9019"


def test_labels_are_part_of_a_study_in_whatever_order_they_stand() -> None:
    one, other = (parse(SMALLEST + f"[labels]\n{lines}") for lines in ("lv = 3\nrv = 1", "rv = 1\nlv = 3"))
    assert one.labels == (("lv", 3), ("rv", 1))
    assert one == other
    assert one.canonical().startswith('{"labels":{"lv":3,"rv":1},')
    assert "[labels]" in one.to_toml()
    for wrong in ('lv = "3"', "lv = -1", "lv = 1.0", "lv = true"):
        with pytest.raises(StudyError, match="labels"):
            parse(SMALLEST + f"[labels]\n{wrong}")


def test_the_generator_of_studies_knows_every_key() -> None:
    fixed = {("training",), ("synthetic",), ("privacy", "secure-aggregation")}
    assert set(values_of.KEYS) == values_of.every_key() - fixed


@given(values_of.STUDIES)
@settings(deadline=None)
def test_a_study_is_read_back_equal_with_the_same_digest(study: Study) -> None:
    again = parse(study.to_toml())
    assert again == study
    assert again.digest == study.digest


@given(values_of.valid(), values_of.valid(), st.sampled_from(values_of.KEYS))
@settings(deadline=None, max_examples=200)
def test_one_changed_value_is_another_digest(
    first: dict[str, Any], second: dict[str, Any], key: tuple[str, ...]
) -> None:
    assume(len(key) == 1 or (first[key[0]] is not None and second[key[0]] is not None))
    changed = values_of.put(first, key, values_of.at(second, key))
    assume(values_of.at(changed, key) != values_of.at(first, key))
    try:
        other = values_of.study(changed)
    except ValidationError:
        assume(False)
    assert other.digest != values_of.study(first).digest


@given(values_of.STUDIES, st.randoms(use_true_random=False))
@settings(deadline=None)
def test_comments_white_space_and_the_order_of_keys_change_nothing(
    study: Study, chance: random.Random
) -> None:
    tables = study.model_dump(mode="json", by_alias=True, exclude_none=True)
    scalars = {key: value for key, value in tables.items() if not isinstance(value, dict)}
    nested = {key: _shuffled(value, chance) for key, value in tables.items() if isinstance(value, dict)}
    text = tomli_w.dumps(_shuffled(scalars, chance) | _shuffled(nested, chance))
    lines = [f"{chance.choice(['', '  '])}{line}  # why {n}\n\n" for n, line in enumerate(text.splitlines())]
    assert parse("# a study\n" + "".join(lines)).digest == study.digest


def _shuffled(table: dict[str, Any], chance: random.Random) -> dict[str, Any]:
    keys = sorted(table)
    chance.shuffle(keys)
    return {key: table[key] for key in keys}


def test_a_whole_number_and_the_same_decimal_are_one_study() -> None:
    whole, decimal = (parse(f"{SMALLEST}[privacy]\nepsilon = {e}") for e in ("2", "2.0"))
    assert whole.digest == decimal.digest


@pytest.mark.parametrize(
    ("table", "key"),
    [(None, "rounds"), (None, "training"), ("training", "local_steps"), ("privacy", "epsilon")],
)
def test_a_study_cannot_be_changed(table: str | None, key: str) -> None:
    study = parse(SMALLEST + "[privacy]\nepsilon = 1.0")
    with pytest.raises(ValidationError, match="frozen"):
        setattr(getattr(study, table) if table else study, key, 2)


def test_another_seed_strategy_or_epsilon_is_another_study_and_the_first_stays() -> None:
    study = parse(SMALLEST + "[privacy]\nepsilon = 1.0")
    others = [study.with_seed(2), study.with_strategy("fedprox"), study.with_epsilon(2.0)]
    others.append(study.without_privacy())
    assert len({study.digest, *(other.digest for other in others)}) == 5
    assert study == parse(SMALLEST + "[privacy]\nepsilon = 1.0")


def test_a_variant_is_checked_like_the_study_itself() -> None:
    study = parse(SMALLEST + "[privacy]\nepsilon = 1.0")
    with pytest.raises(StudyError, match="study a: scaffold"):
        study.with_strategy("scaffold")
    with pytest.raises(StudyError, match=r"study a: privacy\.epsilon"):
        study.with_epsilon(-1.0)
    with pytest.raises(StudyError, match=r"no \[privacy\] table"):
        parse(SMALLEST).with_epsilon(1.0)


@pytest.mark.parametrize(("noise", "local_steps", "steps"), [("local", 4, 8), ("distributed", 1, 2)])
def test_a_plan_pays_for_every_step_of_every_round(
    noise: Noise, local_steps: int, steps: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: dict[str, Any] = {}
    monkeypatch.setattr(PrivacyPlan, "design", lambda **terms: asked.update(terms))
    terms = {"epsilon": 8.0, "delta": 1e-3, "clip": 0.5, "sampling_rate": 0.25, "noise": noise}
    training = Training(local_steps=local_steps)
    Study(name="a", task="b", rounds=2, training=training, privacy=Privacy(**terms)).plan()
    assert asked == {**terms, "steps": steps, "secure": False, "count_epsilon": None}


def test_a_study_without_privacy_has_no_plan() -> None:
    assert parse(SMALLEST).plan() is None


def test_a_study_is_loaded_from_its_file(tmp_path: Path) -> None:
    (tmp_path / "study.toml").write_text(SMALLEST, encoding="utf-8")
    assert load(tmp_path / "study.toml") == parse(SMALLEST)
