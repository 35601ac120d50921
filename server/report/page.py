"""The report page: one HTML file that loads nothing, from a result and its privacy card alone.

Whatever a study or a hospital calls itself is escaped by the template; pictures come as SVG from `charts`.
"""

from __future__ import annotations

import math
from base64 import b64encode
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from server.report.audit import pictures
from server.report.charts import Series, curves, dots
from server.report.contributors import contributors
from server.report.epsilon import epsilon_picture
from tasks.contract import Picture

# What is shown of patients: the arm, "" where there is but one -> hospital -> pictures.
Shown = Mapping[str, Mapping[str, Sequence[Picture]]]

UNKNOWN = "–"
# The arm that the result's own hospitals, history and seconds describe, in a comparison that does not say.
DESCRIBED = "federated_dp"
REFERENCE = "pooled"
MOST_COLUMNS = 7  # arms side by side; more stand below each other
IN_THE_BOX = ("statement", "warnings")
CARD = {
    "protected": "protected",
    "unit": "unit of protection",
    "neighbours": "neighbouring data",
    "epsilon": "epsilon, spent",
    "epsilon_asked": "epsilon, asked for",
    "delta": "delta",
    "epsilon_by_rdp": "epsilon by RDP, as a cross-check",
    "epsilon_towards_another_hospital": "epsilon towards another hospital, which knows its own noise",
    "accountant": "accountant",
    "releases": "noisy releases",
    "clip": "clip, norm of one patient's gradient",
    "sampling_rate": "sampling rate of patients",
    "noise": "noise",
    "noise_multiplier_in_the_sums": "least noise in a sum, in units of the clip",
    "noise_multiplier": "noise multiplier",
    "count_noise_multiplier": "noise multiplier of the count of patients",
    "randomness": "randomness",
    "model": "who is trusted",
    "secure_aggregation": "secure aggregation",
    "fewest_hospitals_in_a_sum": "fewest hospitals in a sum",
    "shares_that_restore_a_mask": "shares that restore a mask",
    "helpers_of_a_lying_coordinator": "hospitals that may help a lying coordinator, as they said",
    "epsilon_towards_a_lying_coordinator_and_its_helpers": "epsilon towards it and these hospitals together",
    "covered": "covered",
    "not_covered": "not covered",
    "audit": "audit, the worst case first",
    "versions": "versions",
}
SECONDS = {
    "total": "from start to end",
    "training": "of these, the busiest worker was computing",
    "overhead_per_round": "a round took beyond computing, on average",
}


def page(
    result: dict[str, Any],
    card: dict[str, Any],
    shown: Shown = MappingProxyType({}),
    digital: Sequence[Picture] = (),
) -> str:
    """The report of a run, or of a comparison where the result has arms.

    `shown` are pictures of what a model does for patients, `digital` are pictures of digital patients.
    """
    headline, arms = result["headline"], result.get("arms", {})
    hospitals = worst_first(result["hospitals"], headline)
    lines = [_arm_line(key, arm, headline) for key, arm in arms.items()] or _hospital_lines(result)
    names = _names(hospitals, arms)
    by_hospital = [
        Series(arm["label"], _of_hospitals(arm, headline), reference=key == REFERENCE)
        for key, arm in arms.items()
    ]
    described = arms.get(result.get("described", DESCRIBED), {}).get("label")
    curve = result.get("epsilon_curve")
    return TEMPLATE.render(
        result=result,
        card=card,
        warnings=card.get("warnings", []),
        headline=headline,
        contributors=contributors(result) if any(e.get("contributors") for e in result["history"]) else [],
        described=f"{described}, first seed" if described else "",
        arms=list(arms.values()),
        many=len(arms) > MOST_COLUMNS,
        names=names,
        hospitals=hospitals,
        metrics=_metrics(hospitals, headline),
        curves=curves(lines, headline),
        dots=dots(by_hospital, names, headline),
        epsilon_curve=epsilon_picture(curve) if curve else "",
        galleries=_galleries(shown, [each["name"] for each in hospitals]),
        digital=_files(digital),
        fresh=result.get("fresh"),
        card_rows=labelled({key: value for key, value in card.items() if key not in IN_THE_BOX}, CARD),
        learns=learns(card),
        audit=result.get("audit"),
        inversion=pictures(result["audit"]) if "audit" in result else "",
        seconds=labelled(result["seconds"], SECONDS),
    )


def worst_first(hospitals: Sequence[dict[str, Any]], headline: str) -> list[dict[str, Any]]:
    """The hospitals by the headline metric, those without it last."""
    return sorted(hospitals, key=lambda each: (*_order(each["metrics"].get(headline)), each["name"]))


