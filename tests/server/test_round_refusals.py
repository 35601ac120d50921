from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from test_round import DISTRIBUTED, FREE, LOCAL, NAMES, PARAMETERS, advance, enrolled, replies, reply, study
from test_round import TASK as HEART_DISEASE

from ground.errors import FederationError, UsageError
from server.progress import Progress, begin
from tasks.study import Study

ALL = pytest.mark.parametrize("terms", [FREE, DISTRIBUTED, LOCAL], ids=["free", "distributed", "local"])


def without(progress: Progress, *names: str) -> dict[str, Any]:
    return replies(progress, tuple(name for name in NAMES if name not in names))


@ALL
@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"digest": "0" * 64}, "answered another study or round"),
        ({"round": 2}, "answered another study or round"),
        ({"round": 0}, "answered another study or round"),
        ({"phase": "report"}, "answered another study or round"),
        ({"vector": np.zeros(PARAMETERS + 5)}, "sent a contribution of another size than most"),
        ({"vector": np.zeros(())}, "sent a contribution of another size than most"),
    ],
    ids=["digest", "later round", "earlier round", "phase", "size", "shape"],
)
def test_a_wrong_reply_is_refused_by_the_name_of_its_hospital(
    terms: Study, changes: dict[str, Any], why: str
) -> None:
    progress = enrolled(terms)
    given = replies(progress) | {"hungary": reply(progress, "hungary", **changes)}
    with pytest.raises(FederationError, match=rf"^round 1: hospital hungary {why}: its reply was refused$"):
        advance(progress, given)


@ALL
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_not_finite_are_refused_by_the_name_of_their_hospital(
    terms: Study, value: float
) -> None:
    progress = enrolled(terms)
    given = replies(progress)
    vector = given["hungary"].vector
    assert vector is not None
    given["hungary"] = reply(progress, "hungary", vector=np.append(vector[:-1], value))
    with pytest.raises(FederationError, match=r"^hungary sent numbers that are not finite"):
        advance(progress, given)


@ALL
def test_a_hospital_that_did_not_enrol_is_refused_by_name(terms: Study) -> None:
    progress = enrolled(terms)
    with pytest.raises(FederationError, match=r"hospital zurich is not on the roster"):
        advance(progress, replies(progress, (*NAMES, "zurich")))


@ALL
def test_contributions_that_all_have_the_size_of_another_model_are_refused(terms: Study) -> None:
    progress = enrolled(terms)
    given = {name: reply(progress, name, vector=np.ones(PARAMETERS + 5)) for name in NAMES}
    with pytest.raises(FederationError, match=rf"{', '.join(NAMES)} do not fit the model: .* same version"):
        advance(progress, given)


@ALL
def test_a_reply_without_its_contribution_is_refused(terms: Study) -> None:
    progress = enrolled(terms)
    given = replies(progress) | {"hungary": reply(progress, "hungary", vector=None)}
    with pytest.raises(FederationError, match=r"without a contribution"):
        advance(progress, given)


def test_a_refused_reply_leaves_the_round_to_be_asked_again() -> None:
    progress = enrolled(DISTRIBUTED)
    with pytest.raises(FederationError):
        advance(progress, replies(progress) | {"hungary": reply(progress, "hungary", round=9)})
    assert advance(progress).round == 2


@ALL
def test_no_reply_at_all_is_an_error_of_the_round(terms: Study) -> None:
    with pytest.raises(FederationError, match=r"train, round 1: no hospital replied"):
        advance(enrolled(terms), {})


def test_distributed_noise_needs_every_hospital_and_names_the_one_that_is_missing() -> None:
    progress = enrolled(DISTRIBUTED)
    with pytest.raises(FederationError, match=r"round 1: hungary did not contribute, .* needs 4 of 4"):
        advance(progress, without(progress, "hungary"))


def test_local_noise_goes_on_with_the_minimum_and_history_names_who_contributed() -> None:
    progress = enrolled(LOCAL)
    progress = advance(progress, without(progress, "hungary", "cleveland"))
    assert (progress.round, progress.history[-1].contributors) == (2, ("long-beach", "switzerland"))
    assert advance(progress).history[-1].contributors == NAMES


def test_local_noise_below_the_minimum_names_all_who_are_missing() -> None:
    progress = enrolled(LOCAL)
    with pytest.raises(
        FederationError, match=r"cleveland, hungary, long-beach did not contribute, .* 2 of 4"
    ):
        advance(progress, without(progress, "cleveland", "hungary", "long-beach"))


def test_a_study_without_privacy_needs_three_of_its_hospitals() -> None:
    progress = enrolled(FREE)
    assert advance(progress, without(progress, "hungary")).round == 2
    with pytest.raises(FederationError, match=r"cleveland, hungary did not contribute, .* needs 3 of 4"):
        advance(progress, without(progress, "hungary", "cleveland"))


@pytest.mark.parametrize("noise", ["local", "distributed"])
def test_fewer_than_the_minimum_at_enrolment_is_wrong_use(noise: str) -> None:
    terms = study(f'[privacy]\nepsilon = 2.0\nnoise = "{noise}"\nminimum-hospitals = 4\n')
    progress = begin(terms, HEART_DISEASE)
    with pytest.raises(UsageError, match=r"3 hospitals enrolled, the study asks for at least 4: .*minimum"):
        advance(progress, without(progress, "hungary"))


@pytest.mark.filterwarnings("ignore:overflow encountered")  # which is what happens, before it is reported
@ALL
def test_a_model_that_leaves_the_finite_numbers_ends_the_study_with_advice(terms: Study) -> None:
    progress = enrolled(terms)
    size = replies(progress)["hungary"].vector
    assert size is not None
    huge = np.append(np.full(size.size - 1, 1e300), 1.0)
    given = {name: reply(progress, name, vector=huge) for name in NAMES}
    with pytest.raises(FederationError, match=r"round 1: the model left the finite numbers: lower the learn"):
        advance(progress, given)
