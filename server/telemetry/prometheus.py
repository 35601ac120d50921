"""Where every study stands, as Prometheus text: read from the recordings when somebody asks, kept nowhere.

The numbers are those of the dashboard, so they hold what a coordinator knows and nothing of a patient.
https://prometheus.io/docs/instrumenting/exposition_formats/
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from server.recording import Standing
from server.recording.standing import STATES

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
OF_STUDY, OF_HOSPITAL = ("study", "digest"), ("study", "digest", "hospital")


def exposition(standings: Iterable[Standing], members: dict[str, int]) -> bytes:
    """The text of /metrics; `members` counts hospitals by their state in the federation."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Now(tuple(standings), members))
    return generate_latest(registry)


class _Now(Collector):
    def __init__(self, standings: tuple[Standing, ...], members: dict[str, int]) -> None:
        self._standings, self._members = standings, members

    def collect(self) -> Iterator[Metric]:
        members = GaugeMetricFamily("laennec_hospitals", "Hospitals of the federation.", labels=("state",))
        for state, count in sorted(self._members.items()):
            members.add_metric((state,), count)
        yield members
        yield from _studies(self._standings)
        yield from _metrics(self._standings)
        yield from _hospitals(self._standings)


def _studies(standings: tuple[Standing, ...]) -> Iterator[Metric]:
    state = GaugeMetricFamily(
        "laennec_study_state",
        "1 for the state of a study, 0 for others.",
        labels=(*OF_STUDY, "state"),
    )
    done = GaugeMetricFamily("laennec_study_round", "The last round completed.", labels=OF_STUDY)
    rounds = GaugeMetricFamily("laennec_study_rounds", "How many rounds a study has.", labels=OF_STUDY)
    spent = GaugeMetricFamily(
        "laennec_study_epsilon", "Epsilon of the study so far, by PLD; +Inf without privacy.", labels=OF_STUDY
    )
    asked = GaugeMetricFamily("laennec_study_epsilon_asked", "Epsilon that it asks for.", labels=OF_STUDY)
    seconds = GaugeMetricFamily(
        "laennec_round_seconds", "Wall-clock time of the last round that was completed.", labels=OF_STUDY
    )
    for each in standings:
        named = (each.study, each.digest)
        for name in STATES:
            state.add_metric((*named, name), float(each.state == name))
        done.add_metric(named, each.round)
        rounds.add_metric(named, each.rounds)
        spent.add_metric(named, each.spent())
        asked.add_metric(named, math.inf if each.epsilon is None else each.epsilon)
        if each.round in each.round_seconds:
            seconds.add_metric(named, each.round_seconds[each.round])
    yield from (state, done, rounds, spent, asked, seconds)


def _metrics(standings: tuple[Standing, ...]) -> Iterator[Metric]:
    """A hospital's own where it discloses them; hospital="" is their mean."""
    metric = GaugeMetricFamily(
        "laennec_model_metric",
        "The shared model's metrics at its last evaluation; the hospital is empty for the mean.",
        labels=(*OF_HOSPITAL, "metric"),
    )
    for each in standings:
        if not each.shown:
            continue
        by_hospital = {"": each.shown[-1].means, **each.shown[-1].hospitals}
        for hospital, values in by_hospital.items():
            for name, value in values.items():
                if value is not None:
                    metric.add_metric((each.study, each.digest, hospital, name), value)
    yield metric


def _hospitals(standings: tuple[Standing, ...]) -> Iterator[Metric]:
    contact = GaugeMetricFamily(
        "laennec_hospital_last_contact_timestamp_seconds", "When it answered last.", labels=OF_HOSPITAL
    )
    contributed = CounterMetricFamily(
        "laennec_hospital_contributions", "Rounds to which it contributed.", labels=OF_HOSPITAL
    )
    missed = CounterMetricFamily(
        "laennec_hospital_left_out", "Times that its contribution was missing.", labels=OF_HOSPITAL
    )
    spent = GaugeMetricFamily(
        "laennec_hospital_epsilon",
        "Epsilon of the study at this hospital, by its own book; absent where it keeps none.",
        labels=OF_HOSPITAL,
    )
    waiting = GaugeMetricFamily(
        "laennec_waiting_seconds",
        "How long a study has waited for it.",
        labels=(*OF_HOSPITAL, "for"),
    )
    for study in standings:
        for each in study.hospitals:
            named = (study.study, study.digest, each.name)
            contributed.add_metric(named, len(each.contributed))
            missed.add_metric(named, len(each.left_out))
            if each.contact is not None:
                contact.add_metric(named, each.contact)
            if (epsilon := study.spent_at(each)) is not None:
                spent.add_metric(named, epsilon)
        for wait in study.waiting:
            for name in wait.hospitals:
                waiting.add_metric((study.study, study.digest, name, wait.what), wait.seconds)
    yield from (contact, contributed, missed, spent, waiting)