def learns(card: Mapping[str, Any]) -> list[str]:
    """What the coordinator comes to know, whatever the privacy card promises about patients."""
    if card["secure_aggregation"]:
        updates = "the sum of the updates of each round, and of the metrics, and no hospital's own update"
    elif card["noise"] == "local":
        updates = "the sum of the updates, and on one machine each hospital's own, with all of its noise"
    elif card["noise"] == "distributed":
        updates = (
            "the sum of the updates, and on one machine each hospital's own, with only its share of the noise"
        )
    else:
        updates = "the sum of the updates, and on one machine each hospital's own, exactly as it was learned"
    return [
        "who takes part, and in which round",
        updates,
        "the metrics and the numbers of patients of each hospital, where the hospital discloses them",
        "never a patient's record"
        + ("" if card["protected"] else "; but nothing keeps what is sent from giving a patient away"),
    ]


def labelled(values: Mapping[str, Any], labels: Mapping[str, str]) -> list[tuple[str, Any]]:
    """All values with words for a person, in the labels' order; what has no label comes last."""
    keys = [key for key in labels if key in values] + [key for key in values if key not in labels]
    return [(labels.get(key, key.replace("_", " ")), values[key]) for key in keys]


def fixed(value: float | None) -> str:
    """A metric with three decimals, a dash where it is undefined."""
    return UNKNOWN if value is None or math.isnan(value) else f"{value:.3f}"


def short(value: object) -> str:
    """A setting: at most three decimals, but never a small number as zero."""
    if value is None:
        return UNKNOWN
    if isinstance(value, bool):
        return "yes" if value else "no"
    if not isinstance(value, float) or math.isinf(value):
        return str(value)
    if 0 < abs(value) < 0.001:
        return f"{value:.3g}"
    return UNKNOWN if math.isnan(value) else f"{value:.3f}".rstrip("0").rstrip(".")


def _arm_line(key: str, arm: Mapping[str, Any], headline: str) -> Series:
    points = {point["after"]: point["metrics"].get(headline) for point in arm["curve"]}
    return Series(arm["label"], points, level=arm["mean"].get(headline), reference=key == REFERENCE)


def _hospital_lines(result: Mapping[str, Any]) -> list[Series]:
    """A line for each hospital and one for their mean."""
    history = result["history"]
    lines = [
        Series(
            name, {each["after"]: each["hospitals"].get(name, {}).get(result["headline"]) for each in history}
        )
        for name in (hospital["name"] for hospital in result["hospitals"])
    ]
    mean = {each["after"]: each["metrics"].get(result["headline"]) for each in history}
    return [*lines, Series("mean over hospitals", mean, reference=True)]


def _galleries(shown: Shown, worst_first: Sequence[str]) -> list[tuple[str, list[tuple[str, list[Any]]]]]:
    """For each arm the hospitals that show something, and of each the titles and files of its pictures."""
    galleries = []
    for arm, hospitals in shown.items():
        order = [name for name in hospitals if name not in worst_first]  # all together, before each
        order += [name for name in worst_first if name in hospitals]
        rows = [(name, _files(hospitals[name])) for name in order if hospitals[name]]
        if rows:
            galleries.append((arm, rows))
    return galleries


def _files(pictures: Sequence[Picture]) -> list[tuple[str, str]]:
    """Title and file, in base64, of each picture."""
    return [(each.title, b64encode(each.png).decode("ascii")) for each in pictures]


def _of_hospitals(arm: Mapping[str, Any], headline: str) -> dict[str, float | None]:
    return {name: metrics.get(headline) for name, metrics in arm["hospitals"].items()}


def _names(hospitals: Sequence[Mapping[str, Any]], arms: Mapping[str, Any]) -> list[str]:
    """Every hospital of the result, then those that only an arm knows."""
    known = [hospital["name"] for hospital in hospitals]
    return list(dict.fromkeys([*known, *(name for arm in arms.values() for name in arm["hospitals"])]))


def _metrics(hospitals: Sequence[Mapping[str, Any]], headline: str) -> list[str]:
    """The names of all metrics, the headline first."""
    others = {name for hospital in hospitals for name in hospital["metrics"]} - {headline}
    return [headline, *sorted(others)]


def _order(value: float | None) -> tuple[bool, float]:
    unknown = value is None or math.isnan(value)
    return unknown, 0.0 if unknown or value is None else value


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(fixed=fixed, short=short)
    return environment


TEMPLATE = _environment().get_template("page.html")
