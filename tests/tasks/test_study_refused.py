from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ground.errors import StudyError
from tasks.study import Study, load, parse

TOP = 'name = "a"\ntask = "b"\nrounds = 1\n'
TRAINING, PRIVACY = TOP + "[training]\n", TOP + "[privacy]\nepsilon = 1.0\n"
WORDS = (
    'name task rounds = "a" 1 -1 nan 1e999 [training] [privacy] [ ] { } . , """ \' local-steps epsilon noise '
    '"local" 1979-05-27 true'
)
PIECES = st.sampled_from(["\n", *WORDS.split()])


def refusal(text: str) -> str:
    with pytest.raises(StudyError) as caught:
        parse(text, "my.toml")
    said = str(caught.value)
    assert said.startswith("my.toml: ")
    assert len(said.splitlines()) == 1
    return said


@pytest.mark.parametrize(
    ("text", "key", "way_out"),
    [
        (TOP + "sed = 2", "sed", "did you mean seed?"),
        (TOP + "taskversion = 2", "taskversion", "did you mean task-version?"),
        (TRAINING + "stratgy = 'fedavg'", "training.stratgy", "did you mean strategy?"),
        (TRAINING + "learningrate = 1.0", "training.learningrate", "did you mean learning-rate?"),
        (PRIVACY + "epsilonn = 1.0", "privacy.epsilonn", "did you mean epsilon?"),
        (PRIVACY + "sample-rate = 1.0", "privacy.sample-rate", "did you mean sampling-rate?"),
        ('nam = "a"\ntask = "b"\nrounds = 1', "nam", "did you mean name?"),
        (TRAINING + "xyz = 1", "training.xyz", "known keys are strategy, optimiser"),
        (TOP + "[traning]\nlocal-steps = 2", "traning", "did you mean training?"),
        (TOP + '"se\\ned" = 2', r"se\ned", "did you mean seed?"),
    ],
)
def test_an_unknown_key_suggests_the_nearest(text: str, key: str, way_out: str) -> None:
    said = refusal(text)
    assert f"unknown key {key}:" in said
    assert way_out in said


@pytest.mark.parametrize("key", ["name", "task", "rounds"])
def test_a_missing_key_is_named(key: str) -> None:
    text = "\n".join(line for line in TOP.splitlines() if not line.startswith(key))
    assert f"missing key {key}: add it" in refusal(text)


@pytest.mark.parametrize(
    ("text", "key", "way_out"),
    [
        (TOP.replace("1", '"many"'), "rounds", "should be a valid integer"),
        (TOP.replace("1", "1.0"), "rounds", "should be a valid integer"),
        (TOP.replace("1", "true"), "rounds", "should be a valid integer"),
        (TOP.replace("1", "0"), "rounds", "greater than or equal to 1"),
        (TOP.replace("1", "100001"), "rounds", "less than or equal to 100000"),
        (TOP.replace('"a"', "1979-05-27"), "name", "should be a valid string"),
        (TOP.replace('"a"', '"A b"'), "name", "should match"),
        (TOP.replace('"a"', '"a\\n"'), "name", "should match"),
        (TOP.replace('"a"', '"../a"'), "name", "should match"),
        (TOP + "seed = -1", "seed", "greater than or equal to 0"),
        (TRAINING + "strategy = 'fedsgd'", "training.strategy", "'fedavg', 'fedprox'"),
        (TRAINING + "local-steps = 0", "training.local-steps", "greater than or equal to 1"),
        (TRAINING + "learning-rate = 0.0", "training.learning-rate", "greater than 0"),
        (TRAINING + "learning-rate = nan", "training.learning-rate", "finite"),
        (TRAINING + "server-learning-rate = inf", "training.server-learning-rate", "finite"),
        (TRAINING + "proximal-strength = -0.1", "training.proximal-strength", "greater than or equal to 0"),
        (TOP + "training = 1", "training", "should be"),
        (TOP + "[privacy]\ndelta = 1e-5", "privacy.epsilon", "add it"),
        (PRIVACY + "delta = 0.0", "privacy.delta", "greater than or equal to 0.000000000001"),
        (PRIVACY + "delta = 1.0", "privacy.delta", "less than or equal to 0.01"),
        (PRIVACY + "delta = nan", "privacy.delta", "should be"),
        (PRIVACY + "clip = 0.0", "privacy.clip", "greater than 0"),
        (PRIVACY + "clip = inf", "privacy.clip", "finite"),
        (PRIVACY + "sampling-rate = 1.5", "privacy.sampling-rate", "less than or equal to 1"),
        (PRIVACY + "sampling-rate = nan", "privacy.sampling-rate", "should be"),
        (PRIVACY + "noise = 'central'", "privacy.noise", "'local' or 'distributed'"),
        (PRIVACY + "minimum-hospitals = 0", "privacy.minimum-hospitals", "greater than or equal to 1"),
    ],
)
def test_a_value_that_cannot_be_is_refused_by_its_key(text: str, key: str, way_out: str) -> None:
    said = refusal(text)
    assert key in said
    assert way_out in said


