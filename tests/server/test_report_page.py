from __future__ import annotations

import math
import re
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import pytest

from server.report.charts import Series, curves, dots
from server.report.page import page

ACCURACY = {"amiens": 0.8125, "brest": 0.6251, "caen": 0.7}
EVIL = '"><script>alert(1)</script>'
LABELS = {
    "own": "own hospital",
    "federated": "federated",
    "federated_dp": "federated + DP ε=2",
    "federated_fedyogi": "fedyogi",
    "pooled": "pooled",
}
TOOLS = ("laennec", "torch", "opacus", "dp-accounting", "flwr", "cryptography")
OPEN_CARD = {
    "protected": False,
    "statement": "No differential privacy: anything may be learned.",
    "epsilon": None,
    "delta": None,
    "unit": "patient",
    "neighbours": "add or remove one patient",
    "warnings": [],
    "noise": "none",
    "secure_aggregation": False,
    "covered": [],
    "not_covered": ["everything"],
    "versions": {tool: f"{number}.2.3" for number, tool in enumerate(TOOLS)},
}
CARD = {
    **OPEN_CARD,
    "protected": True,
    "statement": "Differential privacy for each patient: epsilon 2 at delta 0.0001.",
    "epsilon": 1.99998,
    "epsilon_asked": 2.0,
    "epsilon_towards_another_hospital": 2.4567,
    "delta": 1e-4,
    "neighbours": "add or remove one patient",
    "model": "trusted sum",
    "noise": "distributed",
    "clip": 1.0,
    "sampling_rate": 1.0,
    "noise_multiplier": 14.4658,
    "count_noise_multiplier": 18.3933,
    "releases": 3,
    "noise_multiplier_in_the_sums": 14.4658,
    "accountant": "privacy loss distribution",
    "epsilon_by_rdp": 2.1142,
    "randomness": "ChaCha20, key from the seed",
    "covered": ["every gradient that left a hospital"],
    "not_covered": ["metrics on test patients", "other studies over the same patients"],
    "warnings": ["the sum over hospitals is trusted", "whoever knows the seed can take the noise out"],
}


