"""What a person is told before a decision is what is so."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import governed
import pytest
from governed import Dwelling

from client.approval import overrun, plain_words
from client.ledger import BOOK, Ledger
from ground.errors import BudgetError
from tasks.study import Privacy, Synthetic, parse

STUDY = governed.STUDY


@pytest.fixture
def brest(tmp_path: Path, table: Path) -> Dwelling:
    return governed.dwelling(tmp_path / "home", table)


def rows(brest: Dwelling, study: object = STUDY) -> dict[str, str]:
    return {heading: "\n".join(said) for heading, said in plain_words(brest.home, study).rows()}


def test_it_is_said_what_is_learned_from_what_and_how_often(brest: Dwelling) -> None:
    words, shown = plain_words(brest.home, STUDY), rows(brest)
    assert words.patients == 60
    assert "heart disease yes or no" in shown["What is learned"]
    assert "age, years\nsex: 1 male, 0 female" in shown["From each patient"]
    assert shown["Which patients"].splitlines() == ["60 would be read", f"from {brest.table}"]
    assert shown["How often"].startswith("2 rounds")
    assert STUDY.digest in shown["What you approve"]
    assert "What is in the way" not in shown


def test_what_fits_is_what_the_book_itself_would_say(brest: Dwelling) -> None:
    brest.budget(1.2)
    words = plain_words(brest.home, STUDY)
    assert (words.epsilon, words.delta, words.budget, words.fits) == (1.0, 1e-3, 1.2, 2)
    assert words.left == 1.2
    assert words.together == pytest.approx(1.0, abs=0.01)
    said = "counted as your budget is, at δ 0.001: 1.200 of 1.2 left, after it 0.200 would be; it fits"
    assert said in rows(brest)["What it costs"]
    assert overrun(brest.home, STUDY) == ""
    brest.budget(0.6)
    words = plain_words(brest.home, STUDY)
    assert (words.fits, words.left) == (0, 0.6)
    said = rows(brest)["What it costs"].splitlines()
    assert said[0] == "it does NOT fit the budget: not one of its rounds would fit"
    assert "it fits" not in said[-1]
    assert next(iter(rows(brest))) == "What is in the way"
    assert overrun(brest.home, STUDY) == said[0]
    assert "would be refused at its start" in rows(brest)["What is in the way"]
    brest.budget(0.8)
    assert plain_words(brest.home, STUDY).fits == 1
    assert "only 1 of its 2 rounds would fit" in rows(brest)["What it costs"].splitlines()[0]
    brest.approve()
    reply = brest.send("enrol", 0)
    assert reply.error is not None
    assert reply.error[0] == BudgetError.__name__
    assert "1 of its 2 rounds would fit" in brest.journal()[-1][2]


def test_reading_it_books_nothing(brest: Dwelling) -> None:
    brest.budget(1.2)
    plain_words(brest.home, STUDY)
    with Ledger(brest.path / BOOK) as ledger:
        assert [entry.kind for entry in ledger.history()] == ["budget"]


def test_without_a_budget_it_is_said_that_there_is_none(brest: Dwelling) -> None:
    assert "you set no limit to what studies may cost" in rows(brest)["What it costs"]
    assert not (brest.path / BOOK).exists()


def test_a_budget_under_another_name_is_in_the_way(brest: Dwelling) -> None:
    with Ledger(brest.path / BOOK) as ledger:
        ledger.set_budget("lyon", 3.0, 1e-3)
    assert "has a budget for lyon and none for brest" in rows(brest)["What is in the way"]


def test_a_study_without_privacy_says_so(brest: Dwelling) -> None:
    shown = rows(brest, governed.FREE)
    assert "no privacy is asked for" in shown["What it costs"]
    assert "each of your updates as it is, without noise and without a mask" in shown["The coordinator sees"]


@pytest.mark.parametrize(
    ("noise", "secure", "said", "stops"),
    [
        ("local", False, "with all of its noise already added here", False),
        ("distributed", False, "with a share of the noise", True),
        ("distributed", True, "only sums over at least 3 hospitals", False),
    ],
)
def test_it_is_said_what_the_coordinator_sees(
    brest: Dwelling, noise: str, secure: bool, said: str, stops: bool
) -> None:
    privacy = Privacy(epsilon=1.0, delta=1e-3, noise=noise, secure_aggregation=secure)
    shown = rows(brest, STUDY.model_copy(update={"privacy": privacy}))
    assert said in shown["The coordinator sees"]
    assert "no metric of the model" in shown["The coordinator sees"]
    assert ("its noise is complete only in a sum" in shown.get("What is in the way", "")) == stops


def test_metrics_are_named_where_this_hospital_lets_them_into_sums(brest: Dwelling) -> None:
    brest.write("sums-metrics = true")
    privacy = Privacy(epsilon=1.0, delta=1e-3, secure_aggregation=True)
    shown = rows(brest, STUDY.model_copy(update={"privacy": privacy}))
    assert "summed with the other hospitals'" in shown["The coordinator sees"]


def test_digital_patients_are_named(brest: Dwelling) -> None:
    synthetic = Synthetic(strata=("hungary",), patients=50, fill=False, start_steps=20)
    shown = rows(brest, STUDY.model_copy(update={"synthetic": synthetic}))
    assert "50 simulated ones of the strata hungary" in shown["Digital patients"]
    assert "20 steps" in shown["Digital patients"]


def test_nothing_in_a_study_moves_the_cursor_or_hides_what_stands_beside_it(brest: Dwelling) -> None:
    synthetic = Synthetic(strata=("\x1b[2J\x1b[1;1H", "\u202egnol"), fill=False)
    shown = rows(brest, STUDY.model_copy(update={"synthetic": synthetic}))
    assert all(each.isprintable() or each == "\n" for said in shown.values() for each in said)


def test_a_task_that_is_not_installed_is_in_the_way(brest: Dwelling) -> None:
    shown = rows(brest, parse('name = "x"\ntask = "no-such-task"\nrounds = 1\n'))
    assert "its task is not installed here" in shown["What is learned"]
    assert "no-such-task" in shown["What is in the way"]


def test_where_there_are_no_patients_it_is_said_how_to_bring_some_in(brest: Dwelling) -> None:
    (brest.path / "hospital.toml").write_text('name = "brest"\n')
    words = plain_words(brest.home, STUDY)
    assert words.patients == 0
    assert "laennec hospital import" in "".join(words.problems)


def test_data_that_cannot_be_read_is_in_the_way(brest: Dwelling, tmp_path: Path) -> None:
    gone = replace(brest, table=tmp_path / "gone.csv")
    gone.write()
    words = plain_words(brest.home, STUDY)
    assert words.patients is None
    assert "its patients cannot be read" in "".join(words.problems)
