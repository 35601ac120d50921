"""Nodes that send what cannot be used, or nothing: left out of that round by name, and the others go on."""

from __future__ import annotations

from collections.abc import Iterator

import federations
import numpy as np
import pytest
from conftest import Seen
from federations import PLAIN, Federation

from deploy.engines.faults import Drop
from server.events import Advanced, Event

pytestmark = pytest.mark.slow
FOUR = (*federations.NAMES, "switzerland")
LIAR = "hungary"
# What the liar sends in which round, and what the coordinator says of it.
LIES = {
    1: ("nan", "not finite"),
    2: ("infinite", "not finite"),
    3: ("longer", "were expected"),
    4: ("square", "were expected"),
    5: ("huge", "are the most"),
    6: ("stale", "another study or round"),
    7: ("another study", "another study or round"),
}
OUT = "refused by name, left out of that round; the others' model is exact"
SILENT_FOR = 15.0  # seconds that a reply may take there


@pytest.fixture(scope="module")
def federation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Federation]:
    with federations.federation(tmp_path_factory.mktemp("federation"), FOUR, liars=(LIAR,)) as made:
        yield made


@pytest.mark.fault("node sends NaN", "train", OUT)
@pytest.mark.fault("node sends ∞", "train", OUT)
@pytest.mark.fault("node lies about its size: one number more", "train", OUT)
@pytest.mark.fault("node lies about its size: another shape", "train", OUT)
@pytest.mark.fault("node lies about its size: 64 MB for a small model", "train", OUT)
@pytest.mark.fault("node answers the round before", "train", OUT)
@pytest.mark.fault("node answers another study", "train", OUT)
def test_a_reply_that_cannot_be_used_is_refused_by_name_and_the_others_go_on(
    federation: Federation, seen: Seen
) -> None:
    study = PLAIN.model_copy(update={"name": "lies", "rounds": len(LIES) + 1})
    lies = {number: how for number, (how, _) in LIES.items()}
    file = federations.lie(federation.supervisors[LIAR], lies)
    steps = federation.run(study)
    file.unlink()
    missing = {step.round: dict(step.left_out) for step in steps}
    for number, (how, why) in LIES.items():
        assert set(missing[number]) == {LIAR}, (how, missing[number])
        assert why in missing[number][LIAR], (how, missing[number])
    assert missing[study.rounds] == {}  # an honest round: it is back
    drops = tuple(Drop(LIAR, number) for number in LIES)
    assert np.array_equal(steps[-1].progress.state.model, federation.calm(study, drops))
    seen(f"left out of the round by name; back in round {study.rounds}")


@pytest.mark.fault("node never answers", "train", "given up after the limit, by name; back when it answers")
def test_a_node_that_never_answers_is_waited_for_within_bounds_and_left_out(
    federation: Federation, seen: Seen
) -> None:
    study = PLAIN.model_copy(update={"name": "silent", "rounds": 4})
    file = federations.lie(federation.supervisors[LIAR], {2: "silent"})

    def heard(event: Event) -> None:
        if isinstance(event, Advanced) and event.round == 2:
            file.unlink()

    steps = federation.run(study, heard, reply_seconds=SILENT_FOR)
    missing = {step.round: dict(step.left_out) for step in steps}
    assert set(missing[2]) == {LIAR}
    assert "no reply within" in missing[2][LIAR]
    assert missing[4] == {}
    drops = tuple(Drop(LIAR, number) for number, names in missing.items() if names)
    assert np.array_equal(steps[-1].progress.state.model, federation.calm(study, drops))
    seen(f"{missing[2][LIAR]}, three times; back in a later round")