class Reader(HTMLParser):
    """The page as a browser reads it: its text, its elements, whatever it could load."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.loads: list[str] = []
        self.words = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        self.elements.append((tag, values))
        self.loads += [
            values[key] for key in ("src", "href", "xlink:href", "data", "action") if key in values
        ]

    def handle_data(self, data: str) -> None:
        self.words += data

    def classes(self) -> set[str]:
        return {name for _, values in self.elements for name in values.get("class", "").split()}

    def position(self, words: str) -> int:
        return self.words.index(words)


def run_sample(protected: bool = True) -> tuple[dict[str, Any], dict[str, Any]]:
    """A result and its card; the first test holds them to the real ones."""
    history = [
        {
            "after": after,
            "metrics": {"accuracy": 0.6 + 0.05 * after, "auc": None},
            "hospitals": {
                name: {"accuracy": value - 0.05 * (2 - after), "auc": None}
                for name, value in ACCURACY.items()
            },
            "contributors": list(ACCURACY) if after < 2 else [],
            "summed": {},
            "abandoned": "",
        }
        for after in range(3)
    ]
    card = CARD if protected else OPEN_CARD
    values = {
        "study": "first",
        "digest": "0123456789abcdef" * 4,
        "task": "heart-disease",
        "task_version": 1,
        "headline": "accuracy",
        "strategy": "fedavg",
        "engine": "local",
        "seed": 1,
        "rounds": 2,
        "hospitals": [
            {"name": name, "patients": 100, "quarantined": 3, "metrics": {"accuracy": value, "auc": None}}
            for name, value in ACCURACY.items()
        ],
        "metrics": {"accuracy": 0.7, "auc": None, "worst_hospital": {"name": "brest", "accuracy": 0.6251}},
        "privacy": {key: card[key] for key in ("unit", "epsilon", "delta", "noise", "secure_aggregation")},
        "seconds": {"total": 1.5, "training": 1.25, "overhead_per_round": 0.0125},
        "history": history,
        "left_out": [],
    }
    return deepcopy(values), deepcopy(card)


def compare_sample() -> tuple[dict[str, Any], dict[str, Any]]:
    values, card = run_sample()
    values["arms"] = {
        key: {
            "label": label,
            "mean": {"accuracy": 0.7, "auc": None},
            "sd_over_seeds": {"accuracy": 0.0071, "auc": None},
            "seeds": 2,
            "worst_hospital": {"name": "brest", "accuracy": 0.6251},
            "hospitals": {name: {"accuracy": value, "auc": None} for name, value in ACCURACY.items()},
            "epsilon": 2.0 if "DP" in label else None,
            "curve": []
            if key == "pooled"
            else [{"after": after, "metrics": {"accuracy": 0.3 * after, "auc": None}} for after in range(3)],
        }
        for key, label in LABELS.items()
    }
    return values, card


def shape(value: Any) -> Any:
    """Keys and what lies below them, without the numbers."""
    if isinstance(value, dict):
        return {key: shape(each) for key, each in value.items() if key not in ("metrics", "versions")}
    return [shape(value[0])] if isinstance(value, list) and value else None


# Flower imports typer, which imports a name that click has deprecated.
@pytest.mark.filterwarnings("ignore:'click:DeprecationWarning")
@pytest.mark.parametrize("protected", [True, False])
def test_the_samples_have_the_shape_of_real_results(protected: bool) -> None:
    from deploy.arms import plans
    from deploy.compare import Arm
    from privacy.accountant import Accountant
    from server.progress import Member, Record, begin
    from server.report.card import privacy_card
    from server.report.result import result
    from tasks.registry import find
    from tasks.study import Privacy, Study

    private = Study(name="first", task="heart-disease", rounds=2, privacy=Privacy(epsilon=2.0, delta=1e-4))
    study = private if protected else private.without_privacy()
    task, plan = find(study.task), study.plan()
    metrics = {name: {"accuracy": value, "auc": math.nan} for name, value in ACCURACY.items()}
    finished = replace(
        begin(study, task),
        roster=tuple(Member(name, 100, 3) for name in ACCURACY),
        accountant=Accountant() if plan is None else Accountant().spend(plan.count_event()),
        history=tuple(Record(after, metrics, tuple(ACCURACY)) for after in range(3)),
    )
    card = privacy_card(finished, secret_noise=False)
    sample, sample_card = run_sample(protected)
    values = result(finished, task, card, engine="local", seconds=sample["seconds"], left_out=[])
    assert shape(values) == shape(sample)
    assert shape(card) == shape(sample_card)
    assert card["versions"].keys() == sample_card["versions"].keys()
    page(values, card)
    if protected:
        curve = tuple((after, metrics["brest"]) for after in range(3))
        arms = {each.key: Arm(each, (metrics,), curve=curve) for each in plans(study)}
        values["arms"] = {key: arm.to_dict("accuracy") for key, arm in arms.items()}
        real, arm = values["arms"]["federated_dp"], compare_sample()[0]["arms"]["federated_dp"]
        assert shape(real) == shape(arm)
        assert f"{real['label']}, first seed" in page(values, card)


@pytest.mark.parametrize("sample", [run_sample, compare_sample])
def test_a_page_loads_nothing_from_outside(sample: Any) -> None:
    text = page(*sample())
    assert all(address == "data:," or address.startswith("#") for address in Reader(text).loads)
    rest = re.sub(r'xmlns(:\w+)?="[^"]*"', "", text)
    assert "http://" not in rest
    assert "https://" not in rest
    assert "@import" not in rest
    assert re.findall(r"url\((?!#)", rest) == []
    assert "default-src 'none'" in rest


@pytest.mark.parametrize("sample", [run_sample, compare_sample])
def test_the_same_result_gives_the_same_bytes_in_any_thread(sample: Any) -> None:
    with ThreadPoolExecutor(4) as pool:
        pages = list(pool.map(lambda _: page(*sample()), range(4)))
    assert len({*pages, page(*sample())}) == 1


@pytest.mark.parametrize("sample", [run_sample, compare_sample])
def test_no_identifier_stands_twice_and_every_reference_is_met(sample: Any) -> None:
    text = page(*sample())
    identifiers = re.findall(r'\bid="([^"]+)"', text)
    assert len(identifiers) == len(set(identifiers)) > 0
    assert set(re.findall(r'(?:href="#|url\(#)([^")]+)', text)) <= set(identifiers)


@pytest.mark.parametrize("sample", [run_sample, compare_sample])
def test_every_picture_has_words(sample: Any) -> None:
    pictures = [values for tag, values in Reader(page(*sample())).elements if tag == "svg"]
    assert pictures
    assert all(each["role"] == "img" and "accuracy" in each["aria-label"] for each in pictures)


def test_the_parts_stand_in_their_order() -> None:
    read = Reader(page(*compare_sample()))
    parts = [
        "Differential privacy for each patient",
        "Side by side",
        "Round by round",
        "Hospital by hospital",
        "Who was left out",
        "Privacy card",
        "What the coordinator still learns",
        "from start to end",
    ]
    places = [read.position(part) for part in parts]
    assert places == sorted(places)


def test_the_title_names_the_study_with_its_whole_digest() -> None:
    values, card = run_sample()
    read = Reader(page(values, card))
    titles = {each.get("title") for tag, each in read.elements if tag == "code"}
    assert values["digest"] in titles
    assert values["digest"][:12] in read.words


def test_a_protected_study_says_so_in_green_with_its_warnings() -> None:
    values, card = run_sample()
    read = Reader(page(values, card))
    assert {"good"} == read.classes() & {"good", "bad"}
    assert card["statement"] in read.words
    assert len(card["warnings"]) == 2
    assert all(warning in read.words for warning in card["warnings"])


def test_a_study_without_privacy_says_so_in_red() -> None:
    values, card = run_sample(protected=False)
    text = page(values, card)
    read = Reader(text)
    assert {"bad"} == read.classes() & {"good", "bad"}
    assert "No privacy" in read.words
    assert card["statement"] in read.words
    assert "--bad: #b00020" in text
    assert "nothing keeps what is sent from giving a patient away" in read.words


def test_a_comparison_shows_every_arm_in_its_order_and_the_worst_hospital_first() -> None:
    values, card = compare_sample()
    text = page(values, card)
    heads = re.findall(r'<th scope="col" class="number">([^<]*)</th>', text)
    assert heads[: len(LABELS)] == list(LABELS.values())
    read = Reader(text)
    assert read.position("worst hospital") < read.position("± 0.007")
    assert "This is said of one model: federated + DP ε=2, first seed." in read.words


def test_a_comparison_over_one_seed_states_no_deviation() -> None:
    values, card = compare_sample()
    for arm in values["arms"].values():
        arm["seeds"] = 1
    assert "±" not in page(values, card)


def test_hospitals_stand_worst_first_and_those_without_a_metric_last() -> None:
    values, card = run_sample()
    values["hospitals"][0]["metrics"]["accuracy"] = None
    text = page(values, card)
    table = text.split("Who contributed when")[0]  # that section keeps the study's order
    assert re.findall(r'<th scope="row">(amiens|brest|caen)</th>', table) == ["brest", "caen", "amiens"]


def test_undefined_numbers_are_dashes() -> None:
    values, card = compare_sample()
    for arm in values["arms"].values():
        arm["worst_hospital"] = None
        arm["mean"] = arm["sd_over_seeds"] = {"accuracy": None}
        arm["hospitals"] = {name: {"accuracy": None} for name in arm["hospitals"]}
        arm["curve"] = [{**point, "metrics": {"accuracy": None}} for point in arm["curve"]]
    text = page(values, card)
    assert '<td class="number">–</td>' in text
    assert "± –" in text
    assert "No hospital disclosed its accuracy." in text
    assert "nan" not in Reader(text).words
    assert "None" not in Reader(text).words


def test_a_run_of_hospitals_that_disclose_nothing_has_a_page() -> None:
    values, card = run_sample()
    for hospital in values["hospitals"]:
        hospital.update(patients=None, quarantined=None, metrics={})
    for record in values["history"]:
        record.update(metrics={}, hospitals={})
    values["metrics"] = {"worst_hospital": None}
    assert "No hospital disclosed its accuracy." in page(values, card)


@pytest.mark.parametrize("name", [EVIL, "$\\frac{a}{b", "_hidden", "医院", "a\n-->b", "x" * 200])
def test_any_name_is_shown_as_it_is_and_never_obeyed(name: str) -> None:
    values, card = compare_sample()
    old = values["hospitals"][0]["name"]
    values["study"] = values["hospitals"][0]["name"] = name
    values["arms"]["own"]["label"] = name
    for arm in values["arms"].values():
        arm["hospitals"][name] = arm["hospitals"].pop(old)
        arm["worst_hospital"]["name"] = name
    for record in values["history"]:
        record["hospitals"][name] = record["hospitals"].pop(old)
    values["left_out"] = [{"round": 1, "hospital": name, "reason": name}]
    alone = {key: value for key, value in values.items() if key != "arms"}
    for text in (page(values, card), page(alone, card)):
        read = Reader(text)
        assert "<script" not in text
        assert "script" not in {tag for tag, _ in read.elements}
        assert read.words.count(name) >= 4
        assert any(name in each.get("aria-label", "") for tag, each in read.elements if tag == "svg")


def test_who_was_left_out_is_named_with_the_round_and_the_reason() -> None:
    values, card = run_sample()
    assert "Nobody, in any round." in page(values, card)
    values["left_out"] = [{"round": 2, "hospital": "caen", "reason": "no reply within 30 s"}]
    text = page(values, card)
    assert "<td>2</td><td>caen</td><td>no reply within 30 s</td>" in text
    assert "Nobody" not in text
    del values["left_out"]
    assert "Not recorded." in page(values, card)


def test_the_card_is_shown_whole() -> None:
    values, card = run_sample()
    words = Reader(page(values, {**card, "something_new": 0.12345})).words
    assert "something new0.123" in words.replace("\n", "")
    assert "0.0001" in words
    for each in (*card["covered"], *card["not_covered"], card["accountant"], card["randomness"]):
        assert each in words
    for key in ("epsilon_by_rdp", "epsilon_towards_another_hospital", "noise_multiplier"):
        assert f"{card[key]:.3f}".rstrip("0").rstrip(".") in words
    assert all(f"{tool} {version}" in words for tool, version in card["versions"].items())


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"secure_aggregation": True}, "and no hospital's own"),
        ({"noise": "local"}, "with all of its noise"),
        ({"noise": "distributed"}, "with only its share of the noise"),
        ({"noise": "none"}, "exactly as it was learned"),
    ],
)
def test_what_the_coordinator_learns_follows_the_noise(changes: dict[str, Any], words: str) -> None:
    values, card = run_sample()
    assert words in Reader(page(values, {**card, **changes})).words


def test_more_series_than_colours_still_differ() -> None:
    many = [Series(f"h{number}", {0: 0.1, 1: 0.5}) for number in range(20)]
    text = curves(many, "accuracy")
    assert len(re.findall(r"<path", text)) > 20
    assert all(each.label in text for each in many)


def test_nothing_known_gives_no_picture() -> None:
    empty = [Series("a", {0: None, 1: math.nan}), Series("b", {})]
    assert curves(empty, "accuracy") == ""
    assert dots(empty, ["a"], "accuracy") == ""


def test_a_level_is_dashed() -> None:
    assert "stroke-dasharray" in curves([Series("pooled", {}, level=0.5)], "accuracy")
    assert "stroke-dasharray" not in curves([Series("a", {0: 0.5})], "accuracy")
