from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
from test_report_page import Reader, run_sample

from server.report.audit import CANNOT_SHOW, findings, pictures, sentences
from server.report.card import with_audit
from server.report.page import page

EVIL = '"><script>alert(1)</script>'


def rates(auc: float, name: str = "") -> dict[str, Any]:
    values = {"auc": auc, "low": auc - 0.02, "high": auc + 0.02, "true_positives": 0.02}
    return {
        **values,
        "false_positives": 0.01,
        "targets": 8,
        "patients": 40,
        **({"name": name} if name else {}),
    }


def sight(sees: str, bounds: list[float], claim: float, *, noise: bool = True) -> dict[str, Any]:
    claimed = sees == "sum"
    return {
        "sees": sees,
        "noise": noise,
        "claimed": claimed,
        "seen": True,
        "claim": claim,
        "bounds": bounds,
    }


def view(sees: str, error: float, guess: list[Any], *, privacy: bool) -> dict[str, Any]:
    return {
        **{"sees": sees, "privacy": privacy, "epsilon": 1.0 if privacy else None, "seen": True},
        **{"error": error, "guesser": 1.0, "victims": 4, "truth": [1.0, -2.0, 0.5], "guess": guess},
    }


def measured(worst: float = 0.4) -> dict[str, Any]:
    models = [
        {
            "privacy": True,
            "limit": 0.73,
            **rates(0.51),
            "hospitals": [rates(0.53, "brest"), rates(0.5, "caen")],
        },
        {
            "privacy": False,
            "limit": None,
            **rates(0.8),
            "hospitals": [rates(0.9, "caen"), rates(0.7, "brest")],
        },
    ]
    views = [
        view("each", 0.01, [1.0, -2.0, 0.5], privacy=False),
        view("sum", 0.98, [0.0, 0.1, 0.0], privacy=True),
    ]
    return {
        "study": "sample",
        "private": True,
        "canaries": {"sights": [sight("sum", [0.1, worst], 1.0), sight("sum", [4.0, 5.0], 1.0, noise=False)]},
        "membership": {"models": models},
        "inversion": {"names": [], "views": views},
    }


def audit(values: dict[str, Any] | None = None) -> dict[str, Any]:
    values = measured() if values is None else values
    return {
        **values,
        "findings": findings(values),
        "skipped": ["skipped: for a reason"],
        "cannot_show": CANNOT_SHOW,
    }


def reported(values: dict[str, Any]) -> str:
    result, card = run_sample()
    return page({**result, "audit": values}, with_audit(card, values))


def test_findings_of_the_study_come_first_and_of_each_kind_the_worst() -> None:
    found = findings(measured())
    assert [each["study"] for each in found] == sorted((each["study"] for each in found), reverse=True)
    for own in (True, False):
        shares = [each["share"] for each in found if each["study"] is own]
        assert shares == sorted(shares, reverse=True)
    assert found[0]["attack"] == "canaries"


def test_the_worst_hospital_has_a_row_of_its_own() -> None:
    said = " ".join(each["attacker"] for each in findings(measured()) if each["study"])
    assert "worst: brest" in said
    assert "caen" not in said


@pytest.mark.parametrize(("worst", "holds"), [(0.4, True), (1.0, True), (1.2, False)])
def test_one_run_beyond_the_claim_is_enough(worst: float, holds: bool) -> None:
    first = findings(measured(worst))[0]
    assert first["holds"] is holds
    assert f"within it in {2 if holds else 1} of 2" in first["beside"]


def test_a_bound_beyond_the_claim_is_said_in_the_report() -> None:
    assert "beyond the claim" in Reader(reported(audit(measured(1.2)))).words
    assert "beyond the claim" not in Reader(reported(audit())).words


def test_noise_taken_out_is_a_comparison_and_no_failure_of_the_study() -> None:
    control = next(each for each in findings(measured()) if each["attack"] == "canaries, noise taken out")
    assert not control["study"]
    assert "exceeded in 2 of 2" in control["beside"]


def test_the_card_ends_with_what_an_audit_cannot_show() -> None:
    values = audit()
    said = sentences(values)
    own = [each["says"] for each in values["findings"] if each["study"]]
    assert said == [*own, "skipped: for a reason", CANNOT_SHOW]
    assert with_audit({"epsilon": 1.0}, values) == {"epsilon": 1.0, "audit": said}


def test_card_and_report_show_the_same_findings() -> None:
    words = Reader(reported(audit())).words
    assert words.count(CANNOT_SHOW) == 2
    for each in audit()["findings"]:
        assert each["measured"] in words
    assert "audit, the worst case first" in words
    assert words.index("The study as it is.") < words.index("For comparison")


def test_a_report_without_an_audit_has_no_such_section() -> None:
    result, card = run_sample()
    assert "Audit" not in Reader(page(result, card)).words


def test_the_page_with_an_audit_loads_nothing() -> None:
    read = Reader(reported(audit()))
    assert not [each for each in read.loads if not each.startswith(("#", "data:"))]


@pytest.mark.parametrize("names", [["age", "sex", EVIL], [], ["too few"]])
def test_inputs_are_named_where_names_are_known_and_numbered_elsewhere(names: list[str]) -> None:
    values, numbered = measured(), pictures(measured())
    values["inversion"]["names"] = names
    text = pictures(values)
    assert text.count("<svg") == 1
    assert "<script" not in text
    assert (text != numbered) is (len(names) == 3)


def test_images_are_shown_as_images() -> None:
    values = measured()
    for each in values["inversion"]["views"]:
        each["truth"] = each["guess"] = [[[0.0, 1.0], [2.0, -1.0]]]
    assert pictures(values).count("<image") >= 3


def test_a_picture_is_the_same_whenever_it_is_drawn() -> None:
    assert pictures(measured()) == pictures(deepcopy(measured()))


def test_what_was_not_measured_is_left_out() -> None:
    values = {**measured(), "canaries": None, "membership": None, "inversion": None}
    assert findings(values) == []
    assert pictures(values) == ""
    assert "<figure>" not in reported(audit(values)).split("<h2>Audit</h2>")[1].split("</section>")[0]


def test_a_hospital_s_name_is_shown_and_not_obeyed() -> None:
    values = measured()
    values["membership"]["models"][0]["hospitals"][0]["name"] = EVIL
    assert "<script" not in reported(audit(values))