@pytest.mark.parametrize(
    "epsilon", ["0", "0.0", "-0.0", "-1.0", "100.5", "1e6", "nan", "inf", "-inf", "true", '"1"']
)
def test_an_impossible_epsilon_is_refused(epsilon: str) -> None:
    said = refusal(f"{TOP}[privacy]\nepsilon = {epsilon}")
    assert "privacy.epsilon" in said
    assert "should be" in said


@pytest.mark.parametrize(
    ("text", "key", "way_out"),
    [
        (PRIVACY + "[training]\nlocal-steps = 2", "local-steps", 'local-steps = 1, or noise = "local"'),
        (PRIVACY + "[training]\nstrategy = 'scaffold'", "scaffold", 'noise = "local", or another strategy'),
        (PRIVACY + "[training]\nlocal-steps = 2", "local-steps", "a learning-rate of its own"),
        (
            TOP + "[training]\nstrategy = 'scaffold'\noptimiser = 'adam'",
            "scaffold",
            'optimiser = "sgd"',
        ),
    ],
)
def test_a_combination_that_would_not_mean_what_it_says_is_refused(text: str, key: str, way_out: str) -> None:
    said = refusal(text)
    assert key in said
    assert way_out in said


@pytest.mark.parametrize(
    "text",
    ["rounds", "a = ", "rounds = " + "1" * 5000, "a = " + "[" * 5000, "\x00", "name = 1\nname = 2", '"""'],
)
def test_what_is_not_toml_is_a_study_error(text: str) -> None:
    assert "not valid TOML" in refusal(text)


def test_a_file_that_cannot_be_read_is_a_study_error_with_its_path(tmp_path: Path) -> None:
    (tmp_path / "latin.toml").write_bytes(b'name = "\xe9"')
    for path in (tmp_path / "absent.toml", tmp_path, tmp_path / "latin.toml"):
        with pytest.raises(StudyError, match=r"give the path of a \.toml file") as caught:
            load(path)
        assert str(path) in str(caught.value)


def _study_or_one_line(text: str) -> None:
    try:
        found = parse(text)
    except StudyError as error:
        said = str(error)
    else:
        said = ""
        assert isinstance(found, Study)
    assert "\n" not in said


@given(st.text())
@settings(deadline=None, max_examples=300)
def test_any_text_is_a_study_or_a_study_error(text: str) -> None:
    _study_or_one_line(text)


@given(st.lists(PIECES, max_size=12).map(" ".join), st.booleans())
@settings(deadline=None, max_examples=500)
def test_any_mixture_of_its_words_is_a_study_or_a_study_error(text: str, after: bool) -> None:
    _study_or_one_line(TOP + text if after else text)


@pytest.mark.parametrize(
    "text", ["task_version = 1\n", "[training]\nlocal_steps = 2\n", "[privacy]\nsampling_rate = 0.5\n"]
)
def test_a_key_in_python_s_spelling_is_unknown(text: str) -> None:
    with pytest.raises(StudyError, match=r"unknown key '[a-z_]+': did you mean [a-z-]+\?"):
        parse(f'name = "s"\ntask = "heart-disease"\nrounds = 1\n{text}')
