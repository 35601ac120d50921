"""Over any sequence of calls: the balance never falls, and is the accountant's over the whole history."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from client.ledger import Ledger
from ground.errors import PrivacyError
from privacy.accountant import Accountant, Event

DELTA = 1e-5
# ε by PLD is rounded in the order of summation.
ROUNDING = 1e-6
ACCOUNTS = ("cleveland", "hungary")
PLACES = st.tuples(st.sampled_from(ACCOUNTS), st.sampled_from(["ab" * 32, "cd" * 32]), st.integers(0, 2))
EVENTS = st.sampled_from([Event(1.0, 20.0), Event(1.0, 20.0, 3), Event(0.1, 4.0, 2)])
CALLS = st.one_of(
    st.tuples(st.just("reserve"), PLACES, EVENTS),
    st.tuples(st.just("reserve"), PLACES, EVENTS),
    st.tuples(st.just("settle"), PLACES, st.none()),
    st.tuples(st.just("disclose"), PLACES, st.sampled_from(["accuracy", "patients"])),
    st.tuples(st.just("set_budget"), PLACES, st.sampled_from([0.1, 0.5, 5.0])),
    st.tuples(st.just("open again"), PLACES, st.none()),
)


def by_hand(ledger: Ledger, account: str) -> Accountant:
    """The accountant over the whole history, in its own order."""
    spent = Accountant()
    for entry in ledger.history(account):
        if isinstance(entry.content, Event):
            spent = spent.spend(entry.content)
    return spent


def call(ledger: Ledger, name: str, place: tuple[str, str, int], content: object) -> None:
    """A call, which may be refused."""
    try:
        if name == "set_budget":
            ledger.set_budget(place[0], content, DELTA)
        elif name != "open again":
            getattr(ledger, name)(*place, *([] if content is None else [content]))
    except PrivacyError as error:
        refusal = str(error)
    else:
        return
    assert "would fit" in refusal or "never reserved" in refusal


@given(st.lists(CALLS, max_size=14))
@settings(deadline=None, max_examples=40)
def test_the_balance_never_falls_and_is_the_accountants_over_the_whole_history(
    tmp_path_factory: pytest.TempPathFactory, calls: list[tuple]
) -> None:
    path = tmp_path_factory.mktemp("home") / "ledger.sqlite"
    ledger = Ledger(path)
    before = dict.fromkeys(ACCOUNTS, 0.0)
    for each in calls:
        if each[0] == "open again":
            ledger.close()
            ledger = Ledger(path)
        budget, booked = ledger.budget(each[1][0]), len(ledger.history())
        call(ledger, *each)
        for account in ACCOUNTS:
            spent = ledger.spent(account).epsilon(DELTA)
            assert spent >= before[account] * (1 - ROUNDING)
            grown = spent > before[account] * (1 + ROUNDING)
            assert not (grown and (account != each[1][0] or each[0] != "reserve"))
            assert not grown or budget is None or spent <= budget.epsilon * (1 + ROUNDING)
            assert spent == pytest.approx(by_hand(ledger, account).epsilon(DELTA), rel=ROUNDING)
            before[account] = spent
        assert ledger.verify() - booked in (0, 1)
    ledger.close()


@given(st.lists(st.tuples(PLACES, EVENTS), max_size=8), st.lists(PLACES, max_size=4))
@settings(deadline=None, max_examples=30)
def test_reserving_everything_again_spends_nothing_before_it_is_settled(
    tmp_path_factory: pytest.TempPathFactory, reserved: list[tuple], settled: list[tuple[str, str, int]]
) -> None:
    with Ledger(tmp_path_factory.mktemp("home") / "ledger.sqlite") as ledger:
        for place, event in reserved * 2:
            ledger.reserve(*place, event)
        once = {(place, event) for place, event in reserved}
        for account in ACCOUNTS:
            releases = sum(event.times for place, event in once if place[0] == account)
            assert sum(event.times for event in ledger.spent(account).events) == releases
        spent = [ledger.spent(account) for account in ACCOUNTS]
        for place in settled:
            call(ledger, "settle", place, None)
        assert [ledger.spent(account) for account in ACCOUNTS] == spent
